"""Models on the command line: `compress` and `decompress` of a run's `model.safetensors`."""

import argparse
from pathlib import Path

import jax.random as jr

from nelbo.cli.output import Line, note, print_json
from nelbo.codecs import unpack_model
from nelbo.core import InputError, atomic_write, os_error, write_arrays
from nelbo.runs import LOSS, is_run, open_run, quantized_run


def _ending(path: Path, suffix: str) -> Path:
    if path.suffix != suffix or path.is_dir():
        raise InputError(f"Cannot write {path}: give the name of a file that ends in {suffix}.")
    return path


def compress_model(options: argparse.Namespace) -> None:
    """Write a run's model in fewer bits, and say what that cost.

    Raises:
        InputError: no run around the model, or a model that is not quantized.
    """
    path = Path(options.run)
    target = _ending(path.with_suffix(".nlb") if options.output is None else Path(options.output), ".nlb")
    if path.name != "model.safetensors" or not is_run(path.parent):
        raise InputError(f"{path} is not the model.safetensors of a run folder, whose data say what bits weigh: give "
                         "RUN/model.safetensors.")  # fmt: skip
    line = Line()
    show = None if options.quiet else lambda text: line.show(text, done=False)
    loss = LOSS if options.loss is None else options.loss
    found = quantized_run(
        jr.key(options.seed), open_run(path.parent), loss=loss, data_dir=options.data_dir, progress=show
    )
    with atomic_write(target) as file:
        file.write(found.data)
    size = len(found.data)
    row = {"file": str(target), "bytes": size, "weights": found.weights, "bits_per_weight": 8 * size / found.weights,
           "model_bytes": found.model_bytes, "gzip_bytes": found.gzip_bytes, "widths": found.widths,
           "trade": found.trade, "loss_asked": loss, "loss_foretold": found.predicted_loss, "bound": found.bound,
           "before": found.before, "after": found.after, "loss": found.before - found.after}  # fmt: skip
    if options.json:
        print_json(row)
        return
    print(f"{found.weights} weights in {size} bytes, {row['bits_per_weight']:.2f} bits each; float32 takes "
          f"{found.model_bytes} bytes, gzip -9 of it {found.gzip_bytes}.")  # fmt: skip
    print(f"{found.bound} of the test set: {found.before:.4f} before, {found.after:.4f} after [nats per example], "
          f"{row['loss']:.4f} lost; at most {loss:g} on the validation set was asked for.")  # fmt: skip
    note(options, f"Wrote {target}. Widths are from {found.widths}; they predict a loss of "
         f"{found.predicted_loss:.4f} nats per training example.")  # fmt: skip


def decompress_model(options: argparse.Namespace) -> None:
    """Write the `.safetensors` file of a model.

    Raises:
        InputError: a damaged file, or another model asked for.
    """
    if options.run is not None or options.context is not None:
        raise InputError(f"{options.file} holds a model, which needs neither --model nor --context: leave them out.")
    target = _ending(Path(options.output), ".safetensors")
    try:
        data = Path(options.file).read_bytes()
    except OSError as error:
        raise os_error("read", options.file, error) from error
    arrays, head = unpack_model(data)
    write_arrays(target, arrays, head)
    if options.json:
        print_json({"file": str(target), "arrays": len(arrays), "numbers": sum(one.size for one in arrays.values())})
    else:
        note(options, f"Wrote {target}: {len(arrays)} arrays")
