"""Draws that a sampler makes while the one loop trains, collected on the way.

The collector is a part of the optimizer's state, not a callback: callbacks are called between compiled calls, whose
length depends on the speed of the machine, while a draw belongs to the end of a certain step. In the state it costs no
call, is written into checkpoints with everything else, so that a resumed run has the draws of an unbroken one, and can
be mapped over chains.
"""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from nelbo.bayes.sampler import SamplerState
from nelbo.core import InputError, compiled
from nelbo.models import Globals, ModelSpec, with_globals, without_globals
from nelbo.nets import trainable

SAMPLES = "samples"  # what `Samples.described` is called


class Collected(NamedTuple):
    """A sampler's state and the draws so far.

    Args:
        sampler: its own state.
        draws: the parameters, with a leading axis of all draws that there will be.
        kinetic: mean kinetic temperature of the steps since the draw before, for each draw; None without momentum.
        configurational: the same of the configurational temperature.
        mean: of the iterates since the draw before; None where single iterates are drawn.
        since: sums of both temperatures since the draw before.
    """

    sampler: SamplerState
    draws: PyTree
    kinetic: Float[Array, " draws"] | None
    configurational: Float[Array, " draws"]
    mean: PyTree
    since: tuple[Float[Array, ""], Float[Array, ""]]


def collect(
    sampler: optax.GradientTransformation, *, draws: int, burn_in: int = 0, thin: int = 1, average: bool = False
) -> optax.GradientTransformation:
    """A sampler that keeps its parameters every `thin` steps after `burn_in`.

    The first draw is taken at the end of step `burn_in + thin`, the last at that of step `burn_in + draws * thin`; with
    `thin` the length of a cycle, and `burn_in` a multiple of it, draws are taken at the ends of cycles.

    Averages of T iterates of descent with a constant step have covariance A^-1 C A^-1 / (T S), whatever the step; with
    T = N / S, one pass, and C = A that is the posterior's, (N A)^-1: one pass, one draw (Mandt, Hoffman, Blei 2017,
    section 5.2).

    Args:
        sampler: of `nelbo.bayes`.
        draws: how many.
        burn_in: steps before the first one counts.
        thin: steps from draw to draw.
        average: a draw is the mean of the iterates since the draw before, and not the last of them.

    Raises:
        InputError: a number out of its range.
    """
    for name, value, least in (("draws", draws, 1), ("burn_in", burn_in, 0), ("thin", thin, 1)):
        if value < least:
            raise InputError(f"{name} must be at least {least} to collect draws, got {value}.")

    inner: Any = sampler  # whose state is one of nelbo.bayes, which optax knows nothing of

    def init(params: PyTree) -> Any:
        first = inner.init(params)
        rows, zero = jnp.zeros(draws, jnp.float32), jnp.zeros((), jnp.float32)
        return Collected(
            first,
            jax.tree.map(lambda leaf: jnp.zeros((draws, *leaf.shape), leaf.dtype), params),
            None if first.temperatures.kinetic is None else rows,
            rows,
            jax.tree.map(jnp.zeros_like, params) if average else None,
            (zero, zero),
        )

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        change, after = inner.update(updates, state.sampler, params)
        new = optax.apply_updates(params, change)
        past = after.count - burn_in
        place = jnp.where(past > 0, (past - 1) % thin, 0)  # of this step, from 0, since the draw before
        slot = (past - 1) // thin
        mean = state.mean
        if average:
            weight = 1.0 / (jnp.asarray(place, jnp.float32) + 1.0)
            mean = new = jax.tree.map(lambda m, p: m + weight * (p - m), mean, new)
        now = tuple(jnp.zeros(()) if t is None else t for t in after.temperatures)
        since = tuple(jnp.where(place == 0, 0.0, old) + heat for old, heat in zip(state.since, now, strict=True))
        kept = (state.draws, state.kinetic, state.configurational)
        fresh = (new, None if state.kinetic is None else since[0] / thin, since[1] / thin)
        due = (past > 0) & (place == thin - 1) & (slot < draws)
        kept = jax.lax.cond(
            due, lambda k: jax.tree.map(lambda rows, row: rows.at[slot].set(row), k, fresh), lambda k: k, kept
        )
        draws_now, kinetic, configurational = kept
        return change, Collected(after, draws_now, kinetic, configurational, mean, (since[0], since[1]))

    return optax.GradientTransformation(init, update)


