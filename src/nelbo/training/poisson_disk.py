"""Poisson-disk batches: examples that are no closer to each other than a radius, by dart throwing.

Source: Zhang, Oztireli, Mandt and Salvi (2019), Active Mini-Batch Sampling Using Repulsive Point Processes. The
variants with labels are as later implementations of the paper have them.
"""

import math
from typing import Any, Literal

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key
from sklearn.neighbors import NearestNeighbors

from nelbo.core import InputError
from nelbo.training.order import Stepwise

VARIANTS = {
    "vanilla": "darts fall uniformly, and every example keeps the radius",
    "easy": "darts fall uniformly, and only easy examples keep the radius: those whose neighbours are of their class",
    "dense": "as easy, and darts fall on every degree of mingling with other classes alike: often on their boundaries",
    "anneal": "as dense, and darts fall on easy examples first and on mingled ones later",
}
Variant = Literal["vanilla", "easy", "dense", "anneal"]
TRIES = 20  # of a batch that finds no room
# what the random numbers of a place are for: one dart after the other, the order in the batch, trials
_DARTS, _MIXING, _ROOM, _LARGEST, _SIMULATION = range(5)
_HALVINGS = 20


def mingling(features: Float[np.ndarray, "n d"], classes: np.ndarray, neighbours: int) -> Int[np.ndarray, " n"]:
    """How many of each example's nearest neighbours are of another class: 0 is easy, all of them is hard."""
    found = NearestNeighbors(n_neighbors=neighbours).fit(features).kneighbors(return_distance=False)
    return (classes[found] != classes[:, None]).sum(1)


class Darts:
    """Dart throwing without the darts that miss twice: candidates in a random order, each accepted where it has room.

    Args:
        features: a row for each example.
        keeps: which examples keep the radius; the others are accepted wherever they are.
    """

    def __init__(self, features: Float[np.ndarray, "n d"], keeps: Bool[np.ndarray, " n"]) -> None:
        self._x, self._keeps = features, keeps
        self._squares = (features**2).sum(1)

    def all_keeping(self) -> "Darts":
        """The same where every example keeps the radius."""
        return Darts(self._x, np.ones(len(self._x), bool))

    def throw(self, candidates: Int[np.ndarray, " c"], radius: float, size: int) -> Int[np.ndarray, " k"]:
        """The first accepted candidates, at most `size` of them: less where no more have room."""
        kept = np.zeros(0, np.int64)
        block = max(32, size)
        for start in range(0, len(candidates), block):
            some = candidates[start : start + block]
            places = np.concatenate([kept, some])
            near = self._near(some, places, radius)
            taken = np.arange(len(places)) < len(kept)
            for i, one in enumerate(some):
                if not (self._keeps[one] and (near[i] & taken).any()):
                    taken[len(kept) + i] = True
                    if taken.sum() == size:
                        return places[taken]
            kept = places[taken]
        return kept

    def _near(self, some: np.ndarray, others: np.ndarray, radius: float) -> Bool[np.ndarray, "some others"]:
        if radius <= 0:
            return np.zeros((len(some), len(others)), bool)
        squares = self._squares[some, None] + self._squares[others] - 2.0 * self._x[some] @ self._x[others].T
        return squares <= radius**2


