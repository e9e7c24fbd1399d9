"""Every command's arguments. Nothing here imports JAX, so that --help answers at once."""

import argparse
import difflib
import math
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from nelbo._version import __version__

DESCRIPTION = "Deep latent variable models with learned recognition models: train, score, sample, embed, compress."
EPILOG = """examples:
  nelbo fit vae --data digits --out runs/digits
  nelbo evaluate runs/digits --bound iwae --samples 1000
  nelbo report runs/digits

Likelihoods are in nats per example unless another unit is named.
Exit codes: 0 done, 1 training diverged, 2 bad input, 130 interrupted with the state saved."""


class Parser(argparse.ArgumentParser):
    """Errors are one sentence, with the nearest valid word."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # an abbreviation that works today would mean another option tomorrow
        super().__init__(*arguments, **{"allow_abbrev": False, **options})
        self.register("type", int, whole)
        self.register("type", float, real)

    def error(self, message: str) -> NoReturn:
        """Print one sentence and exit with code 2."""
        if "invalid choice: " in message and "(choose from" in message:
            typed = message.split("invalid choice: ")[1].split(" (choose", maxsplit=1)[0].strip("'")
            listed = message.split("(choose from ")[1].rstrip(")")
            names = [name.strip().strip("'") for name in listed.split(",")]
            near = difflib.get_close_matches(typed, names, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            message = f"unknown word {typed!r}: {hint}choose one of {', '.join(names)}"
        elif message.startswith("unrecognized arguments: "):
            typed = message.removeprefix("unrecognized arguments: ").split()[0]
            near = difflib.get_close_matches(typed.split("=")[0], list(self._option_string_actions), n=1, cutoff=0.5)
            hint = f", did you mean {near[0]}?" if near and typed.startswith("-") else ""
            message = f"unknown option {typed}{hint}" if typed.startswith("-") else f"one word too many, {typed!r}"
        print(f"{self.prog}: {message}; see `{self.prog} --help`.".replace("?;", "?"), file=sys.stderr)
        sys.exit(2)


def whole(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from error


def real(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from error
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {text!r}")
    return value


def numbers(text: str) -> list[int]:
    """Whole numbers separated by commas."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected whole numbers separated by commas, got {text!r}") from error


def _sizes(text: str) -> list[int]:
    """As `numbers`, or with hyphens between them, as papers write networks (200-200-500)."""
    return numbers(re.sub(r"(?<=\d)-(?=\d)", ",", text))


def _number_or_name(text: str) -> float | str:
    try:
        return real(text)
    except argparse.ArgumentTypeError:
        return text


def _number_or_word(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _setting(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def _common() -> Parser:
    common = Parser(add_help=False)
    group = common.add_argument_group("everywhere")
    group.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    group.add_argument("--json", action="store_true", help="print the result as JSON on standard output")
    group.add_argument("--quiet", action="store_true", help="no progress and no comments")
    return common


def _data(parser: argparse.ArgumentParser, *, default: str) -> None:
    group = parser.add_argument_group("data")
    group.add_argument("--data", metavar="NAME|PATH", help=f"a named set, a file or a folder (default {default})")
    group.add_argument("--data-dir", metavar="DIR", help="a folder that holds named sets (or set NELBO_DATA)")


def _reading_options(data: "argparse._ArgumentGroup") -> None:
    data.add_argument("--binarize", metavar="HOW", help="static, dynamic, threshold or none (grey named sets: static)")
    data.add_argument("--binarize-seed", type=int, metavar="N", help="of static binarization (default 0)")
    data.add_argument("--no-header", action="store_false", dest="header", default=None, help="the first line of the table holds values, not names")  # fmt: skip  # noqa: E501
    data.add_argument("--header", action="store_true", default=None, help="the first line of the table holds names")
    data.add_argument("--columns", nargs="+", metavar="NAME", help="the columns of the table to model (all numbers)")
    data.add_argument("--ignore", nargs="+", metavar="NAME", help="columns of the table to set aside")


def _command(commands: "argparse._SubParsersAction[Parser]", name: str, text: str, example: str) -> Parser:
    return commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common()],
    )