def collected(state: Any, *, burn_in: int = 0, thin: int = 1) -> Collected:
    """The collector's state inside an optimizer's state, cut to the draws that have been taken.

    Args:
        state: of an optimizer, `fit(...).state.carry.optimizer` for example.
        burn_in: as of `collect`.
        thin: as of `collect`.

    Raises:
        InputError: there is no collector, or it has no draw yet.
    """
    parts = jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, Collected))
    found = [part for part in parts if isinstance(part, Collected)]
    if not found:
        raise InputError("This optimizer collects no draws: wrap its sampler in nelbo.bayes.collect.")
    (whole,) = found
    capacity = len(whole.configurational)
    taken = min(capacity, (int(whole.sampler.count) - burn_in) // thin)
    if taken < 1:
        raise InputError(
            f"No draw was taken in {int(whole.sampler.count)} steps: the first one comes after {burn_in + thin}; train "
            "longer, or shorten burn_in or thin."
        )
    cut = lambda rows: rows[:taken]  # noqa: E731
    kinetic = None if whole.kinetic is None else cut(whole.kinetic)
    return whole._replace(
        draws=jax.tree.map(cut, whole.draws), kinetic=kinetic, configurational=cut(whole.configurational)
    )


class Samples(Globals):
    """A posterior that is draws: what a sampler has collected.

    Args:
        stored: the drawn arrays in the model's structure, each with a leading axis of draws; None elsewhere.
    """

    stored: PyTree
    in_bound: ClassVar[bool] = False
    of_family: ClassVar[bool] = False

    @property
    def count(self) -> int:
        """How many draws are stored."""
        return jax.tree.leaves(self.stored)[0].shape[0]

    @property
    def distinct_draws(self) -> int:
        """Those that are stored."""
        return self.count

    def sample(self, key: Key[Array, ""], model: Any) -> Any:
        """The model with one of the stored draws, and no globals."""
        return self._with(model, jr.randint(key, (), 0, self.count))

    def draws(self, key: Key[Array, ""], model: Any, count: int) -> Any:
        """The model with `count` stored draws, evenly chosen in their order, along a leading axis of every array.

        Arrays that are not drawn are repeated, so that the result can be mapped over; so are draws, each about as often
        as the others, where more are asked for than are stored.

        Raises:
            InputError: no draw is asked for.
        """
        del key  # nothing is left to chance
        if count < 1:
            raise InputError(f"Predictions are averaged over at least one draw of what is shared, got {count}.")
        chosen = jnp.asarray([int((i + 0.5) * self.count / count) for i in range(count)], jnp.int32)
        return eqx.combine(_chosen(self, model, chosen), without_globals(model))

    def described(self) -> ModelSpec:
        """How many draws there are: the rest is the model's."""
        return ModelSpec.of(SAMPLES, count=self.count)

    def cost(self, key: Key[Array, ""], model: Any) -> Float[Array, ""]:
        """Draws have no density.

        Raises:
            InputError: always.
        """
        del key, model
        raise InputError("A posterior that is stored draws cannot be trained further: train the model without it.")

    def _with(self, model: Any, index: Int[Array, ""]) -> Any:
        return eqx.combine(jax.tree.map(lambda rows: rows[index], self.stored), without_globals(model))


@compiled
def _chosen(samples: Samples, model: Any, places: Int[Array, " draws"]) -> Any:
    return jax.vmap(lambda i: eqx.filter(samples._with(model, i), eqx.is_array))(places)  # noqa: SLF001


def with_samples(model: Any, draws: PyTree) -> Any:
    """The model whose globals are draws.

    Args:
        model: that was trained; its own globals, if any, are replaced.
        draws: its trained arrays with a leading axis, `Collected.draws.model` of a fit.
    """
    return with_globals(model, Samples(without_globals(draws)))


def described_samples(spec: ModelSpec, model: Any) -> Any:
    """The model with as many draws as a specification says, all of them its own arrays.

    Raises:
        InputError: the specification does not say how many.
    """
    count = spec.arguments.get("count")
    if not isinstance(count, int) or count < 1:
        raise InputError(f"Stored draws must say how many there are, got {count!r}.")
    plain = without_globals(model)
    params = eqx.filter(plain, trainable(plain))
    return with_globals(model, Samples(jax.tree.map(lambda leaf: jnp.stack([leaf] * count), params)))