class PoissonDisk(Stepwise):
    """Batches of examples that keep their distance.

    Args:
        key: for everything random.
        num_examples: N.
        batch_size: M.
        steps: of the run, over which annealing is spread.
        features: of the examples, see `features_of`.
        radius: in units of the root mean squared distance of two examples; None: the largest at which twice the batch
            has room.
        final_radius: to which it goes in a straight line over the run; None: it stays.
        variant: see `VARIANTS`.
        degrees: of mingling, see `mingling`; of the variants with labels.
        simulations: batches from which the probability b of each example is estimated, for weights 1 / (N b); 0: no
            weights, and the diversified risk.

    Raises:
        InputError: a radius that cannot be met, weights of what changes from step to step.
    """

    def __init__(
        self,
        key: Key[Array, ""],
        num_examples: int,
        batch_size: int,
        steps: int,
        *,
        features: Float[np.ndarray, "n d"],
        radius: float | None = None,
        final_radius: float | None = None,
        variant: Variant = "vanilla",
        degrees: Int[np.ndarray, " n"] | None = None,
        simulations: int = 0,
    ) -> None:
        """Ten parameters, because an order is what its options say."""
        super().__init__(key, num_examples, batch_size)
        self.variant, self._steps, self._degrees = variant, steps, degrees
        keeps = np.ones(num_examples, bool) if degrees is None else degrees == 0
        self._darts = Darts(features, keeps)
        self.radius = self._largest() if radius is None else float(radius)
        self.final_radius = self.radius if final_radius is None else float(final_radius)
        self._check_room()
        self._weights = self._estimated(simulations) if simulations else None

    def record(self) -> dict[str, Any]:
        """Variant, radius, and which risk is minimized."""
        moved = {} if self.final_radius == self.radius else {"final radius": round(self.final_radius, 4)}
        found = {"name": "poisson-disk", "variant": self.variant, "radius": round(self.radius, 4), **moved}
        if self._weights is None:
            return found | {"risk": "diversified"}
        ends = (float(self._weights.min()), float(self._weights.max()))
        return found | {"risk": "unbiased, with estimated probabilities", "weights": f"{ends[0]:.3g} to {ends[1]:.3g}"}

    def batch(self, step: int) -> Int[np.ndarray, " batch"]:
        """The examples of a step, in random order.

        Raises:
            InputError: no batch of many tries found room.
        """
        share = min(step / max(self._steps - 1, 1), 1.0)
        radius = (1.0 - share) * self.radius + share * self.final_radius
        found = np.zeros(0, np.int64)
        for attempt in range(TRIES):
            found = self._darts.throw(self._candidates(share, step, attempt, _DARTS), radius, self.batch_size)
            if len(found) == self.batch_size:
                mixed = np.argsort(self.bits(self.batch_size, step, attempt, _MIXING), kind="stable")
                return found[mixed].astype(np.int32)
        raise self._no_room(radius, len(found))

    def weights(self, indices: Int[np.ndarray, "steps batch"]) -> Float[np.ndarray, "steps batch"] | None:
        """M / (N b_i) where the mean is to be unbiased."""
        return None if self._weights is None else self._weights[indices]

    def _candidates(self, share: float, *place: int) -> Int[np.ndarray, " n"]:
        """All examples that darts may fall on, in the order in which they first do.

        Drawing with weights and leaving out what was drawn before is sorting exponential variables of these rates.
        """
        waits = -np.log1p(-self.uniforms(self.num_examples, *place))
        if self.variant in ("dense", "anneal") and self._degrees is not None:
            waits = waits / self._rates(share)[self._degrees]
        return np.argsort(waits, kind="stable")

    def _rates(self, share: float) -> Float[np.ndarray, " degrees"]:
        """How often darts fall on an example of each degree: a categorical distribution of degrees, over their number.

        Annealed, degree m of K has the weight (K + 1 - m) exp(-(K + 1 - m) t), t rising from 0 to 4 in the run.
        """
        degrees = self._degrees if self._degrees is not None else np.zeros(self.num_examples, np.int64)
        counts = np.bincount(degrees)
        ease = np.arange(len(counts), 0, -1.0)
        weight = ease * np.exp(-4.0 * share * (ease - 1.0)) if self.variant == "anneal" else np.ones(len(counts))
        return weight / np.maximum(counts, 1)

    def _largest(self) -> float:
        """The largest radius, by halving, at which one order of candidates holds twice the batch, or near N.

        It is the same for all variants: every example keeps it.
        """
        wanted = min(2 * self.batch_size, (self.batch_size + self.num_examples) // 2)
        low, high = 0.0, 4.0
        candidates, darts = self._candidates(0.0, 0, 0, _LARGEST), self._darts.all_keeping()
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            room = len(darts.throw(candidates, middle, wanted)) == wanted
            low, high = (middle, high) if room else (low, middle)
        return low

    def _check_room(self) -> None:
        if min(self.radius, self.final_radius) < 0 or not math.isfinite(self.radius + self.final_radius):
            raise InputError(f"A radius is a positive number or zero, got {self.radius} and {self.final_radius}.")
        widest, share = max((self.radius, 0.0), (self.final_radius, 1.0))
        counts = [
            len(self._darts.throw(self._candidates(share, i, 0, _ROOM), widest, self.batch_size)) for i in range(TRIES)
        ]
        if max(counts) < self.batch_size:
            raise self._no_room(widest, max(counts))

    def _no_room(self, radius: float, count: int) -> InputError:
        return InputError(
            f"At a radius of {radius:.4g} only {count} examples have room in a batch of {self.batch_size}: lower the "
            f"radius ({self._largest():.2g} leaves room) or the batch size."
        )

    def _estimated(self, simulations: int) -> Float[np.ndarray, " n"]:
        """M / (N b_i), b_i from simulated batches; one more batch in which all are alike keeps it off zero."""
        if self.variant == "anneal" or self.final_radius != self.radius:
            raise InputError(
                "Weights need probabilities that stay, but these batches are annealed: choose the risk diversified."
            )
        counts = np.full(self.num_examples, self.batch_size / self.num_examples)
        for i in range(simulations):
            found = self._darts.throw(self._candidates(0.0, i, 0, _SIMULATION), self.radius, self.batch_size)
            counts[found] += len(found) == self.batch_size
        return counts.mean() / counts
