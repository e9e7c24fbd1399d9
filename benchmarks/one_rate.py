"""What one model for all rates takes more than a model for one rate: the same numbers, coded with both.

    python benchmarks/one_rate.py photos/ all.safetensors one.safetensors --step 38

Numbers are chosen with either model and coded with both, so that pixels are equal and bytes alone differ. Both models
come from `benchmarks/image_choices.py`, the second with `--between 38 38`, at equal steps of training.
"""

import argparse
from pathlib import Path

import numpy as np

from nelbo.codecs import picture_codec
from nelbo.data import picture_files, read_photo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("all", type=Path)
    parser.add_argument("one", type=Path)
    parser.add_argument("--step", type=float, required=True, help="in grey levels")
    options = parser.parse_args()
    coders = [picture_codec(path).coder for path in (options.all, options.one)]
    step, unit, ratios = round(8 * np.log2(options.step)), coders[0].unit, []
    for path in picture_files(options.folder):
        x = read_photo(path).astype(float)
        x = x[: x.shape[0] // unit * unit, : x.shape[1] // unit * unit]
        for chooser in coders:
            _, y = chooser.encode(x, step)
            numbers = chooser.choice(y)
            lengths = [len(coder.encode(x, step, numbers=numbers)[0]) for coder in coders]
            ratios.append(lengths[0] / lengths[1])
    print(f"step {options.step:g}: all rates take {100 * (np.exp(np.mean(np.log(ratios))) - 1):+.2f} % bytes")


if __name__ == "__main__":
    main()
