"""The second step of the recipe of the image codec: fits p(z) to the numbers that the sender really chooses.

    python benchmarks/image_choices.py PHOTOS OUT --rounds 2 --steps 4000

OUT holds `model.safetensors` of `benchmarks/image_codec.py`, whose p(z) has seen numbers rounded with a dead zone; the
sender weighs squared error and bits instead, and what it chooses is sparser. Each round codes crops with the model so
far, and then maximizes the prior terms of the same ELBO, log p(z), at these numbers; its other terms do not depend on
p(z). Rates of small steps are several times those of large ones, so each crop's rate counts in units of what crops of
its step take about. At the end every coefficient that is not zero is shown at the mean of what was coded as it.
`chosen.safetensors` is written into OUT. Interrupt it at any time: the same command goes on with the same bits.
"""

import argparse
import time
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from nelbo.codecs import codec_from
from nelbo.codecs.annealing import for_extent
from nelbo.codecs.band_networks import coarse
from nelbo.core import Example, read_arrays, write_arrays
from nelbo.data import LogSteps, crops_of
from nelbo.distributions import total_log_prob
from nelbo.models import load_model, named_arrays
from nelbo.objectives import Loss, Objective, ObjectiveState
from nelbo.priors import COLOURS, coarse_bands, image_bands

STEPS = (4.0, 110.0)  # grey levels
TYPICAL = 0.8  # rates fall as the step to this power, about
SHRINK = ".generative.layers[0].shrink"


class Prior(eqx.Module):
    """The layers of p(z), the finest band first."""

    layers: tuple[Any, ...]


class Chosen(Objective):
    """Log p(z) of given numbers, in units of a typical rate at their step.

    Args:
        size: of a block.
    """

    size: int = eqx.field(static=True)
    kind: ClassVar[Any] = "proxy"

    def init(self, key: Any, model: Any) -> ObjectiveState:
        """No state."""
        del key, model
        return ObjectiveState()

    def bounds(self, key: Any, model: Any, batch: Example) -> jax.Array:
        """Of each crop, mean over its coefficients."""
        del key
        ends = [int(end) for end in np.cumsum([part.size for part in image_bands(self.size)])]

        def one(x: Example) -> jax.Array:
            blocks = jnp.split(x.values, ends[:-1], axis=-1)
            squares = [x.context["squares"][..., part] for part in coarse_bands()]
            z, step = (*blocks[::-1], *squares[::-1]), x.context["step"]
            terms = [total_log_prob(layer(z[i + 1 :], step), z[i]) for i, layer in enumerate(model.layers)]
            return jnp.stack(terms).sum() / x.values.size * jnp.exp2(TYPICAL * (step[0] - 4.5))

        return jax.vmap(one)(batch)

    def __call__(self, key: Any, model: Any, batch: Example, state: ObjectiveState) -> tuple[Loss, ObjectiveState]:
        """Mean over the batch."""
        bound = self.bounds(key, model, batch).mean()
        return Loss(-bound, bound, {}), state


