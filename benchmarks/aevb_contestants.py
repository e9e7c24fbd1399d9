"""The contestants of the speed benchmark: one training step in each library.

The PyTorch family takes part twice: as its users write it, with every option at its default, and `_tuned`, with the
fused form of the optimizer (and Pyro's checks of arguments off), the fastest that we found on a CPU.

All compute the same thing: SGVB B with the closed-form KL, one sample, batch 100 drawn by random index (with
replacement) from 50000 float32 images in memory, Adagrad with the constants of `aevb_task`, float32.

A contestant is an object with four methods (`Contestant`). The one for nelbo is made by `make_nelbo`.
"""

import contextlib
import functools
import io
import logging
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from aevb_task import ACCUMULATOR, BATCH, EPOCH_STEPS, EPSILON, EXAMPLES, LATENTS, LEARNING_RATE, PIXELS, SHAPES, Task

CHUNK = 100  # steps in one scan
THREADS = 2


class UnavailableError(Exception):
    """The contestant cannot run here; the message says why."""


class Contestant(Protocol):
    """What the benchmark needs of a contestant."""

    def setup(self, task: Task) -> None:
        """Build the training state from `task.init`; take no training step."""

    def run_block(self, n_steps: int) -> float:
        """Take `n_steps` (a multiple of 100) training steps and wait for the result; return the time in seconds."""

    def train(self, epochs: int) -> None:
        """Take `epochs` times 500 training steps, for the whole run."""

    def parameters(self) -> dict[str, np.ndarray]:
        """The present parameters as float32 arrays with the names and shapes of `aevb_task.SHAPES`."""


class _Base:
    """What most contestants share: an epoch is 500 steps of a block."""

    def __init__(self, *, tuned: bool = False) -> None:
        self.tuned = tuned

    def run_block(self, n_steps: int) -> float:
        raise NotImplementedError

    def train(self, epochs: int) -> None:
        self.run_block(epochs * EPOCH_STEPS)


def make_nelbo() -> Contestant:
    """Nelbo's own training loop."""
    from aevb_nelbo import Nelbo

    return Nelbo()


