"""CompressAI's scale hyperprior for `benchmarks/codec_step.py`, in a process of its own with other dependencies.

It reads orders from standard input, one a line, and answers each with one line of JSON: "make FILTERS LATENTS BATCH
SIDE", "block NAME STEPS", "versions".
"""

import importlib.metadata
import json
import math
import sys
import time
from typing import Any

import torch
from codec_step import THREADS
from compressai.models import ScaleHyperprior


class Trained:
    """The model with its optimizer, and crops to train on."""

    def __init__(self, filters: int, latents: int, batch: int, side: int) -> None:
        torch.manual_seed(0)
        self.model = ScaleHyperprior(filters, latents).train()
        weights = [weight for name, weight in self.model.named_parameters() if not name.endswith("quantiles")]
        self.adam = torch.optim.Adam(weights, 1e-4)
        self.crops = torch.rand(32, 3, side, side)
        self.batch = batch

    def step(self) -> None:
        """One: bits a pixel and squared error, as in CompressAI's example of training."""
        x = self.crops[torch.randint(0, len(self.crops), (self.batch,))]
        out = self.model(x)
        pixels = x.shape[0] * x.shape[2] * x.shape[3]
        bits = sum(torch.log(part).sum() for part in out["likelihoods"].values()) / (-math.log(2) * pixels)
        loss = bits + 0.01 * 255**2 * torch.nn.functional.mse_loss(out["x_hat"], x)
        self.adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.adam.step()


def main() -> None:
    """Answer orders."""
    torch.set_num_threads(THREADS)
    trained: Trained | None = None
    for line in sys.stdin:
        what, *given = line.split()
        answer: Any = None
        if what == "make":
            trained = Trained(*map(int, given))
            answer = sum(weight.numel() for weight in trained.model.parameters())
        elif what == "block" and trained is not None:
            wall, used = time.perf_counter(), time.process_time()
            for _ in range(int(given[1])):
                trained.step()
            answer = [time.perf_counter() - wall, time.process_time() - used]
        elif what == "versions":
            answer = {name: importlib.metadata.version(name) for name in ("torch", "compressai")}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
