"""What refinement saves at a fixed decoder, in real bytes: against plain rounding, and against the sender's own choice.

    python benchmarks/refinement.py kodak/ --only kodim05 --only kodim13 --only kodim19 --refine 300

Of each picture a crop is coded at several qualities in three ways: coefficients rounded to the nearest (what the
published codecs do, with which Yang, Bamler and Mandt 2020 compare), the sender's choice by squared error and bits, if
it makes one, and stochastic Gumbel annealing. All are decoded by the same decoder; lengths are those of streams.
Printed are BD-rates, mean over the crops.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from nelbo.codecs import picture_codec
from nelbo.codecs.pictures import step_of
from nelbo.data import picture_files, read_photo
from nelbo.papers.codec_pictures import by_inference, over_rounded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", default=[], help="a picture by its name; may be given again")
    parser.add_argument("--model", type=Path, help="another model.safetensors")
    parser.add_argument("--refine", type=int, default=300)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--quality", type=float, nargs="*", default=[12.0, 22.0, 32.0, 42.0])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    codec, rows = picture_codec(options.model), []
    for path in picture_files(options.folder):
        if options.only and path.stem not in options.only:
            continue
        x = read_photo(path)[128 : 128 + options.side, 256 : 256 + options.side]
        points = [by_inference(codec, x, step_of(quality), options.refine) for quality in options.quality]
        saved = over_rounded(points)
        rows.append({"picture": path.stem, "over_rounded": saved, "points": points})
        print(path.stem, json.dumps({name: round(value, 2) for name, value in saved.items()}), flush=True)
    means = {name: float(np.mean([row["over_rounded"][name] for row in rows])) for name in rows[0]["over_rounded"]}
    print("bytes of streams at equal PSNR, in per cent more than plain rounding's:", json.dumps(means))
    if options.out:
        record = {"refine": options.refine, "mean": means, "crops": rows}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