class _JaxScan(_Base):
    """Hand-written JAX and Optax: scanned chunks, donated carry, minibatch gathered inside the scan."""

    def setup(self, task: Task) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        optimizer = optax.adagrad(LEARNING_RATE, initial_accumulator_value=ACCUMULATOR, eps=EPSILON)

        @jax.custom_jvp
        def softplus(x):  # the derivative written by hand saves 0.15 ms a step over differentiating this
            return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))

        softplus.defjvps(lambda tangent, _, x: tangent * jax.nn.sigmoid(x))

        def loss_fn(p, x, key):
            head = jnp.tanh(x @ p["enc_w"] + p["enc_b"]) @ p["head_w"] + p["head_b"]
            mean, log_var = head[:, :LATENTS], head[:, LATENTS:]
            z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(key, mean.shape)
            logits = jnp.tanh(z @ p["dec_w"] + p["dec_b"]) @ p["out_w"] + p["out_b"]
            nll = jnp.sum(softplus(logits) - x * logits)
            kl = -0.5 * jnp.sum(1.0 + log_var - mean**2 - jnp.exp(log_var))
            return (nll + kl) / BATCH

        @functools.partial(jax.jit, donate_argnums=0)
        def chunk(carry, images):
            def step(carry, _):
                params, state, key = carry
                key, index_key, noise_key = jax.random.split(key, 3)
                x = images[jax.random.randint(index_key, (BATCH,), 0, EXAMPLES)]
                loss, grads = jax.value_and_grad(loss_fn)(params, x, noise_key)
                updates, state = optimizer.update(grads, state)
                return (optax.apply_updates(params, updates), state, key), loss

            return jax.lax.scan(step, carry, length=CHUNK)

        params = {name: jnp.array(value) for name, value in task.init.items()}
        self.images = jnp.asarray(task.train)
        self.carry = (params, optimizer.init(params), jax.random.key(3))
        self.chunk, self.wait = chunk, jax.block_until_ready

    def run_block(self, n_steps: int) -> float:
        start = time.perf_counter()
        for _ in range(n_steps // CHUNK):
            self.carry, self.losses = self.chunk(self.carry, self.images)
        self.wait((self.carry, self.losses))
        return time.perf_counter() - start

    def parameters(self) -> dict[str, np.ndarray]:
        return {name: np.array(value) for name, value in self.carry[0].items()}


class _NumPyroScan(_JaxScan):
    """NumPyro's SVI with TraceMeanField_ELBO, its update scanned, minibatch gathered inside the scan."""

    def setup(self, task: Task) -> None:
        import jax
        import jax.numpy as jnp
        import numpyro
        import numpyro.distributions as dist
        import optax
        from numpyro.infer import SVI, TraceMeanField_ELBO
        from numpyro.optim import optax_to_numpyro

        def layer(name, x):
            weights, bias = (numpyro.param(f"{name}_{kind}", jnp.array(task.init[f"{name}_{kind}"])) for kind in "wb")
            return x @ weights + bias

        def model(x):
            with numpyro.plate("batch", BATCH):
                z = numpyro.sample("z", dist.Normal(jnp.zeros(LATENTS), jnp.ones(LATENTS)).to_event(1))
                logits = layer("out", jnp.tanh(layer("dec", z)))
                numpyro.sample("x", dist.Bernoulli(logits=logits).to_event(1), obs=x)

        def guide(x):
            head = layer("head", jnp.tanh(layer("enc", x)))
            mean, log_var = head[:, :LATENTS], head[:, LATENTS:]
            with numpyro.plate("batch", BATCH):
                numpyro.sample("z", dist.Normal(mean, jnp.exp(0.5 * log_var)).to_event(1))

        optimizer = optax.adagrad(LEARNING_RATE, initial_accumulator_value=ACCUMULATOR, eps=EPSILON)
        svi = SVI(model, guide, optax_to_numpyro(optimizer), TraceMeanField_ELBO())

        @functools.partial(jax.jit, donate_argnums=0)
        def chunk(carry, images):
            def step(carry, _):
                state, key = carry
                key, index_key = jax.random.split(key)
                state, loss = svi.update(state, images[jax.random.randint(index_key, (BATCH,), 0, EXAMPLES)])
                return (state, key), loss

            return jax.lax.scan(step, carry, length=CHUNK)

        self.images = jnp.asarray(task.train)
        self.carry = (svi.init(jax.random.key(4), self.images[:BATCH]), jax.random.key(5))
        self.chunk, self.wait, self.svi = chunk, jax.block_until_ready, svi

    def parameters(self) -> dict[str, np.ndarray]:
        return {name: np.array(value) for name, value in self.svi.get_params(self.carry[0]).items()}


def _torch() -> Any:
    """PyTorch with the benchmark's number of threads."""
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(6)
    return torch


def _adagrad(*, tuned: bool) -> dict[str, Any]:
    """Arguments of `torch.optim.Adagrad`; its fused form is the fastest on CPU, and not the default."""
    arguments = {"lr": LEARNING_RATE, "initial_accumulator_value": ACCUMULATOR, "eps": EPSILON}
    return arguments | {"fused": True} if tuned else arguments


class _TorchEager(_Base):
    """PyTorch, eager: functional layers."""

    def loss_fn(self) -> Callable:
        """The loss of a batch as a function of parameters and images."""
        import torch
        from torch.nn import functional

        def loss(p, x):
            hidden = torch.tanh(functional.linear(x, p["enc_w"], p["enc_b"]))
            mean, log_var = functional.linear(hidden, p["head_w"], p["head_b"]).chunk(2, dim=1)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            logits = functional.linear(torch.tanh(functional.linear(z, p["dec_w"], p["dec_b"])), p["out_w"], p["out_b"])
            nll = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            kl = -0.5 * torch.sum(1.0 + log_var - mean.square() - log_var.exp())
            return (nll + kl) / BATCH

        return loss

    def setup(self, task: Task) -> None:
        torch = self.torch = _torch()
        self.images = torch.from_numpy(task.train)
        # linear wants (outputs, inputs)
        self.params = {name: torch.tensor(value.T.copy(), requires_grad=True) for name, value in task.init.items()}
        self.optimizer = torch.optim.Adagrad(list(self.params.values()), **_adagrad(tuned=self.tuned))
        self.loss = self.loss_fn()

    def run_block(self, n_steps: int) -> float:
        torch, images, params, optimizer, loss = self.torch, self.images, self.params, self.optimizer, self.loss
        start = time.perf_counter()
        for _ in range(n_steps):
            x = torch.index_select(images, 0, torch.randint(0, EXAMPLES, (BATCH,)))
            optimizer.zero_grad(set_to_none=True)
            loss(params, x).backward()
            optimizer.step()
        return time.perf_counter() - start

    def parameters(self) -> dict[str, np.ndarray]:
        return {name: value.detach().numpy().T.copy() for name, value in self.params.items()}


class _TorchCompile(_TorchEager):
    """PyTorch with the loss and its gradient compiled."""

    def loss_fn(self) -> Callable:
        os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no worker processes beside JAX's threads
        return self.torch.compile(super().loss_fn())


def torch_nets(torch: Any, task: Task) -> tuple[Any, Any]:
    """Encoder and decoder as PyTorch modules, for the libraries that want modules."""
    nn = torch.nn
    shapes = {name.removesuffix("_w"): shape for name, shape in SHAPES.items() if name.endswith("_w")}
    linear = {name: nn.Linear(*shape) for name, shape in shapes.items()}
    with torch.no_grad():
        for name, module in linear.items():
            module.weight.copy_(torch.from_numpy(task.init[f"{name}_w"].T))
            module.bias.copy_(torch.from_numpy(task.init[f"{name}_b"]))
    encoder = nn.Sequential(linear["enc"], nn.Tanh(), linear["head"])
    return encoder, nn.Sequential(linear["dec"], nn.Tanh(), linear["out"])


def torch_parameters(encoder: Any, decoder: Any) -> dict[str, np.ndarray]:
    """Undo `torch_nets`."""
    found = {}
    for name, module in {"enc": encoder[0], "head": encoder[2], "dec": decoder[0], "out": decoder[2]}.items():
        found[f"{name}_w"] = module.weight.detach().numpy().T.copy()
        found[f"{name}_b"] = module.bias.detach().numpy().copy()
    return found


class _PyroSvi(_Base):
    """Pyro's SVI with TraceMeanField_ELBO; tuned: argument checks off."""

    def setup(self, task: Task) -> None:
        torch = self.torch = _torch()
        import pyro
        import pyro.distributions as dist

        pyro.clear_param_store()
        # parameters and switches are global to the process: each contestant brings back its own
        self.pyro, self.store = pyro, pyro.get_param_store().get_state()
        self.images = torch.from_numpy(task.train)
        self.nets = encoder, decoder = torch_nets(torch, task)

        def model(x):
            pyro.module("decoder", decoder)
            with pyro.plate("batch", BATCH):
                z = pyro.sample("z", dist.Normal(x.new_zeros(LATENTS), x.new_ones(LATENTS)).to_event(1))
                pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)

        def guide(x):
            pyro.module("encoder", encoder)
            mean, log_var = encoder(x).chunk(2, dim=1)
            with pyro.plate("batch", BATCH):
                pyro.sample("z", dist.Normal(mean, torch.exp(0.5 * log_var)).to_event(1))

        optimizer = pyro.optim.Adagrad(_adagrad(tuned=self.tuned))
        self.svi = pyro.infer.SVI(model, guide, optimizer, pyro.infer.TraceMeanField_ELBO())

    def run_block(self, n_steps: int) -> float:
        torch, images, svi = self.torch, self.images, self.svi
        self.pyro.enable_validation(is_validate=not self.tuned)
        with self.pyro.get_param_store().scope(self.store) as self.store:
            start = time.perf_counter()
            for _ in range(n_steps):
                svi.step(torch.index_select(images, 0, torch.randint(0, EXAMPLES, (BATCH,))))
            return time.perf_counter() - start

    def parameters(self) -> dict[str, np.ndarray]:
        return torch_parameters(*self.nets)