def _fit(commands: "argparse._SubParsersAction[Parser]") -> None:
    fit = _command(commands, "fit", "train a model and score it on the test set", "nelbo fit vae --data mnist --out runs/mnist --latents 20 --epochs 100")  # fmt: skip  # noqa: E501
    fit.add_argument("model", nargs="?", help="see `nelbo models list` (default vae)")
    fit.add_argument("--out", metavar="DIR", help="run folder (default runs/MODEL-DATA)")
    fit.add_argument("--resume", action="store_true", help="go on with the run in --out, with its own settings")
    fit.add_argument("--overwrite", action="store_true", help="replace the run in --out")
    fit.add_argument("--checkpoint-seconds", type=float, default=30.0, metavar="S", help="least time between checkpoints (default 30; 0: as often as can be)")  # fmt: skip  # noqa: E501
    fit.add_argument("--no-figures", action="store_true", help="draw no pictures at the end")
    fit.add_argument("--train-only", action="store_false", dest="score", default=None, help="no validation, no test score, no pictures: only train, and keep the last parameters")  # fmt: skip  # noqa: E501
    # None means that the option was not given, which matters when a run is resumed
    fit.set_defaults(seed=None)
    _data(fit, default="digits")
    data = fit.add_argument_group("reading the data")
    _reading_options(data)
    data.add_argument("--split-seed", type=int, metavar="N", help="of splits that the data do not bring (default 0)")
    model = fit.add_argument_group("model")
    model.add_argument("--latents", type=int, metavar="N", help="number of latent variables")
    model.add_argument("--layers", type=_sizes, metavar="N,N", help="sizes of latent layers, next to the data first")
    model.add_argument("--recognition", metavar="NAME", help="factorial or autoregressive (binary latents)")
    model.add_argument("--recognition-hidden", type=numbers, metavar="N,N", help="hidden layers between two of q")
    model.add_argument("--hidden", type=numbers, metavar="N,N", help="widths of hidden layers")
    model.add_argument("--likelihood", metavar="NAME", help="distribution of the data given the latents")
    model.add_argument("--posterior", metavar="NAME", help="covariance of q(z|x): diagonal, rank-one, low-rank or full")
    model.add_argument("--architecture", metavar="NAME", help="mlp or conv")
    model.add_argument("--channels", type=numbers, metavar="N,N", help="of the convolutions")
    model.add_argument("--activation", metavar="NAME", help="of hidden units: tanh, relu, gelu, ...")
    model.add_argument("--init", type=_number_or_name, metavar="HOW", help="glorot, or a standard deviation")
    model.add_argument("--components", type=int, metavar="N", help="of a mixture")
    model.add_argument("--order", type=_number_or_word, metavar="HOW", help="of the entries in NADE: raster, or the seed of a random one")  # fmt: skip  # noqa: E501
    model.add_argument("--missing", metavar="NAME", help="what q sees of missing entries: zero, mean or mask")
    model.add_argument("--set", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="any other option of the model (`nelbo models show MODEL`)")  # fmt: skip  # noqa: E501
    objective = fit.add_argument_group("objective")
    objective.add_argument("--objective", metavar="NAME", help="sgvb, full-vb, stochastic-backpropagation, nvil, vimco, iwae, wake-sleep, rws, darn or straight-through (default nvil for binary latents, else sgvb)")  # fmt: skip  # noqa: E501
    objective.add_argument("--form", metavar="NAME", help="of SGVB: A, B or path (default B); of IWAE: plain, dreg or stl (default dreg)")  # fmt: skip  # noqa: E501
    objective.add_argument("--samples", type=int, metavar="N", help="draws of z for each example (default 1; vimco, iwae and rws 5)")  # fmt: skip  # noqa: E501
    objective.add_argument("--beta", type=float, metavar="X", help="weight of the KL part (default 1)")
    objective.add_argument("--warmup", type=float, metavar="EPOCHS", help="raise the KL weight from 0 over so many")
    objective.add_argument("--weight-prior", type=float, metavar="SCALE", help="N(0, SCALE^2) prior on the decoder")
    objective.add_argument("--input-noise", metavar="KIND", help="what q sees: bit-flip, drop-out, gaussian or hide")
    objective.add_argument("--noise-rate", type=float, metavar="X", help="of the input noise (default 0.1)")
    objective.add_argument("--objective-set", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="any other option of the objective, such as local=false for nvil")  # fmt: skip  # noqa: E501
    training = fit.add_argument_group("training")
    training.add_argument("--epochs", type=float, metavar="X", help="passes over the training data (default 30)")
    training.add_argument("--batch-size", type=int, metavar="N", help="examples a step (default 100)")
    training.add_argument("--optimizer", metavar="NAME", help="adam, adagrad, rmsprop, ... (default adam)")
    training.add_argument("--learning-rate", type=float, metavar="X", help="the first one")
    training.add_argument("--schedule", metavar="NAME", help="constant, cosine or linear (default constant)")
    training.add_argument("--clip", type=float, metavar="X", help="largest norm of the gradient")
    training.add_argument("--evaluate-every", type=int, metavar="STEPS", help="steps between validations (one pass)")
    training.add_argument("--patience", type=int, metavar="N", help="stop after N validations with no better bound")
    training.add_argument("--keep", choices=["best", "last"], help="parameters to keep (default best)")


