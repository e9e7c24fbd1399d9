"""What a model is rebuilt from: the name of its family, and every option spelled out."""

import dataclasses
import json
from typing import Any

from nelbo.core import InputError


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """A named family with its options as JSON, hashable.

    Args:
        name: of the family.
        text: the options, JSON with sorted keys.
    """

    name: str
    text: str

    @classmethod
    def of(cls, name: str, **arguments: Any) -> "ModelSpec":
        """From the options themselves."""
        return cls(name, json.dumps(arguments, sort_keys=True))

    @classmethod
    def from_record(cls, record: Any, where: str) -> "ModelSpec":
        """Read what `record` gave.

        Raises:
            InputError: it is no such record.
        """
        if not isinstance(record, dict) or not isinstance(record.get("arguments"), dict):
            raise InputError(f"{where} is damaged: its header does not say how the model is built; use another copy.")
        return cls.of(str(record.get("name")), **record["arguments"])

    @property
    def arguments(self) -> dict[str, Any]:
        """The options by name."""
        return json.loads(self.text)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example."""
        return tuple(self.arguments["shape"])

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"name": self.name, "arguments": self.arguments}