class _PythaeTrainer(_Base):
    """Pythae's VAE and BaseTrainer: its own step over its own loader, without printing."""

    def setup(self, task: Task) -> None:
        torch = self.torch = _torch()
        os.environ["TQDM_DISABLE"] = "1"
        from pythae.data.datasets import BaseDataset
        from pythae.models import VAE, VAEConfig
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
        from pythae.trainers import BaseTrainerConfig

        logging.disable(logging.INFO)
        self.nets = torch_nets(torch, task)

        class Encoder(BaseEncoder):
            def __init__(self, net):
                super().__init__()
                self.net = net

            def forward(self, x):
                mean, log_var = self.net(x).chunk(2, dim=1)
                return ModelOutput(embedding=mean, log_covariance=log_var)

        class Decoder(BaseDecoder):
            def __init__(self, net):
                super().__init__()
                self.net = net

            def forward(self, z):
                return ModelOutput(reconstruction=torch.sigmoid(self.net(z)))

        config = VAEConfig(input_dim=(PIXELS,), latent_dim=LATENTS, reconstruction_loss="bce")
        self.model = VAE(config, encoder=Encoder(self.nets[0]), decoder=Decoder(self.nets[1]))
        self.data = BaseDataset(torch.from_numpy(task.train), torch.zeros(EXAMPLES))
        self.folder = tempfile.TemporaryDirectory()
        optimizer = {name: value for name, value in _adagrad(tuned=self.tuned).items() if name != "lr"}
        self.config = functools.partial(
            BaseTrainerConfig,
            output_dir=self.folder.name,
            per_device_train_batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            optimizer_cls="Adagrad",
            optimizer_params=optimizer,
            no_cuda=True,
        )
        self.trainer = None

    def make_trainer(self, epochs: int) -> Any:
        """A trainer of Pythae; it tells standard output about itself, which is swallowed."""
        from pythae.trainers import BaseTrainer

        return BaseTrainer(self.model, self.data, training_config=self.config(num_epochs=epochs))

    def run_block(self, n_steps: int) -> float:
        """One pass of the trainer over `n_steps` batches of a random subset; callbacks are left empty."""
        from pythae.data.datasets import collate_dataset_output
        from pythae.trainers.training_callbacks import CallbackHandler, TrainingCallback
        from torch.utils.data import DataLoader, RandomSampler

        if self.trainer is None:
            self.trainer = self.make_trainer(epochs=1)
            self.trainer.set_optimizer()
            self.trainer.callback_handler = CallbackHandler([TrainingCallback()], self.model)
        sampler = RandomSampler(self.data, num_samples=n_steps * BATCH)
        self.trainer.train_loader = DataLoader(
            self.data, batch_size=BATCH, sampler=sampler, collate_fn=collate_dataset_output
        )
        start = time.perf_counter()
        self.trainer.train_step(epoch=1)
        return time.perf_counter() - start

    def train(self, epochs: int) -> None:
        """The trainer as its users call it, with the copy of the best model and the final save."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.make_trainer(epochs).train()

    def parameters(self) -> dict[str, np.ndarray]:
        return torch_parameters(*self.nets)


CONTESTANTS: dict[str, Callable[[], Contestant]] = {
    "nelbo": make_nelbo,
    "jax": _JaxScan,
    "numpyro": _NumPyroScan,
    "torch": _TorchEager,
    "torch_tuned": functools.partial(_TorchEager, tuned=True),
    "torch_compile": _TorchCompile,
    "torch_compile_tuned": functools.partial(_TorchCompile, tuned=True),
    "pythae": _PythaeTrainer,
    "pythae_tuned": functools.partial(_PythaeTrainer, tuned=True),
    "pyro": _PyroSvi,
    "pyro_tuned": functools.partial(_PyroSvi, tuned=True),
}