def _use(commands: "argparse._SubParsersAction[Parser]") -> None:
    evaluate = _command(commands, "evaluate", "score a run's model", "nelbo evaluate runs/mnist --bound iwae --samples 5000")  # fmt: skip  # noqa: E501
    evaluate.add_argument("run", metavar="RUN", help="run folder")
    evaluate.add_argument(
        "--bound",
        choices=["elbo", "iwae", "exact"],
        default="elbo",
        help="default elbo; exact: log p(x), where it has a closed form",
    )
    evaluate.add_argument(
        "--samples", type=int, metavar="K", help="draws for each example (default: elbo 100, iwae 5000)"
    )
    evaluate.add_argument("--split", choices=["train", "valid", "test"], help="default test; all rows of a file without splits")  # fmt: skip  # noqa: E501
    evaluate.add_argument("--limit", type=int, metavar="N", help="only the first N examples")
    evaluate.add_argument("-o", "--output", metavar="FILE", help="write the bound of each row: .npy, or a table")
    _data(evaluate, default="the run's own")
    sample = _command(commands, "sample", "draw examples from a run's model", "nelbo sample runs/mnist -n 64")
    sample.add_argument("run", metavar="RUN", help="run folder")
    sample.add_argument("-n", "--count", type=int, default=64, metavar="N", help="how many (default 64)")
    sample.add_argument("--mean", action="store_true", help="E[x | z] instead of draws of x")
    sample.add_argument("-o", "--output", metavar="FILE", help="a .npy or .png file (default RUN/samples.png)")
    embed = _command(commands, "embed", "give the latent coordinates of data", "nelbo embed runs/digits digits -o z.npy")  # fmt: skip  # noqa: E501
    embed.add_argument("run", metavar="RUN", help="run folder")
    embed.add_argument("data", nargs="?", metavar="DATA", help="a named set, a file or a folder (the run's own)")
    embed.add_argument("--data-dir", metavar="DIR", help="a folder that holds named sets (or set NELBO_DATA)")
    embed.add_argument("--split", choices=["train", "valid", "test"], help="default test; all rows of a file without splits")  # fmt: skip  # noqa: E501
    embed.add_argument("-o", "--output", metavar="FILE", help="a .npy or .csv file (default RUN/embedding.npy)")
    reconstruct = _command(commands, "reconstruct", "encode and decode data", "nelbo reconstruct runs/mnist -n 10")
    reconstruct.add_argument("run", metavar="RUN", help="run folder")
    reconstruct.add_argument("-n", "--count", type=int, default=10, metavar="N", help="how many (default 10)")
    reconstruct.add_argument(
        "-o", "--output", metavar="FILE", help="a .npy or .png file (default RUN/reconstructions.png)"
    )
    _data(reconstruct, default="the run's own")
    variance = _command(commands, "variance", "compare gradient estimators on a batch of a run's training data", "nelbo variance runs/mnist --batch-size 20")  # fmt: skip  # noqa: E501
    variance.add_argument("run", metavar="RUN", help="run folder")
    variance.add_argument("--batch-size", type=int, default=20, metavar="N", help="examples in the batch (default 20)")
    variance.add_argument("--draws", type=int, default=100, metavar="N", help="gradients of each (default 100)")
    variance.add_argument("-o", "--output", metavar="FILE", help="a .png file (default RUN/figures/variance.png)")
    _data(variance, default="the run's own")
    topics = _command(commands, "topics", "print the strongest words of each latent of a run on documents", "nelbo topics runs/sotu -n 10")  # fmt: skip  # noqa: E501
    topics.add_argument("run", metavar="RUN", help="run folder")
    topics.add_argument("-n", "--count", type=int, default=10, metavar="N", help="words of each (default 10)")
    _data(topics, default="the run's own")
    report = _command(commands, "report", "write one self-contained HTML page about runs", "nelbo report runs/mnist")
    report.add_argument("runs", nargs="+", metavar="RUN", help="run folders")
    report.add_argument("-o", "--output", metavar="FILE", help="default RUN/report.html")


