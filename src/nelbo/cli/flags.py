"""Flags of `fit` that are derived from the options of all models, objectives, training settings and data settings."""

import argparse
import dataclasses
import json
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from nelbo.bayes import SAMPLERS, named_priors, sampler_options
from nelbo.cli.parser import Parser, real, whole
from nelbo.core import Option, options_of
from nelbo.data import BINARIZATIONS
from nelbo.models import CLASS_LIKELIHOODS, NUMBER_LIKELIHOODS, families, likelihoods
from nelbo.nets import ACTIVATIONS
from nelbo.objectives import NOISES
from nelbo.runs import RUN_OPTIMIZERS, Training, data_options, model_options, named_objective_options, objectives
from nelbo.training import SCHEDULES, order_options, orders

# tables whose names are the values of an option
NAMES: Mapping[str, Callable[[], Sequence[str]]] = {
    # those of a target are the supervised families' own
    "likelihood": lambda: list(dict.fromkeys([*likelihoods(), *NUMBER_LIKELIHOODS, *CLASS_LIKELIHOODS])),
    "activation": lambda: list(ACTIVATIONS),
    "optimizer": lambda: list(RUN_OPTIMIZERS),
    "schedule": lambda: list(SCHEDULES),
    "batches": lambda: list(orders()),
    "binarize": lambda: list(BINARIZATIONS),
    "input_noise": lambda: list(NOISES),
    "prior": lambda: list(named_priors()),
}
EITHER = "either"  # where a flag is kept that is an option of models and of objectives
# have flags of another form: --data-dir of every command, --train-only, those of the samplers and of the orders
WRITTEN_OUT = ("data_dir", "score", "sampling", "ordering")


@dataclasses.dataclass(frozen=True)
class Flag:
    """An option of one or several owners (models, say) that share its name.

    Args:
        name: of the option.
        owners: who has it.
        types: every annotation that it has.
        help: the first description of it, with its defaults.
    """

    name: str
    owners: tuple[str, ...]
    types: tuple[Any, ...]
    help: str


def flags_of(owners: Mapping[str, Sequence[Option]]) -> list[Flag]:
    """One flag for each name of an option, in order of appearance; the text is that of the first owner with one."""
    found: dict[str, dict[str, Option]] = {}
    for owner, options in owners.items():
        for option in options:
            found.setdefault(option.name, {})[owner] = option
    return [_flag(name, options, list(owners)) for name, options in found.items()]


def _flag(name: str, options: Mapping[str, Option], everyone: Sequence[str]) -> Flag:
    text = described(name, options.values())
    values = set(_QUOTED.findall(text))
    others: dict[str, list[str]] = {}  # whose values are others than those that the text names
    for owner, option in options.items():
        own = _for_a_shell(option.help)
        named = name in NAMES and not _is_of_its_own(name, option)
        if not named and not set(_QUOTED.findall(own)) <= values:
            others.setdefault(own, []).append(owner)
    text += "".join(f"; of {_listed(whose)}: {own}" for own, whose in others.items())
    if missing := [owner for owner in everyone if owner not in options]:
        short = len(missing) < len(options) // 2
        text = f"{text} [{f'all but {_listed(missing)}' if short else ', '.join(options)}]"
    kinds = tuple(dict.fromkeys(kind for option in options.values() for kind in members(option.type)))
    return Flag(name, tuple(options), kinds, text + _defaults(options))


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def described(name: str, options: Iterable[Option]) -> str:
    """What an option of several owners means, in the words of the first owner that describes it.

    The values of an option in `NAMES` are those of its table, unless the first owner lists other values itself.
    """
    texts = [_for_a_shell(option.help) for option in options]
    text = next((text for text in texts if text and not _REFERENCE.match(text)), texts[0])
    if name not in NAMES or any(_is_of_its_own(name, option) for option in options):
        return text
    names, text = ", ".join(NAMES[name]()), _LIST.split(text)[0]
    return f"{text}: {names}" if text else names


def _is_of_its_own(name: str, option: Option) -> bool:
    """Whether an option means something else than the table of its name: its default is not in there."""
    return isinstance(option.default, str) and bool(option.default) and option.default not in NAMES[name]()


def _for_a_shell(text: str) -> str:
    """A description without what only callers from Python need."""
    parts = re.split(r"(?<=[;.]) ", text)
    kept = [part for part in parts if not re.search(r"`True`|\bNone\b|\bnull\b", part)]
    return re.sub(r"(, or null)?[;.]?$", "", " ".join(kept or parts))


_REFERENCE = re.compile(r"(as (for|of)|see|the same of|of those)\b")
_QUOTED = re.compile(r'"([^"]+)"')
_LIST = re.compile(r"(?:[,;] )?(?:see `|\").*")  # of names, which the table itself gives


