"""`nelbo compress`: of pictures with loss or without, of models with loss, of everything else without."""

import argparse
from pathlib import Path

from nelbo.cli.commands import Command
from nelbo.cli.parser import Parser, data_folder, split
from nelbo.core import InputError
from nelbo.data import picture_files, picture_names

CONTEXT = "for a conditional model: a .npy file with a row of numbers, or the number of a label, for each example"
_OF_ARRAYS = ("data", "split", "data_dir", "context", "block")
_NO_PICTURES = (
    ".npy",
    ".npz",
    ".nlb",
    ".csv",
    ".tsv",
    ".parquet",
    ".feather",
    ".xlsx",
)  # what has another name may be a picture


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN|PICTURE|MODEL", help="a run folder, whose data are compressed; or a picture or a folder of pictures; or a run's model.safetensors, whose weights are compressed")  # fmt: skip  # noqa: E501
    parser.add_argument("data", nargs="?", metavar="DATA", help="a .npy file, whose array is coded as it is; or a named set, another file or a folder (default: the run's own data)")  # fmt: skip  # noqa: E501
    data_folder(parser)
    split(parser)
    parser.add_argument("--block", type=int, metavar="N", help="examples in a block (default 16384)")
    parser.add_argument("--self-contained", action="store_true", help="store the model in the file")
    parser.add_argument("--no-verify", action="store_true", help="write blocks without decoding them first as a check")
    parser.add_argument("--context", metavar="FILE", help=CONTEXT)
    parser.add_argument(
        "--quality", type=float, metavar="Q", help="for pictures: 0 (smallest file) to 100 (default 50)"
    )
    parser.add_argument("--lossless", action="store_true", help="for pictures: restore every pixel exactly")
    parser.add_argument("--refine", type=int, default=0, metavar="N", help="for pictures: N steps of stochastic Gumbel annealing towards a shorter file (default 0)")  # fmt: skip  # noqa: E501
    parser.add_argument("--gaps", action="store_true", help="for pictures, with --refine: report the amortization, discretization and marginalization gaps")  # fmt: skip  # noqa: E501
    parser.add_argument("--model", dest="codec", metavar="RUN", help="for pictures: a run of image-codec or convolutional-codec, or its model.safetensors (default: the codec that comes with nelbo)")  # fmt: skip  # noqa: E501
    parser.add_argument("--loss", type=float, metavar="NATS", help="for models: how much the bound of an example may fall (default 0.1)")  # fmt: skip  # noqa: E501
    parser.add_argument("-o", "--output", metavar="FILE", help="a .nlb file (default RUN/data.nlb, or the picture's name); for a folder of pictures, a folder")  # fmt: skip  # noqa: E501


def _pictures(path: Path) -> list[Path] | None:
    """The pictures that were named, or None where a run was."""
    if path.is_dir():
        holds_run = any((path / name).exists() for name in ("config.json", "record.json", "model.safetensors"))
        return None if holds_run else picture_files(path)
    suffix = path.suffix.lower()
    return [path] if suffix in picture_names() or (path.exists() and suffix not in _NO_PICTURES) else None


def _given(options: argparse.Namespace, *names: str) -> bool:
    return any(vars(options)[name] is not None for name in names)


def _run(options: argparse.Namespace) -> None:
    if not options.run:  # as of an unset variable of a shell; it would be the folder that one is in
        raise InputError("An empty name was given: name a run folder, a picture or a folder of pictures.")
    if Path(options.run).suffix == ".safetensors":
        switched = options.refine or options.self_contained or options.lossless or options.gaps or options.no_verify
        if _given(options, "data", "split", "context", "quality", "codec", "block") or switched:
            raise InputError(
                f"{options.run} is a model, of which --loss, --data-dir and -o are asked: leave the rest out."
            )
        from nelbo.cli.weights import compress_model

        compress_model(options)
        return
    if options.loss is not None:
        raise InputError(f"--loss is for models (RUN/model.safetensors), and {options.run} is none.")
    files = _pictures(Path(options.run))
    if files is None:
        if _given(options, "quality", "codec") or options.refine or options.gaps or options.lossless:
            what = "is none" if Path(options.run).exists() else "does not exist: check the path"
            raise InputError(
                f"--quality, --lossless, --refine, --gaps and --model are for pictures, and {options.run} {what}."
            )
        from nelbo.cli.codec import compress  # loads JAX, for which pictures do not wait

        compress(options)
        return
    if _given(options, *_OF_ARRAYS) or options.self_contained or options.no_verify:
        raise InputError(f"{options.run} holds pictures, which have no splits, blocks, contexts or models inside: leave these options out.")  # fmt: skip  # noqa: E501
    if options.lossless and (options.quality is not None or options.refine or options.gaps):
        raise InputError("--lossless keeps every pixel, so --quality, --refine and --gaps have no part in it: leave them out.")  # fmt: skip  # noqa: E501
    from nelbo.cli.pictures import compress_pictures

    compress_pictures(options, files)


COMMAND = Command(
    (
        "nelbo compress photo.png -o photo.nlb --quality 50",
        "nelbo compress photo.png -o exact.nlb --lossless",
        "nelbo compress photo.png --quality 30 --refine 100 --gaps",
        "nelbo compress photos/ -o packed/ --model runs/codec",
        "nelbo compress runs/digits -o digits.nlb --self-contained",
        "nelbo compress runs/mnist mnist --split valid --data-dir data/ --block 1000 --no-verify -o valid.nlb",
        "nelbo compress runs/conditional images.npy --context labels.npy -o images.nlb",
        "nelbo compress runs/digits/model.safetensors -o model.nlb --loss 0.1",
    ),
    _arguments,
    _run,
)
