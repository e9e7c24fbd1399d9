"""The named objectives beside SGVB: score functions, several samples, wake-sleep, biased gradients."""

from collections.abc import Callable, Sequence

from jaxtyping import Array, Key

from nelbo.models import Model, Passage
from nelbo.objectives import Iwae, Objective, Sgvb, Vimco, WakeSleep, half, nvil, straight_through
from nelbo.runs.regularizers import regularizable


@regularizable
def nvil_objective(
    num_data: int,
    epoch_steps: float,
    *,
    model: Model,
    key: Key[Array, ""],
    centring: bool = True,
    baseline: bool = True,
    normalization: bool = True,
    local: bool = True,
    decay: float | int = 0.8,
    baseline_hidden: Sequence[int] = (100,),
) -> Objective:
    """Score-function gradients with the variance reductions of NVIL, each of which can be switched off."""
    del num_data, epoch_steps
    switches = {"centring": centring, "baseline": baseline, "normalization": normalization, "local": local}
    return nvil(key, model, decay=float(decay), hidden=tuple(baseline_hidden), **switches)


@regularizable
def vimco(num_data: int, epoch_steps: float, *, samples: int = 5) -> Objective:
    """The importance-weighted bound by score-function gradients with leave-one-out baselines."""
    del num_data, epoch_steps
    return Vimco(samples)


@regularizable
def iwae(
    num_data: int,
    epoch_steps: float,
    *,
    samples: int = 5,
    form: str = "dreg",
) -> Objective:
    """The importance-weighted bound by reparameterization; form: plain, dreg or stl."""
    del num_data, epoch_steps
    return Iwae(samples, form=form)


@regularizable
def reweighted_wake_sleep(
    num_data: int, epoch_steps: float, *, samples: int = 5, wake_phi: float | int = 1.0, sleep_phi: float | int = 0.0
) -> Objective:
    """Reweighted wake-sleep with its two updates of q, each with a weight."""
    del num_data, epoch_steps
    return WakeSleep(samples, wake_phi=float(wake_phi), sleep_phi=float(sleep_phi))


@regularizable
def wake_sleep(num_data: int, epoch_steps: float) -> Objective:
    """Classical wake-sleep."""
    del num_data, epoch_steps
    return WakeSleep()


def biased(passage: Passage) -> Callable[..., Objective]:
    """Gradients passed through binary draws by a rule of thumb."""

    @regularizable
    def objective(num_data: int, epoch_steps: float, *, samples: int = 1) -> Objective:
        del num_data, epoch_steps
        return Sgvb("path", num_samples=samples, passage=passage)

    return objective


DISCRETE_OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "nvil": nvil_objective,
    "vimco": vimco,
    "iwae": iwae,
    "wake-sleep": wake_sleep,
    "rws": reweighted_wake_sleep,
    "darn": biased(half),
    "straight-through": biased(straight_through),
}
BINARY_MODELS = frozenset({"sbn", "fdarn", "darn"})


def default_objective(model: str) -> str:
    """The objective that suits a model family: nvil for binary latents, else sgvb."""
    return "nvil" if model in BINARY_MODELS else "sgvb"
