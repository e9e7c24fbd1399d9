"""Compress a folder of photographs with loss, and a set of images without.

The photographs are parts of scikit-learn's two. python examples/compress_a_folder.py --out runs/photos
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from nelbo.codecs import compress_picture, decompress_picture


# --8<-- [start:photos]
def write_photos(folder: Path, size: int) -> list[Path]:
    """Four parts of each of two photographs, as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, photo in zip(("temple", "flower"), load_sample_images().images, strict=True):
        for number in range(4):
            top, left = 130 * (number // 2), 200 * (number % 2)
            paths.append(folder / f"{name}-{number}.png")
            Image.fromarray(photo[top : top + size, left : left + size]).save(paths[-1])
    return paths


# --8<-- [end:photos]


# --8<-- [start:codec]
def coded(picture: np.ndarray, quality: int) -> tuple[int, float]:
    """Bytes of a picture at a quality, and how near it comes back [dB]."""
    data = compress_picture(picture, quality=quality)
    error = np.mean((decompress_picture(data).astype(float) - picture) ** 2)
    return len(data), 10 * np.log10(255**2 / error)


# --8<-- [end:codec]


def jpeg_of(picture: np.ndarray, decibels: float) -> int:
    """Bytes of the smallest JPEG that is as near."""
    for quality in range(5, 100):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=quality, optimize=True)
        error = np.mean((np.asarray(Image.open(buffer), float) - picture) ** 2)
        if 10 * np.log10(255**2 / error) >= decibels:
            break
    return buffer.tell()


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the photographs and print the size of each as PNG, JPEG and nelbo's file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256, help="of the pictures, in pixels")
    parser.add_argument("--quality", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path("runs/photos"))
    options = parser.parse_args(arguments)

    total = np.zeros(3, int)
    print(f"{'picture':14} {'PNG':>8} {'JPEG':>8} {'nelbo':>8}  PSNR")
    for path in write_photos(options.out, options.size):
        picture = np.asarray(Image.open(path))
        size, decibels = coded(picture, options.quality)
        sizes = np.array([path.stat().st_size, jpeg_of(picture, decibels), size])
        total += sizes
        print(f"{path.name:14} {sizes[0]:8} {sizes[1]:8} {sizes[2]:8}  {decibels:.1f} dB")
    print(f"{'all':14} {total[0]:8} {total[1]:8} {total[2]:8}")


if __name__ == "__main__":
    main()