def _defaults(options: Mapping[str, Option]) -> str:
    """The default where all owners have one, those of the others after it by name; "" where there is none."""
    owners: dict[str, list[str]] = {}
    for owner, option in options.items():
        owners.setdefault(shown(option.default), []).append(owner)
    ((usual, _), *others) = owners.items()
    parts = [f"default {usual}"] if usual else []
    parts += [f"{', '.join(names)} {value}" for value, names in others if value]
    return f" ({'; '.join(parts)})" if parts else ""


def shown(value: Any) -> str:
    """A default as it is typed on the command line; "" for none."""
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def members(annotation: Any) -> tuple[Any, ...]:
    """The types that an annotation allows, one by one, None left out."""
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        return tuple(kind for part in typing.get_args(annotation) for kind in members(part))
    return () if annotation in {None, types.NoneType} else (annotation,)


def reading(kinds: Sequence[Any]) -> dict[str, Any]:
    """How argparse reads values of these types."""
    literals = [value for kind in kinds if typing.get_origin(kind) is Literal for value in typing.get_args(kind)]
    lists = [typing.get_args(kind)[0] for kind in kinds if typing.get_origin(kind) in {Sequence, list, tuple}]
    if bool in kinds:
        return {"action": argparse.BooleanOptionalAction}
    if literals:
        return {"choices": literals}
    if lists:
        return {
            "type": _either(_list(lists[0]), text=str in kinds),
            "metavar": "N,N" if lists[0] is int else "NAME,NAME",
        }
    if float in kinds:
        return {"type": _either(real, text=str in kinds), "metavar": "HOW" if str in kinds else "X"}
    if int in kinds:
        return {"type": _either(whole, text=str in kinds), "metavar": "HOW" if str in kinds else "N"}
    return {"type": str if str in kinds else _json, "metavar": "NAME"}


def _either(read: Callable[[str], Any], *, text: bool) -> Callable[[str], Any]:
    """A reader that gives the text itself back where that is allowed and the reader cannot read it."""

    def either(value: str) -> Any:
        try:
            return read(value)
        except argparse.ArgumentTypeError:
            return value

    return either if text else read


def _list(kind: Any) -> Callable[[str], list[Any]]:
    """Values separated by commas; whole numbers by hyphens too, as papers write networks (200-200-500)."""

    def read(text: str) -> list[Any]:
        if kind is not int:
            return [value for value in text.split(",") if value]
        try:
            return [int(part) for part in re.sub(r"(?<=\d)-(?=\d)", ",", text).split(",")]
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"expected whole numbers separated by commas, got {text!r}") from error

    return read


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def groups() -> dict[str, list[Flag]]:
    """The flags of every part of an experiment."""
    return {
        "data": flags_of({"data": data_options()}),
        "training": flags_of({"training": options_of(Training)}),
        "ordering": flags_of({name: order_options(name) for name in orders()}),
        "sampling": flags_of({name: sampler_options(name) for name in SAMPLERS}),
        "objective": flags_of({name: named_objective_options(name) for name in objectives()}),
        "model": flags_of({name: model_options(name) for name in families()}),
    }


def add_flags(parser: Parser) -> None:
    """Put the flags on the parser of `fit`; one whose name is taken can be set with --set NAME=VALUE alone."""
    taken = {*parser.flags(), *(f"--{name.replace('_', '-')}" for name in WRITTEN_OUT)}
    parts = groups()
    of_model = {flag.name: flag for flag in parts["model"]}
    for part, flags in parts.items():
        group = parser.add_argument_group(TITLES[part])
        for flag in flags:
            name = f"--{flag.name.replace('_', '-')}"
            if name not in taken:
                taken.add(name)
                both = of_model.get(flag.name) if part == "objective" else None
                where, text, types = part, flag.help, flag.types
                if both is not None:
                    where, types = EITHER, tuple(dict.fromkeys((*flag.types, *both.types)))
                    text = f"{flag.help}; of these models, instead: {both.help}"
                # None means that the option was not given, which matters when a run is resumed
                options = {"dest": f"{where}.{flag.name}", "default": None, "help": text.replace("%", "%%")}
                group.add_argument(name, **options, **reading(types))


TITLES = {
    "data": "reading the data",
    "training": "training",
    "ordering": "batches (names in brackets: the values of --batches that have it, where not all have)",
    "sampling": "samplers (names in brackets: the samplers that have it, where not all have)",
    "objective": "objective (names in brackets: the objectives that have it, where not all have)",
    "model": "model (names in brackets: the models that have it, where not all have)",
}


def given(options: argparse.Namespace, part: str, model: str) -> dict[str, Any]:
    """The options of one part of the experiment that were given.

    Args:
        options: of the command line.
        part: of the experiment.
        model: name of the family: a flag that is an option of models and of objectives is the model's where it has it.
    """
    of_model = {option.name for option in model_options(model)}
    values = ((name.split("."), value) for name, value in vars(options).items())
    return {
        name[1]: value
        for name, value in values
        if len(name) == 2 and value is not None
        if name[0] == part or (name[0] == EITHER and part == ("model" if name[1] in of_model else "objective"))
    }