def _impute(commands: "argparse._SubParsersAction[Parser]") -> None:
    impute = _command(commands, "impute", "fill in missing entries", "nelbo impute runs/mnist --hide 0.6")
    impute.add_argument("run", metavar="RUN", help="run folder")
    impute.add_argument("data", nargs="?", metavar="DATA", help="a named set, a file or a folder; NaN is missing (the run's own)")  # fmt: skip  # noqa: E501
    impute.add_argument("--data-dir", metavar="DIR", help="a folder that holds named sets (or set NELBO_DATA)")
    impute.add_argument("--split", choices=["train", "valid", "test"], help="default test; all rows of a file without splits")  # fmt: skip  # noqa: E501
    impute.add_argument("--limit", type=int, metavar="N", help="only the first N rows")
    impute.add_argument("--mask", metavar="FILE", help=".npy, .npz or .csv: 1 where observed, of all rows or of one example")  # fmt: skip  # noqa: E501
    impute.add_argument("--hide", metavar="HOW", help="hide known entries and score: a share, square:SIDE or grid:STEP")
    impute.add_argument(
        "--method",
        default="metropolis",
        metavar="NAME",
        help="metropolis (default), chain, resample, importance or hmc",
    )
    impute.add_argument(
        "--steps", type=int, default=50, metavar="N", help="moves of each chain, trajectories of hmc (default 50)"
    )
    impute.add_argument("--draws", type=int, default=19, metavar="N", help="completions of each row (default 19)")
    impute.add_argument("--proposals", type=int, default=100, metavar="N", help="draws to resample from (default 100)")
    impute.add_argument("--noise", metavar="KIND:X", help="what is given is noisy: bit-flip:RATE or gaussian:SD")
    impute.add_argument("--add-noise", action="store_true", help="put that noise on the data first, and score")
    impute.add_argument("--compare", action="store_true", help="with --hide: mean filling and nearest neighbours too")
    impute.add_argument("--film", metavar="FILE", help="a .png of the paper's chain (default RUN/imputation.png)")
    impute.add_argument(
        "-o", "--output", metavar="FILE", help=".npz (all), .npy, .csv or .png (default RUN/imputed.npz)"
    )


