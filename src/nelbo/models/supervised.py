"""Regression and classification: p(y | context), a conditional model without latents.

An example's values are its target, its context the features. There is one generative layer, which reads no latents and
is conditioned on the context, and a recognition model without layers: log w of any draw is log p(y | x), so objectives,
posteriors over weights and scores take these models as they are.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from nelbo.core import Example, InputError, as_example, choice
from nelbo.distributions import Distribution, Normal, Poisson, StudentT
from nelbo.models.heads import LOG_FACTOR, BernoulliHead, CategoricalHead, Head, soft_bound
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.models.parts import constant_array, drawn_at_once, input_rule, positive
from nelbo.models.recognition import Amortized, InputRule
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import MLP, ConvEncoder, Frozen, Network

NUMBER_LIKELIHOODS = ("gaussian", "student-t", "poisson")
CLASS_LIKELIHOODS = ("bernoulli", "categorical")
TARGET = (1,)  # the shape of a target
MIN_NOISE = 1e-3  # of the target's spread: a target that a network knows by heart would drive the density to infinity
LOG_RATE = (-30.0, 30.0)


class FromFeatures(Layer):
    """p(y | features): the rule by which features are taken in, a network, then a head.

    Args:
        net: from what the rule gives to a flat array of `head.size` numbers.
        head: turns it into the distribution of the target.
        inputs: how features, and gaps among them, are taken in.
        shape: of the features.
    """

    net: Network
    head: Head
    inputs: InputRule
    shape: tuple[int, ...] = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = True
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False  # it has no parents to be linear in

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """The distribution of the target, whatever the parents; the context is an array or an `Example` of features."""
        del parents
        if context is None:
            raise InputError("A supervised model predicts from features: give them as the example's context.")
        given = as_example(context)
        values = jnp.reshape(given.values, self.shape)
        # a context travels as numbers, its mask too
        observed = None if given.observed is None else jnp.reshape(given.observed, self.shape).astype(bool)
        return self.head(self.net(self.inputs(Example(values, observed))))


class NoiseHead(Head):
    """A normal or Student-t around what the network predicts, in the target's units.

    The network's output is in units of `spread` around `centre`.

    Args:
        raw_scale: log of the learned noise in units of `spread`; None where the noise is fixed.
        centre: of the training targets; not trained.
        spread: of the training targets; not trained.
        noise: fixed standard deviation (scale of a Student-t) in the target's units, or None.
        degrees: of freedom of a Student-t; None: a normal.
    """

    raw_scale: Float[Array, ""] | None
    centre: Frozen
    spread: Frozen
    noise: float | None = eqx.field(static=True, default=None)
    degrees: float | None = eqx.field(static=True, default=None)
    shape: ClassVar[tuple[int, ...]] = TARGET
    planes: ClassVar[int] = 1
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> Distribution:
        """One mean."""
        loc = self.centre() + self.spread() * self._split(raw)[0]
        if self.raw_scale is not None:
            scale = self.spread() * (MIN_NOISE + jnp.exp(soft_bound(self.raw_scale, LOG_FACTOR)))
        else:
            scale = jnp.full(TARGET, 1.0 if self.noise is None else self.noise, loc.dtype)
        scale = jnp.broadcast_to(scale, TARGET)
        if self.degrees is None:
            return Normal(loc, scale)
        return StudentT(jnp.full(TARGET, self.degrees, loc.dtype), loc, scale)


class CountHead(Head):
    """A Poisson; the network's output is the log of its rate, in units of the training targets' mean.

    Args:
        centre: the mean of the training targets; not trained.
    """

    centre: Frozen
    shape: ClassVar[tuple[int, ...]] = TARGET
    planes: ClassVar[int] = 1
    is_homoscedastic: ClassVar[bool] = False

    def __call__(self, raw: Float[Array, " raw"]) -> Poisson:
        """One log rate."""
        base = jnp.log(jnp.maximum(self.centre(), 1e-3))
        return Poisson(soft_bound(base + self._split(raw)[0], LOG_RATE))


@drawn_at_once
def regression(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    hidden: Sequence[int] = (50,),
    likelihood: str = "gaussian",
    noise: float | int | None = None,
    degrees: float | int = 4.0,
    architecture: str = "mlp",
    channels: Sequence[int] = (16, 32),
    activation: str = "relu",
    init: str | float | int = "glorot",
    missing: str = "zero",
    centre: Array | bool = False,
    spread: Array | bool = False,
    target_centre: Array | bool = False,
    target_spread: Array | bool = False,
) -> Model:
    """Regression: a number from features, by a network and a distribution of the residual.

    Args:
        key: for the weights.
        shape: of one row of features; height x width x channels for images.
        hidden: widths of the hidden layers; () for a linear model. For "conv", of the dense layers after the
            convolutions.
        likelihood: "gaussian", "student-t" (heavy tails) or "poisson" (counts) of a regression; "bernoulli" (two
            classes) or "categorical" of a classification.
        noise: standard deviation (or scale of a Student-t) in units of the target; null: learned.
        degrees: degrees of freedom of a Student-t.
        architecture: "linear" (no hidden layers), "mlp" or "conv".
        channels: of each convolution, starting at the pixels ("conv" only).
        activation: of the hidden units.
        init: "glorot", or a standard deviation.
        missing: what the network sees for missing features: "zero", "mean" (that of the training data), or "mask" (the
            mean, and the mask as additional inputs).
        centre: the training features' mean, subtracted from them; `True` leaves its place to be filled from a file.
        spread: the training features' standard deviation, by which they are divided; `True` as for `centre`.
        target_centre: the training targets' mean, which is added to the network's output; `True` as for `centre`.
        target_spread: the training targets' standard deviation, by which the network's output is multiplied; `True` as
            for `centre`.

    Raises:
        InputError: an unknown name, or a size that makes no sense.
    """
    choice("likelihood of a regression", likelihood, NUMBER_LIKELIHOODS)
    for name, value in (("noise", noise), ("degrees", degrees)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{name} must be a positive number, got {value}.")
    if likelihood == "poisson" and noise is not None:
        raise InputError("A Poisson has no noise of its own: leave noise out.")
    target = {
        "target_centre": constant_array(target_centre, TARGET),
        "target_spread": constant_array(target_spread, TARGET),
    }
    middle = jnp.zeros(TARGET, jnp.float32) if target["target_centre"] is None else target["target_centre"]
    unit = jnp.ones(TARGET, jnp.float32) if target["target_spread"] is None else target["target_spread"]
    if likelihood == "poisson":
        head: Head = CountHead(Frozen(jnp.ones(TARGET, jnp.float32) if target["target_centre"] is None else middle))
    else:
        raw = jnp.zeros((), jnp.float32) if noise is None else None
        freedom = float(degrees) if likelihood == "student-t" else None
        head = NoiseHead(raw, Frozen(middle), Frozen(unit), None if noise is None else float(noise), freedom)
    network = {"hidden": hidden, "architecture": architecture, "channels": channels, "activation": activation}
    network |= {"init": init, "missing": missing}
    own = {"likelihood": likelihood, "noise": noise, "degrees": degrees}
    own |= {name: value is not None for name, value in target.items()}
    return _supervised(key, "regression", shape, head, network, {"centre": centre, "spread": spread}, own)


@drawn_at_once
def classification(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    classes: int = 2,
    hidden: Sequence[int] = (50,),
    likelihood: str = "categorical",
    architecture: str = "mlp",
    channels: Sequence[int] = (16, 32),
    activation: str = "relu",
    init: str | float | int = "glorot",
    missing: str = "zero",
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Classification: the probability of each class, from features.

    Args:
        key: for the weights.
        shape: as of regression.
        classes: number of classes, which a run takes from the data.
        hidden: as of regression.
        likelihood: "bernoulli" (two classes, one logit) or "categorical" (a logit for each class).
        architecture: as of regression.
        channels: as of regression.
        activation: as of regression.
        init: as of regression.
        missing: as of regression.
        centre: as of regression.
        spread: as of regression.

    Raises:
        InputError: an unknown name, or a size that makes no sense.
    """
    choice("likelihood of a classification", likelihood, CLASS_LIKELIHOODS)
    (classes,) = positive("classes", (classes,))
    if likelihood == "bernoulli" and classes != 2:
        raise InputError(f"bernoulli is a distribution of two classes, but there are {classes}: use categorical.")
    head: Head = BernoulliHead(TARGET) if likelihood == "bernoulli" else CategoricalHead(TARGET, classes)
    network = {"hidden": hidden, "architecture": architecture, "channels": channels, "activation": activation}
    network |= {"init": init, "missing": missing}
    own = {"likelihood": likelihood, "classes": classes}
    return _supervised(key, "classification", shape, head, network, {"centre": centre, "spread": spread}, own)


def _supervised(
    key: Key[Array, ""],
    name: str,
    shape: Sequence[int],
    head: Head,
    network: dict,
    moments: dict,
    own: dict,
) -> Model:
    """The model of a family from its head and the options of its network; its specification spells all of them out."""
    shape, hidden = positive("shape", shape), positive("hidden", network["hidden"])
    channels = positive("channels", network["channels"])
    moments = {which: constant_array(value, shape) for which, value in moments.items()}
    inputs = input_rule(network["missing"], shape, **moments)
    seen, shared = inputs.shape(shape), {"activation": network["activation"], "init": network["init"]}
    if choice("architecture", network["architecture"], ("linear", "mlp", "conv")) == "conv":
        net: Network = ConvEncoder(key, seen, channels, head.size, hidden=hidden, **shared)
    else:
        between = () if network["architecture"] == "linear" else hidden
        net = MLP(key, (math.prod(seen), *between, head.size), **shared)
    given = {which: value is not None for which, value in moments.items()}
    spec = ModelSpec.of(name, shape=shape, **network, **own, **given)
    stack = Stack((FromFeatures(net, head, inputs, shape),), math.prod(shape))
    return Model(stack, Amortized(()), spec)
