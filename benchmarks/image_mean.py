"""The last step of the recipe of the image codec: the mean of several checkpoints, and where numbers are shown.

    python benchmarks/image_mean.py PHOTOS OUT OUT/round0/step-*.safetensors

OUT holds `model.safetensors`, which the round began with. Parameters are means over the checkpoints of a round of
`benchmarks/image_choices.py`, which does for a run that was stopped what a falling learning rate does for a whole one.
Crops are then coded with them, and every coefficient that is not zero is shown at the mean of what was coded as it.
`chosen.safetensors` is written into OUT.
"""

import argparse
from pathlib import Path

import numpy as np
from image_choices import STEPS, finish
from safetensors.numpy import load_file

from nelbo.core import read_arrays

FROM, TO = "['carry'].params.model.layers[", ".generative.layers["


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--crops", type=int, default=400)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--between", type=float, nargs=2, default=STEPS, help="least and greatest step, in grey levels")
    options = parser.parse_args()
    arrays, header = read_arrays(options.out / "model.safetensors", "model")
    found = [load_file(path) for path in options.checkpoints]
    for name in found[0]:
        if name.startswith(FROM):
            number, rest = name[len(FROM) :].split("]", 1)
            mean = np.mean([one[name].astype(np.float64) for one in found], axis=0)
            arrays[f"{TO}{int(number) + 1}]{rest}"] = mean.astype(np.float32)
    finish(arrays, header, options)


if __name__ == "__main__":
    main()