def choices(coder: Any, options: argparse.Namespace, seed: int) -> tuple[Example, np.ndarray]:
    """Numbers of crops as the sender chooses them, and the mean of what each coefficient lacks where it is not zero."""
    count, side = options.crops, options.side
    crops, _ = crops_of(options.photos, side, seed=seed)
    steps = np.round(8 * LogSteps(count, *options.between, seed)[:]).astype(int)
    order, size = np.concatenate(image_bands(coder.transform.size)), coder.transform.size
    blocks = np.empty((count, side // size, side // size, order.size), np.int16)
    squares = np.empty((count, side // size // 4, side // size // 4, 16 * COLOURS), np.int16)
    lack, used = np.zeros(COLOURS * size**2), np.zeros(COLOURS * size**2)
    for i, step in enumerate(steps[:, 0].tolist()):
        x = crops[np.array([i])][0]
        x = x[:, ::-1] if i & 1 else x
        x = x.swapaxes(0, 1) if i & 2 else x
        _, y = coder.encode(x.astype(float), step)
        blocks[i] = y[..., order]
        squares[i] = np.rint(coarse(y[..., np.arange(COLOURS) * size**2]))
        own = coder.transform.analysis(x - 128.0) * 2.0 ** (-step / 8)
        lack += (np.sign(y) * (y - own) * (y != 0)).sum((0, 1))
        used += (y != 0).sum((0, 1))
        if i % 200 == 0:
            print(f"{i} of {count} crops are coded", flush=True)
    lack[np.arange(COLOURS) * size**2] = 0.0  # these are no whole numbers
    found = Example(blocks, context={"squares": squares, "step": (steps / 8).astype(np.float32)})
    return found, lack / (used + 50.0)


def trained(prior: Prior, objective: Chosen, found: Example, options: argparse.Namespace, kept: Path) -> Prior:
    """The prior after its steps; a plain loop, whose steps XLA compiles in a minute and runs at full speed."""
    warm = min(200, options.steps // 10)
    rate = optax.warmup_cosine_decay_schedule(0.0, options.rate, warm, options.steps, 0.02 * options.rate)
    optimizer = optax.adam(rate)
    state = (prior, optimizer.init(eqx.filter(prior, eqx.is_array)))

    @eqx.filter_jit
    def step(state: Any, batch: Example) -> Any:
        prior, moments = state
        loss, slope = eqx.filter_value_and_grad(lambda one: -objective.bounds(None, one, batch).mean())(prior)
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats by its integer counts
            moves, moments = optimizer.update(slope, moments)
        return (eqx.apply_updates(prior, moves), moments), loss

    begun = 0
    if kept.exists():
        with np.load(kept) as file:
            begun = int(file["begun"])
            leaves, shape = jax.tree.flatten(state)
            state = jax.tree.unflatten(shape, [jnp.asarray(file[str(i)]) for i in range(len(leaves))])
    losses = []
    for number in range(begun, options.steps):
        which = np.random.default_rng([number, 5]).integers(found.values.shape[0], size=options.batch)
        batch = jax.tree.map(lambda leaf, which=which: jnp.asarray(leaf[which], jnp.float32), found)
        state, loss = step(state, batch)
        losses.append(float(loss))
        if number % 100 == 99 or number + 1 == options.steps:
            print(f"{number + 1} {time.process_time():.0f} s, {np.mean(losses[-100:]):.5f}", flush=True)
            whole = {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
            np.savez(kept, begun=number + 1, **whole)
    return state[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4000, help="of each round")
    parser.add_argument("--crops", type=int, default=2000, help="of each round")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4, help="crops a step")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--between", type=float, nargs=2, default=STEPS, help="least and greatest step, in grey levels")
    options = parser.parse_args()
    header = read_arrays(options.out / "model.safetensors", "model")[1]
    last = options.out / "model.safetensors"
    for number in range(options.rounds):
        written = options.out / f"round{number}.safetensors"
        if not written.exists():
            one_round(options, number, last, written, header)
        last = written
    finish(read_arrays(last, "model")[0], header, options)


def finish(arrays: dict[str, np.ndarray], header: dict[str, Any], options: argparse.Namespace) -> None:
    """Writes the model that shows every coefficient at the mean of what is coded as it."""
    arrays = arrays | {SHRINK: np.zeros_like(arrays[SHRINK])}
    lack = choices(codec_from(arrays, header["spec"], "the model").coder, options, 2)[1]
    write_arrays(options.out / "chosen.safetensors", arrays | {SHRINK: lack.astype(np.float32)}, header)


def one_round(options: argparse.Namespace, number: int, last: Path, written: Path, header: dict[str, Any]) -> None:
    """Codes crops with the model that was written last, and fits the next one to them."""
    model, arrays = for_extent(load_model(last), (options.side, options.side)), read_arrays(last, "model")[0]
    coder, kept = codec_from(arrays, header["spec"], str(last)).coder, options.out / f"round{number}.npz"
    if not kept.exists():
        found, _ = choices(coder, options, 3 + number)
        np.savez(kept, blocks=found.values, **found.context)
    with np.load(kept) as file:
        found = Example(file["blocks"], context={"squares": file["squares"], "step": file["step"]})
    prior = Prior(model.generative.layers[1:])
    fitted = trained(prior, Chosen(coder.transform.size), found, options, options.out / f"round{number}.state.npz")
    layers = (model.generative.layers[0], *fitted.layers)
    whole = eqx.tree_at(lambda one: one.generative.layers, model, layers)
    write_arrays(written, named_arrays(whole), header)


if __name__ == "__main__":
    main()