def _codec(commands: "argparse._SubParsersAction[Parser]") -> None:
    compress = _command(commands, "compress", "code data without loss, in about -ELBO bits", "nelbo compress runs/mnist -o mnist.nlb")  # fmt: skip  # noqa: E501
    compress.add_argument("run", metavar="RUN", help="run folder")
    compress.add_argument("data", nargs="?", metavar="DATA", help="a .npy file, coded as it is, or a named set, another file or a folder (the run's own)")  # fmt: skip  # noqa: E501
    compress.add_argument("--data-dir", metavar="DIR", help="a folder that holds named sets (or set NELBO_DATA)")
    compress.add_argument("--split", choices=["train", "valid", "test"], help="default test; all rows of a file without splits")  # fmt: skip  # noqa: E501
    compress.add_argument("--block", type=int, default=16384, metavar="N", help="examples in a block (default 16384)")
    compress.add_argument("--self-contained", action="store_true", help="put the model into the file")
    compress.add_argument("--no-verify", action="store_true", help="do not decode every block before it is written")
    compress.add_argument("-o", "--output", metavar="FILE", help="a .nlb file (default RUN/data.nlb)")
    decompress = _command(commands, "decompress", "give back what was compressed, as it was", "nelbo decompress mnist.nlb --model runs/mnist -o back.npy")  # fmt: skip  # noqa: E501
    decompress.add_argument("file", metavar="FILE", help="a .nlb file")
    decompress.add_argument("--model", dest="run", metavar="RUN", help="the run folder, or model.safetensors, it was compressed with (the model inside)")  # fmt: skip  # noqa: E501
    decompress.add_argument("-o", "--output", metavar="FILE", required=True, help="a .npy file")
    info = _command(commands, "info", "say what a compressed file holds", "nelbo info mnist.nlb")
    info.add_argument("file", metavar="FILE", help="a .nlb file")


def _lists(commands: "argparse._SubParsersAction[Parser]") -> None:
    reproduce = _command(
        commands, "reproduce", "repeat a paper's experiments", "nelbo reproduce kingma2014 --budget smoke"
    )
    reproduce.add_argument("paper", help="see `nelbo cite`")
    reproduce.add_argument("--budget", choices=["smoke", "quick", "paper"], default="quick", help="default quick")
    reproduce.add_argument("--out", metavar="DIR", help="default runs/PAPER-BUDGET")
    reproduce.add_argument("--data-dir", metavar="DIR", help="a folder that holds named sets (or set NELBO_DATA)")
    reproduce.add_argument("--only", metavar="PART", nargs="+", default=[], help="parts by name, or by a beginning")
    for name, what, example in (
        ("data", "data sets", "nelbo data show mnist"),
        ("models", "models", "nelbo models list"),
    ):
        listing = _command(commands, name, f"list or show {what}", example)
        listing.add_argument("action", choices=["list", "show"], help="list all, or show one")
        listing.add_argument("name", nargs="?", help="which one to show")
        if name == "data":
            listing.add_argument("--data-dir", metavar="DIR", help="a folder that holds named sets (or set NELBO_DATA)")
    cite = _command(commands, "cite", "print a paper's BibTeX entry", "nelbo cite kingma2014")
    cite.add_argument("paper", nargs="?", help="key; without one, list all keys")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of one command, the whole line among them as `line`."""
    options, extra = parser().parse_known_args(arguments)
    if extra:
        actions = parser()._actions  # noqa: SLF001 (argparse has no public name for the commands' parsers)
        commands = next(action for action in actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001
        commands.choices[options.command].error(f"unrecognized arguments: {' '.join(extra)}")
    options.line = shlex.join(["nelbo", *arguments])
    return options


def parser() -> Parser:
    """The whole command line."""
    main = Parser(prog="nelbo", description=DESCRIPTION, epilog=EPILOG,
                  formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    main.add_argument("--version", action="version", version=f"nelbo {__version__}")
    commands = main.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    _fit(commands)
    _use(commands)
    _impute(commands)
    _codec(commands)
    _lists(commands)
    return main
