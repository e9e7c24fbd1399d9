"""Commands that read a run: evaluate, sample, embed, reconstruct, report."""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import jax.random as jr
import numpy as np

from nelbo.cli.output import counter, fetching, note, print_json, show_results
from nelbo.core import InputError, atomic_write, write_json
from nelbo.data import Data, Source
from nelbo.evaluation import topic_words, variance_report
from nelbo.report import image_grid, pair_grid, save_png, text_table, variance_figure, write_report
from nelbo.runs import (
    Run,
    add_result,
    check_columns_name,
    checked_seed,
    evaluation,
    in_user_units,
    is_named,
    open_run,
    result_row,
    shown,
    table_suffixes,
    write_columns,
)
from nelbo.tasks import embed as embed_data
from nelbo.tasks import reconstruct as reconstruct_data
from nelbo.tasks import sample as draw_samples
from nelbo.training import examples as read_examples


def _opened(options: argparse.Namespace, split: str | None) -> tuple[Run, Data, Source]:
    """The run, and the rows to use: those of a split, or all rows of a file that has none."""
    run = open_run(options.run)
    data, rows = run.rows(options.data, split, options.data_dir, fetching(options))
    for text in data.notes:
        note(options, text)
    return run, data, rows


def evaluate(options: argparse.Namespace) -> None:
    """Score a split and put the row into the run's record."""
    asked = evaluation(options.bound)
    count = asked.samples if options.samples is None else options.samples
    for name, value in (("--limit", options.limit), ("--samples", count)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, got {value}.")
    path = None if options.output is None else Path(options.output)
    run, data, examples = _opened(options, options.split)
    (split,) = data.splits
    if path is not None:
        check_columns_name(path, data)
    if options.limit is not None:
        examples = examples.head(options.limit)
    progress = counter(options, len(examples))
    key = jr.key(checked_seed(options.seed))
    score = asked.score(key, run.model, examples, num_samples=count, progress=progress)
    row = result_row(score, options.bound, split, data, run.model)
    add_result(run.folder, row)
    if path is not None:
        write_columns(path, data, {options.bound: score.per_example})
        note(options, f"Wrote {path}: the {options.bound} bound of each of {len(score.per_example)} rows [nats]")
    if options.json:
        print_json(row)
    else:
        show_results([row])


def _target(options: argparse.Namespace, run: Run, stem: str, suffixes: tuple[str, ...]) -> Path:
    """Where to write; checked before anything is computed.

    Raises:
        InputError: a suffix that cannot hold the result.
    """
    path = Path(options.output or run.folder / f"{stem}{suffixes[0]}")
    if path.suffix not in suffixes:
        raise InputError(f"Cannot write {path}: choose a name that ends in {' or '.join(suffixes)}.")
    if path.is_dir():
        raise InputError(f"Cannot write {path}: it is a folder; give the name of a file in it.")
    return path


def _suffixes(run: Run) -> tuple[str, ...]:
    """The forms that examples can be written in, the usual one first."""
    if run.is_picture:
        return (".png", ".npy")
    return (".npy", ".csv") if len(run.shape) == 1 else (".npy",)


def _write(path: Path, values: np.ndarray, picture: Callable[[], np.ndarray]) -> None:
    """Save as the suffix says."""
    if path.suffix == ".png":
        save_png(picture(), path)
        return
    stream = io.BytesIO()
    if path.suffix == ".npy":
        np.save(stream, values, allow_pickle=False)
    else:
        np.savetxt(stream, values, delimiter=",", fmt="%.8g")
    with atomic_write(path) as file:
        file.write(stream.getbuffer())


def _done(options: argparse.Namespace, path: Path, values: np.ndarray) -> None:
    if options.json:
        print_json({"file": str(path), "shape": list(values.shape)})
    else:
        note(options, f"Wrote {path}: {'x'.join(map(str, values.shape))}")


def sample(options: argparse.Namespace) -> None:
    """Draw from the generative model."""
    run = open_run(options.run)
    path = _target(options, run, "samples", _suffixes(run))
    values = draw_samples(jr.key(checked_seed(options.seed)), run.model, options.count, mean=options.mean)
    values = run.in_user_units(values)
    _write(path, values, lambda: image_grid(values / run.white))
    _done(options, path, values)


def reconstruct(options: argparse.Namespace) -> None:
    """Encode and decode the first examples of the test set."""
    run, data, examples = _opened(options, None)
    path = _target(options, run, "reconstructions", _suffixes(run))
    if not 1 <= options.count <= len(examples):
        what = "rows" if "rows" in data.splits else "test examples"
        raise InputError(f"-n must be between 1 and the {len(examples)} {what}, got {options.count}.")
    key = jr.key(checked_seed(options.seed))
    originals, means = reconstruct_data(key, run.model, examples, np.arange(options.count))
    means = in_user_units(data, means)
    _write(path, means, lambda: pair_grid(shown(originals) / run.white, means / run.white))
    _done(options, path, means)


def embed(options: argparse.Namespace) -> None:
    """Posterior means of a split."""
    run, data, rows = _opened(options, options.split)
    path = _target(options, run, "embedding", (".npy", *table_suffixes(data)))
    values = embed_data(jr.key(checked_seed(options.seed)), run.model, rows)
    write_columns(path, data, {f"z{i + 1}": column for i, column in enumerate(values.T)})
    _done(options, path, values)


def variance(options: argparse.Namespace) -> None:
    """Gradient noise of every estimator, as a table, a record and a plot."""
    run = open_run(options.run)
    own = options.data is None or is_named(options.data)
    _, data = run.rows(options.data, "train" if own else None, options.data_dir, fetching(options))
    if not 1 <= options.batch_size <= len(data):
        raise InputError(f"--batch-size must be between 1 and the {len(data)} examples, got {options.batch_size}.")
    data_key, key = jr.split(jr.key(checked_seed(options.seed)))
    batch = read_examples(data_key, data, data.take(np.arange(options.batch_size)))
    found = variance_report(key, run.model, batch, draws=options.draws)
    write_json(run.folder / "variance.json", {"batch_size": options.batch_size, "draws": options.draws, "rows": found})
    path = save_png(variance_figure(found), Path(options.output or run.folder / "figures" / "variance.png"))
    if options.json:
        print_json(found)
        return
    rows = [{"estimator": name} | {layer: f"{row['variance']:.3g}" for layer, row in layers.items()}
            for name, layers in found.items()]  # fmt: skip
    print(text_table(rows))
    note(options, f"Variance of the gradient of each layer, summed over its parameters; wrote {path}")


def topics(options: argparse.Namespace) -> None:
    """The strongest words of each latent."""
    run, data, _ = _opened(options, None)
    if data.vocabulary is None:
        raise InputError(f"{data.name} holds no words: topics are for runs on documents (sotu, newsgroups).")
    found = topic_words(run.model, data.vocabulary, count=options.count)
    if options.json:
        print_json(found)
    else:
        print("\n".join(f"{i:3d}  {' '.join(words)}" for i, words in enumerate(found)))


def report(options: argparse.Namespace) -> None:
    """One HTML page."""
    path = write_report(options.runs, options.output)
    if options.json:
        print_json({"file": str(path)})
    else:
        note(options, f"Wrote {path}")
