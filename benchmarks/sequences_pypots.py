"""PyPOTS in benchmarks/sequences.py: gaps filled in by its GP-VAE and SAITS, and the time of a step of its GP-VAE.

    python -m venv rivals && rivals/bin/pip install torch==2.13.0 pypots
    rivals/bin/python benchmarks/sequences_pypots.py step
    rivals/bin/python benchmarks/sequences_pypots.py fill windows.npz filled.npz --seconds 300

`windows.npz` is written by `sequences.py`, which runs this script: `train`, `valid` and `test`, arrays of windows x
time x channels, NaN where there is no value. `filled.npz` then has draws of the test windows, windows x draws x time x
channels, by each of both (SAITS has one), and the seconds of its training. Sizes are those of PyPOTS's own examples; as
many epochs are taken as fit into the seconds of processor time, and the best one by its own validation score counts.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

DRAWS = 100


def gp_vae(steps: int, features: int, epochs: int, **options: Any) -> Any:
    """PyPOTS's GP-VAE."""
    from pypots.imputation import GPVAE

    return GPVAE(steps, features, epochs=epochs, verbose=False, **{"latent_size": 6, **options})


def saits(steps: int, features: int, epochs: int) -> Any:
    """PyPOTS's SAITS."""
    from pypots.imputation import SAITS

    sizes = {"n_layers": 2, "d_model": 128, "n_heads": 4, "d_k": 32, "d_v": 32, "d_ffn": 128, "dropout": 0.1}
    return SAITS(steps, features, epochs=epochs, verbose=False, **sizes)


def hiding(windows: np.ndarray) -> np.ndarray:
    """Further gaps like those of the test, for the validation score."""
    random, hidden = np.random.default_rng(2), windows.copy()
    for window in hidden:
        start = random.integers(0, windows.shape[1] - 12)
        window[start : start + 12, random.integers(0, windows.shape[2])] = np.nan
    return hidden


def filled(make: Callable[..., Any], parts: dict[str, np.ndarray], seconds: float) -> tuple[np.ndarray, float]:
    """Draws of the test windows by a model that was trained for so long, and for how long it was."""
    _, steps, features = parts["train"].shape
    train = {"X": parts["train"]}
    valid = {"X": hiding(parts["valid"]), "X_ori": parts["valid"]}

    def fit(epochs: int) -> tuple[Any, float]:
        model, began = make(steps, features, epochs), time.process_time()
        model.fit(train, valid)
        return model, time.process_time() - began

    epochs, taken = 3, 0.0
    while taken < 0.8 * seconds:
        model, taken = fit(epochs)
        # loading and compiling are no part of an epoch, so the first guesses are too few
        epochs = max(epochs + 1, round(epochs * min(20.0, seconds / taken)))
    test = {"X": parts["test"]}
    draws = model.impute(test, n_sampling_times=DRAWS) if make is gp_vae else model.impute(test)
    draws = np.asarray(draws, np.float32).reshape(len(parts["test"]), -1, steps, features)
    return draws, taken


def step(batch: int = 64, steps: int = 24, features: int = 35) -> float:
    """Milliseconds of a step of training, with the sizes of `sequences.py`: the best of some epochs of ten steps."""
    random = np.random.default_rng(0)
    x = random.normal(size=(10 * batch, steps, features)).astype(np.float32)
    x[random.random(x.shape) < 0.5] = np.nan
    sizes = {"latent_size": 16, "encoder_sizes": (64, 64), "decoder_sizes": (64, 64), "length_scale": 2.0}
    taken = []
    for _ in range(6):
        one = gp_vae(steps, features, 1, batch_size=batch, **sizes)
        five = gp_vae(steps, features, 5, batch_size=batch, **sizes)
        times = []
        for model in (one, five):
            began = time.process_time()
            model.fit({"X": x})
            times.append(time.process_time() - began)
        taken.append(1000.0 * (times[1] - times[0]) / 40.0)
    return min(taken)


def main() -> None:
    """Obey."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("step", "fill"))
    parser.add_argument("windows", nargs="?")
    parser.add_argument("output", nargs="?")
    parser.add_argument("--seconds", type=float, default=300.0)
    options = parser.parse_args()
    import torch

    torch.manual_seed(0)
    if options.what == "step":
        print(f"a step of PyPOTS's GP-VAE: {step():.1f} ms of processor time")
        return
    with np.load(options.windows) as arrays:
        parts = dict(arrays)
    answers: dict[str, Any] = {}
    for name, make in (("gp_vae", gp_vae), ("saits", saits)):
        answers[name], answers[f"{name}_seconds"] = filled(make, parts, options.seconds)
    np.savez(options.output, **answers)


if __name__ == "__main__":
    main()
