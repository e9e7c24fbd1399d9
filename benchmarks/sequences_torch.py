"""A step of GP-VAE written by hand in PyTorch, as the released networks do it: dense covariances by matrix inverses.

    python benchmarks/sequences_torch.py        in an environment with PyTorch; beside `python benchmarks/sequences.py`

The posterior's precision is banded by a bidiagonal factor B, its covariance and the Cauchy prior's are factored
densely, and the divergence is that of two multivariate normals. Sizes, batch and networks are those of `sequences.py`.
"""

import time

import torch
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence

BATCH, TIME, CHANNELS, LATENTS, WIDTH = 64, 24, 35, 16, 64


class GpVae(nn.Module):
    """One convolution along time and a hidden layer to read by, a hidden layer to decode by."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(CHANNELS, WIDTH, 3, padding=1)
        self.read = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 3 * LATENTS))
        self.decode = nn.Sequential(nn.Linear(LATENTS, WIDTH), nn.ReLU(), nn.Linear(WIDTH, CHANNELS))
        lag = torch.arange(TIME, dtype=torch.float32)
        kernel = 1.0 / (1.0 + ((lag[:, None] - lag[None]) / 2.0) ** 2) + 1e-3 * torch.eye(TIME)
        self.register_buffer("root", torch.linalg.cholesky(kernel))

    def posterior(self, x: torch.Tensor) -> MultivariateNormal:
        """Of the latents of each series over its times."""
        h = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        mean, diagonal, beside = self.read(h).transpose(1, 2).chunk(3, 1)
        factor = torch.diag_embed(1.0 + nn.functional.softplus(diagonal))
        factor = factor + torch.diag_embed(beside[..., :-1], offset=1)
        inverse = torch.linalg.solve_triangular(factor, torch.eye(TIME).expand_as(factor), upper=True)
        covariance = inverse @ inverse.mT
        return MultivariateNormal(mean, covariance + 1e-5 * torch.eye(TIME))

    def loss(self, x: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        """Minus the bound of a batch."""
        q = self.posterior(x)
        prior = MultivariateNormal(torch.zeros(TIME), scale_tril=self.root)
        error = (self.decode(q.rsample().transpose(1, 2)) - x) ** 2
        return (0.5 * error * observed).sum((1, 2)).mean() + kl_divergence(q, prior).sum(1).mean()


def main() -> None:
    """Print the milliseconds of a step."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = GpVae()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    x, observed = torch.randn(BATCH, TIME, CHANNELS), torch.rand(BATCH, TIME, CHANNELS) > 0.5
    blocks = []
    for _ in range(12):
        began = time.perf_counter()
        for _ in range(10):
            optimizer.zero_grad()
            model.loss(x * observed, observed).backward()
            optimizer.step()
        blocks.append(100.0 * (time.perf_counter() - began))
    print(f"PyTorch: {min(blocks):.1f} ms a step (best of {len(blocks)} blocks, one thread)")


if __name__ == "__main__":
    main()
