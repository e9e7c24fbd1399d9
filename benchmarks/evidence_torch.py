"""PyTorch in benchmarks/evidence.py: the importance-weighted bound as one would write it by hand."""

import importlib.metadata
import json
import sys
import time

import numpy as np
import torch
from evidence_task import DRAWS, LATENTS, POINTS, THREADS, Task, draw_task

PART = POINTS // 10


class Bound:
    """One point at a time, all its draws in one matrix; the likelihood by `binary_cross_entropy_with_logits`."""

    def __init__(self, task: Task) -> None:
        self.encoder, self.decoder = (tuple(map(torch.from_numpy, part)) for part in (task.encoder, task.decoder))
        self.x = torch.from_numpy(task.x[:PART])

    @torch.inference_mode()
    def value(self) -> float:
        """Mean over the points [nats]."""
        w, b, mean, mean_b, log_s, log_s_b = self.encoder
        d, e, v, c = self.decoder
        hidden = torch.relu(self.x @ w + b)
        means, scales = hidden @ mean + mean_b, torch.exp(hidden @ log_s + log_s_b)
        bounds = []
        for x, m, s in zip(self.x, means, scales, strict=True):
            noise = torch.randn(DRAWS, LATENTS)
            z = m + s * noise
            logits = torch.relu(z @ d + e) @ v + c
            log_p = logits @ x - torch.nn.functional.softplus(logits).sum(1)
            log_w = log_p - 0.5 * (z**2).sum(1) + 0.5 * (noise**2).sum(1) + torch.log(s).sum()
            bounds.append(torch.logsumexp(log_w, 0) - np.log(DRAWS))
        return float(torch.stack(bounds).mean())


def main() -> None:
    """Obey until standard input ends."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(6)
    bound = Bound(draw_task())
    for line in sys.stdin:
        order, *words = line.split()
        answer: object = None
        if order == "block":
            wall, used = time.perf_counter(), time.process_time()
            for _ in range(int(words[1])):
                value = bound.value()
            answer = [time.perf_counter() - wall, time.process_time() - used]
            print(f"bound {value:.3f}", file=sys.stderr)
        elif order == "versions":
            answer = {"torch": importlib.metadata.version("torch")}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
