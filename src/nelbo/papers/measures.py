"""What pages measure on finished runs beside their scores; each measure is kept as files in the run's folder."""

import bz2
import dataclasses
import gzip
import lzma
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.bayes import SharedParameters
from nelbo.codecs import BlockCoder, Networks, compress
from nelbo.core import Example, InputError, read_arrays, read_json, write_arrays, write_json
from nelbo.data import Source
from nelbo.evaluation import SHORT as SHORT_LADDER
from nelbo.evaluation import elbo, importance_bound, smoothing_error
from nelbo.models import Model, build
from nelbo.papers.completion import completion
from nelbo.papers.process_measures import contexts, healing
from nelbo.papers.quantization import quantization
from nelbo.papers.swaps import swaps
from nelbo.runs import Run, imputation_study, open_run, result_row, weight_rows
from nelbo.training import examples

FOLDER, ARRAYS = "measures", "measured arrays"
Rows = list[dict[str, Any]]
Measured = tuple[Rows, Mapping[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Study:
    """Numbers that belong to no run.

    Args:
        name: of it.
        title: what its table is called.
        make: gives its rows.
    """

    name: str
    title: str
    make: Callable[[], Rows]


def importance(
    key: Key[Array, ""],
    run: Run,
    data_dir: str | None,
    *,
    samples: int,
    rows: int | None = None,
    temperatures: int = SHORT_LADDER,
) -> Measured:
    """The importance-weighted bound of the (first) test rows; log Z, where there is one, by so many temperatures."""
    data, sources = run.data(data_dir=data_dir)
    test = sources["test"] if rows is None else sources["test"].head(rows)
    score = importance_bound(key, run.model, test, num_samples=samples, temperatures=temperatures)
    return [result_row(score, "iwae", "test", data, run.model)], {}


def imputation(key: Key[Array, ""], run: Run, data_dir: str | None, **arguments: Any) -> Measured:
    """Hidden entries of test rows, filled in; see `imputation_study`."""
    return imputation_study(key, run, data_dir=data_dir, **arguments)


GENERAL: dict[str, Callable[[bytes], bytes]] = {
    "gzip -9": lambda data: gzip.compress(data, 9),
    "bz2 -9": lambda data: bz2.compress(data, 9),
    "xz -9e": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
}


def dense(x: np.ndarray) -> bytes:
    """An array as a general compressor should get it: eight zeros and ones to a byte, else as it lies in memory."""
    return np.packbits(x.astype(bool)).tobytes() if x.size and x.max() <= 1 else x.tobytes()


def coded(key: Key[Array, ""], run: Run, data_dir: str | None, *, rows: int | None = None) -> Measured:
    """The (first) test rows as a `.nlb` file without the model, decoded and compared; beside general compressors."""
    data, sources = run.data(data_dir=data_dir)
    x = data.test.x[:rows]
    score = elbo(key, run.model, sources["test"].head(len(x)))
    sizes = {"nelbo": len(compress(run.model, x))}
    sizes |= {name: len(squeeze(dense(x))) for name, squeeze in GENERAL.items()}
    table = [
        {
            "coder": name,
            "bytes": size,
            "bits per dim": 8 * size / x.size,
            "-ELBO, bits per dim": score.bits_per_dim if name == "nelbo" else None,
            "examples": len(x),
            "data": data.name,
            "binarization": data.binarization,
        }
        for name, size in sizes.items()
    ]
    return table, {}


def alone(key: Key[Array, ""], run: Run, data_dir: str | None, *, rows: int) -> Measured:
    """Messages of one example each, starting bits included, in the codec's order and with all latents popped first."""
    del key
    data, _ = run.data(data_dir=data_dir)
    x = data.test.x[:rows].astype(np.int64)
    networks = Networks(run.model, x.shape[1:], 1)
    latents = range(1, len(networks.nodes))
    orders = {
        "Bit-Swap": networks.steps,
        "all latents first": [*(("pop", i) for i in latents), *(("push", i) for i in range(len(networks.nodes)))],
    }
    table = []
    for name, steps in orders.items():
        networks.steps = steps
        coder = BlockCoder(networks, 1, 1)
        bits = [8 * len(coder.encode(one.reshape(1, -1)).message) for one in x]
        table.append({"order": name, "bits an example alone": float(np.mean(bits)), "examples": len(x)})
    return table, {}


def steps(key: Key[Array, ""], run: Run, data_dir: str | None, *, rows: int, samples: int = 20) -> Measured:
    """The evidence lower bound of the first test rows after each step that the recognition model takes."""
    _, sources = run.data(data_dir=data_dir)
    test = sources["test"].head(rows)
    values = np.asarray(_bounds_by_step(key, run.model, test, test.take(np.arange(len(test))), samples), np.float64)
    table = [{"step": t, "ELBO": float(one), "test rows": len(test)} for t, one in enumerate(values.mean(0))]
    return table, {}


@eqx.filter_jit
def _bounds_by_step(key: Key[Array, ""], model: Model, data: Source, raw: Any, samples: int) -> Float[Array, "rows t"]:
    data_key, draw_key = jr.split(key)
    batch = examples(data_key, data, raw)

    def one(k: Key[Array, ""], x: Example) -> Float[Array, " t"]:
        path = model.recognition.path(x, model.generative)
        keys = jr.split(k, (len(path), samples))
        drawn = lambda row, q: jax.vmap(lambda each: model.draw(each, x, posterior=q).log_w)(row).mean()  # noqa: E731
        return jnp.stack([drawn(row, q) for row, q in zip(keys, path, strict=True)])

    return jax.vmap(one)(jr.split(draw_key, batch.values.shape[0]), batch)


def smoothing(
    key: Key[Array, ""],
    run: Run,
    data_dir: str | None,
    *,
    windows: list[int],
    batch_size: int,
    steps: int,
    rate: float,
    rows: int,
) -> Measured:
    """Bias and variance of averaged statistics on the (first) training rows, on a path from a fresh posterior."""
    data, _ = run.data(data_dir=data_dir)
    spec, start_key = run.model.spec, jr.fold_in(key, 1)
    if spec is None:
        raise InputError("This run's model has no specification to start anew from.")
    fresh = build(start_key, spec.name, spec.arguments)
    x = np.asarray(data.train.x[:rows], np.float32)
    options: dict[str, Any] = {"windows": windows, "batch_size": batch_size, "steps": steps, "rate": rate}
    return smoothing_error(key, fresh, x, **options), {}


def weights(key: Key[Array, ""], run: Run, data_dir: str | None) -> Measured:
    """The bound on the evidence of the training set, and what the posterior over the weights is made of.

    The standard deviations of each matrix of weights are a matrix too. Less their mean, "rank 1" and
    "rank 2" are the shares of their squares in one and two components, the least of them over all matrices.
    """
    shared = run.model.globals
    if not isinstance(shared, SharedParameters) or (marginals := shared.marginals(run.model)) is None:
        raise InputError("These weights have no normal posterior: train with --posterior mean-field or another.")
    data, sources = run.data(data_dir=data_dir)
    train = sources["train"]
    (row,) = weight_rows(key, run.model, len(train), {"train": (train, data)})
    matrices = [np.exp(np.asarray(leaf, np.float64)) for leaf in jax.tree.leaves(marginals.log_scale) if leaf.ndim == 2]
    squares = [np.linalg.svd(scales - scales.mean(), compute_uv=False) ** 2 for scales in matrices]
    shares = {f"rank {k}": min(float(s[:k].sum() / s.sum()) for s in squares) for k in (1, 2)}
    held = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(shared.posterior, eqx.is_array)))
    table = {"ELBO": row["nats"], "standard error": row["standard_error"], "KL of weights": row["weight_kl"]}
    return [table | {"scale parameters": held, **shares}], {}


