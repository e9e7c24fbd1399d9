"""Which examples each step sees, and how much each of them counts: a function of the key and the step alone."""

import abc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key


class Feed(NamedTuple):
    """The batches of some steps.

    Args:
        indices: of the examples, a row for each step.
        weights: of the examples in the mean over their batch, see `Example.weight`; None: all are one.
    """

    indices: Int[np.ndarray, "steps batch"]
    weights: Float[np.ndarray, "steps batch"] | None


class Order(abc.ABC):
    """Abstract: the batches of a run. No state is carried from step to step, so a resumed run sees the same batches.

    Args:
        key: for everything random.
        num_examples: N.
        batch_size: M, at most N.
    """

    def __init__(self, key: Key[Array, ""], num_examples: int, batch_size: int) -> None:
        self._words = np.asarray(jr.key_data(key), np.uint32).ravel().tolist()
        self.num_examples, self.batch_size = num_examples, batch_size

    @abc.abstractmethod
    def feed(self, step: int, count: int, length: int) -> Feed:
        """The batches of steps `step` .. `step + count - 1`, and rows of zeros up to `length`."""

    @abc.abstractmethod
    def record(self) -> dict[str, Any]:
        """A description of the order as JSON, which the run's record holds; a resumed run must have an equal one."""

    def text(self) -> str:
        """The same in words."""
        return order_text(self.record())

    def bits(self, count: int, *place: int) -> np.ndarray:
        """Random 64-bit words that belong to a place (a step, a pass).

        NumPy guarantees that the bits of its bit generators never change, and there is nothing to compile.
        """
        return np.random.Philox(np.random.SeedSequence([*self._words, *place])).random_raw(count)

    def uniforms(self, count: int, *place: int) -> Float[np.ndarray, " count"]:
        """Random numbers in [0, 1) that belong to a place."""
        return (self.bits(count, *place) >> np.uint64(11)) * 2.0**-53


def order_text(record: Mapping[str, Any]) -> str:
    """What `Order.record` gives, in words."""
    name, *rest = (str(value) if key == "name" else f"{key} {value}" for key, value in record.items())
    return f"{name} ({', '.join(rest)})" if rest else name


# from the key, the number of examples, the batch size and the number of steps of a run to its order
OrderMaker = Callable[[Key[Array, ""], int, int, int], Order]


class Reshuffled(Order):
    """Endless passes, each in a new random order.

    A batch may span two passes, so every example is seen exactly once in a pass and no batch is short.
    """

    def __init__(self, key: Key[Array, ""], num_examples: int, batch_size: int, steps: int = 0) -> None:
        del steps
        super().__init__(key, num_examples, batch_size)
        self._passes: dict[int, np.ndarray] = {}

    def record(self) -> dict[str, Any]:
        """Its name."""
        return {"name": "reshuffled"}

    def _pass(self, epoch: int) -> np.ndarray:
        if epoch not in self._passes:
            self._passes = {e: p for e, p in self._passes.items() if e >= epoch - 1}
            self._passes[epoch] = np.argsort(self.bits(self.num_examples, epoch), kind="stable").astype(np.int32)
        return self._passes[epoch]

    def feed(self, step: int, count: int, length: int) -> Feed:
        """Batches cut from the passes one after the other."""
        indices = np.zeros((length, self.batch_size), np.int32)
        flat = indices[:count].reshape(-1)
        start, done = step * self.batch_size, 0
        while done < flat.size:
            epoch, offset = divmod(start + done, self.num_examples)
            part = self._pass(epoch)[offset : offset + flat.size - done]
            flat[done : done + part.size] = part
            done += part.size
        return Feed(indices, None)


class Stepwise(Order):
    """Abstract: an order whose batches are drawn one by one, each independently of the others."""

    @abc.abstractmethod
    def batch(self, step: int) -> Int[np.ndarray, " batch"]:
        """The examples of a step."""

    def weights(self, indices: Int[np.ndarray, "steps batch"]) -> Float[np.ndarray, "steps batch"] | None:
        """The weights of the examples; None: all are equal."""
        del indices
        return None

    def feed(self, step: int, count: int, length: int) -> Feed:
        """A batch for each step."""
        indices = np.zeros((length, self.batch_size), np.int32)
        for i in range(count):
            indices[i] = self.batch(step + i)
        return Feed(indices, self.weights(indices))


class Replacement(Stepwise):
    """Independent uniform draws with replacement in every step, as theories of stochastic gradients assume.

    The noise of reshuffled batches sums to zero over a pass; that of these does not.
    """

    def __init__(self, key: Key[Array, ""], num_examples: int, batch_size: int, steps: int = 0) -> None:
        del steps
        super().__init__(key, num_examples, batch_size)

    def record(self) -> dict[str, Any]:
        """Its name."""
        return {"name": "replacement"}

    def batch(self, step: int) -> Int[np.ndarray, " batch"]:
        """The examples of a step, which may contain one twice."""
        return (self.uniforms(self.batch_size, step) * self.num_examples).astype(np.int32)
