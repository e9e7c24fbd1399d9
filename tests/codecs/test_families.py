"""Every family with every likelihood is coded, or refused in a sentence that says why."""

import inspect

import jax.random as jr
import numpy as np
import pytest
import zoo

from nelbo.codecs import Layout, Networks, compress, decompress
from nelbo.core import InputError
from nelbo.models import LIKELIHOODS, MODELS, build

SHAPE, COUNT = (4,), 14
LAYOUT = Layout(batch=4, lanes=2)
TINY = {"latents": 2, "hidden": [3], "layers": [2, 2], "components": 3}
REAL = {"gaussian", "gaussian-unit", "gaussian-fixed", "gaussian-shared", "gaussian-pixel"}  # coded on a grid of 1/255


def options_of(name):
    return inspect.signature(MODELS[name].make).parameters


# supervised models code nothing, and the latents of conjugate ones have no codec
UNCODED = {name for name, family in MODELS.items() if family.targets or family.objective == "svi"}
UNCODED |= {"rbm", "dbn"}  # a Boltzmann machine has no conditionals in any order, see test_a_boltzmann_machine
PAIRS = [
    (name, likelihood)
    for name, family in MODELS.items()
    if name not in UNCODED and family.examples == "rows"
    for likelihood in (LIKELIHOODS if "likelihood" in options_of(name) else [family.likelihood])
]


def top_of(likelihood):
    """The greatest value that an array of bytes has for a likelihood."""
    return 1 if LIKELIHOODS[likelihood].binarizes else 255


def made(name, likelihood):
    arguments = {key: value for key, value in TINY.items() if key in options_of(name)}
    if "likelihood" in options_of(name):
        arguments["likelihood"] = likelihood
    return build(jr.key(0), name, {"shape": list(SHAPE), **arguments})


def is_run(name, likelihood):
    """Whether the pair is coded: every likelihood with one family, and every family with one likelihood."""
    return name == "vae" or likelihood in {"bernoulli", MODELS[name].likelihood}


SHAPES = [pair for pair in PAIRS if not is_run(*pair)]


@pytest.mark.share(12)
@pytest.mark.parametrize(
    ("name", "likelihood"),
    [pytest.param(*pair, marks=pytest.mark.slow if place % 3 else ()) for place, pair in enumerate(SHAPES)],
)
def test_every_family_is_taken_with_every_likelihood(name, likelihood):
    """By its shapes alone, as compilation would take a second for each."""
    if name == "darn":
        with pytest.raises(InputError, match="needs a bernoulli likelihood"):
            made(name, likelihood)
        return
    model = made(name, likelihood)
    if likelihood == "multinomial":
        with pytest.raises(InputError, match="BagOfWords has no codec"):
            Networks(model, SHAPE, 4)
        return
    # the bins of a chain's inner layer come from draws of the model, for which one would have to be compiled
    grids = {1: (-4.0, 2.0**-8)} if name == "hvae" else {}
    networks = Networks(model, SHAPE, 4, grids)
    assert networks.nodes[0].levels == top_of(likelihood) + 1
    assert len(networks.steps) == 2 * model.depth + 1


@pytest.mark.share(8)
@pytest.mark.parametrize(("name", "likelihood"), [pair for pair in PAIRS if is_run(*pair)], ids=str)
def test_every_family_comes_back(name, likelihood):
    model = zoo.randomized(made(name, likelihood), jr.key(1), 0.5)
    x = np.random.default_rng(0).integers(0, top_of(likelihood) + 1, (COUNT, *SHAPE)).astype(np.uint8)
    if likelihood == "multinomial":
        with pytest.raises(InputError, match="BagOfWords has no codec"):
            compress(model, x)
        return
    packed = compress(model, x, layout=LAYOUT, verify=False)
    assert np.array_equal(decompress(packed, model), x)
    if likelihood in REAL:
        grey = (x / 255).astype(np.float32)
        assert decompress(compress(model, grey, layout=LAYOUT, verify=False), model).tobytes() == grey.tobytes()


@pytest.mark.parametrize("name", ["gaussian-mixture", "lda"])
def test_conjugate_models_are_refused(name):
    model = build(jr.key(0), name, {"shape": list(SHAPE)})
    with pytest.raises(InputError, match="has no codec"):
        compress(model, np.zeros((COUNT, *SHAPE), np.uint8), layout=LAYOUT)


def test_the_pairs_are_all_there():
    coded = {name for name, family in MODELS.items() if family.examples == "rows"} - UNCODED
    assert {name for name, _ in PAIRS} == coded
    assert {likelihood for name, likelihood in PAIRS if name == "vae"} == set(LIKELIHOODS)


@pytest.mark.share(2)
@pytest.mark.parametrize("own", [(4, 4, 1), (4, 4)])
def test_grey_pictures_are_the_same_with_a_channel_axis_and_without(own):
    """The same message for both; the array comes back in the shape that it had."""
    model = build(jr.key(0), "vae", {"shape": list(own), "latents": 2, "hidden": [3], "likelihood": "beta-binomial"})
    x = np.random.default_rng(0).integers(0, 256, (COUNT, 4, 4)).astype(np.uint8)
    flat, deep = (compress(model, one, layout=LAYOUT, verify=False) for one in (x, x[..., None]))
    assert np.array_equal(decompress(flat, model), x)
    assert np.array_equal(decompress(deep, model), x[..., None])
    assert abs(len(flat) - len(deep)) <= 3  # ", 1" in the header
    with pytest.raises(InputError, match="fitted to"):
        compress(model, x[:, :3])


@pytest.mark.parametrize("name", ["rbm", "dbn"])
def test_a_boltzmann_machine_is_refused(name):
    model = build(jr.key(0), name, {"shape": list(SHAPE), **({"hidden": [3]} if name == "rbm" else {"layers": [3, 2]})})
    with pytest.raises(InputError, match="RestrictedBoltzmann has no codec"):
        compress(model, np.zeros((2, *SHAPE), np.uint8), layout=LAYOUT)