MEASURES: dict[str, Callable[..., Measured]] = {
    "importance": importance,
    "imputation": imputation,
    "coded": coded,
    "steps": steps,
    "alone": alone,
    "smoothing": smoothing,
    "weights": weights,
    "completion": completion,
    "quantization": quantization,
    "contexts": contexts,
    "healing": healing,
    "swaps": swaps,
}


def measured_once(
    make: Callable[..., Measured], folder: Path, name: str, arguments: Mapping[str, Any], data_dir: str | None
) -> Rows:
    """The rows of a measure, from its file if that was made with the same arguments.

    Args:
        make: a function of `MEASURES`.
        folder: of the run.
        name: of the files.
        arguments: kind, seed, and what `make` takes.
        data_dir: a folder that holds named data sets.
    """
    path = folder / FOLDER / f"{name}.json"
    if path.is_file():
        kept = read_json(path)
        if isinstance(kept, dict) and kept.get("arguments") == dict(arguments):
            return kept["rows"]
    options = {key: value for key, value in arguments.items() if key not in {"kind", "seed"}}
    rows, arrays = make(jr.key(arguments["seed"]), open_run(folder), data_dir, **options)
    if arrays:
        write_arrays(path.with_suffix(".safetensors"), arrays, {"kind": ARRAYS})
    write_json(path, {"arguments": dict(arguments), "rows": rows})
    return rows


def measured_seeds(parts: Mapping[str, Mapping[str, Any]], kind: str, measure: str) -> Rows:
    """The first row of a measure of each part that is called `kind` and a number, in order."""
    found = [part["measures"] for name, part in parts.items() if name.rpartition("-")[0] == kind]
    return [measures[measure]["rows"][0] for measures in found if measure in measures]


def measured_arrays(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The arrays that a measure kept.

    Raises:
        InputError: they are missing or damaged.
    """
    return read_arrays(folder / FOLDER / f"{name}.safetensors", ARRAYS)[0]
