import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import zoo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nelbo.core import InputError, read_arrays, write_arrays
from nelbo.models import Amortized, Model, Stack, build, linear, load_model, save_model, skeleton, vae


def leaves(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array))]


def same(first, second):
    pairs = zip(leaves(first), leaves(second), strict=True)
    return first.spec == second.spec and all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"likelihood": "bernouli"}, "did you mean 'bernoulli'"),
        ({"activation": "rleu"}, "did you mean 'relu'"),
        ({"architecture": "cnn"}, "choose one of conv, mlp"),
        ({"latents": 0}, "latents must be positive"),
        ({"hidden": (5, -1)}, "hidden must be positive"),
        ({"shape": (0,)}, "shape must be positive"),
        ({"architecture": "conv"}, "height x width x channels"),
        ({"init": "glorto"}, "did you mean 'glorot'"),
    ],
)
def test_impossible_models_are_refused_in_one_sentence(options, words):
    with pytest.raises(InputError, match=words) as caught:
        vae(jr.key(0), **({"shape": (4,)} | options))
    assert "\n" not in str(caught.value)


def test_unknown_models_and_options_are_refused():
    with pytest.raises(InputError, match="did you mean 'vae'"):
        build(jr.key(0), "vea", {})
    with pytest.raises(InputError, match="did you mean 'latents'"):
        build(jr.key(0), "vae", {"shape": (4,), "latent": 3})


def test_a_configuration_builds_the_same_structure():
    model = vae(jr.key(0), (4,), latents=2, hidden=(3,), centre=jnp.arange(4.0), spread=jnp.ones(4))
    empty = skeleton(model.spec.name, model.spec.arguments)
    assert jax.tree.structure(empty) == jax.tree.structure(model)
    assert [leaf.shape for leaf in jax.tree.leaves(empty)] == [leaf.shape for leaf in leaves(model)]


MODELS = {
    "vae": lambda: vae(jr.key(0), (4,), latents=2, hidden=(3,)),
    "standardized": lambda: vae(
        jr.key(0), (4,), latents=2, hidden=(3,), likelihood="gaussian", centre=jnp.arange(4.0), spread=jnp.full(4, 2.0)
    ),
    "conv": lambda: vae(jr.key(0), (3, 5, 1), latents=2, hidden=(), architecture="conv", channels=(2,)),
    "linear": lambda: linear(jr.key(0), (4,), centre=jnp.arange(4.0)),
}


@pytest.mark.share(4)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_bit_for_bit(name, tmp_path):
    model = MODELS[name]()
    save_model(tmp_path / "m.safetensors", model)
    again = load_model(tmp_path / "m.safetensors")
    assert same(model, again)
    x = jr.uniform(jr.key(1), model.spec.shape)
    terms = [np.asarray(m.draw(jr.key(2), x).log_p) for m in (model, again)]
    np.testing.assert_array_equal(*terms)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m.safetensors"
    model = vae(jr.key(0), (2,), latents=1, hidden=(1,))
    save_model(path, model)
    return path.read_bytes(), model, path.with_name("damaged.safetensors")


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damaged_byte_is_noticed_or_harmless(written, data):
    content, model, path = written
    place = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(damaged))
    try:
        again = load_model(path)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either outcome is right)
    else:
        assert same(model, again)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_truncated_file_is_noticed(written, data):
    content, _, path = written
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(InputError):
        load_model(path)


def rewrite(path, change):
    """Write a valid file with other contents: `change` gets the arrays and the header."""
    arrays, header = read_arrays(path, "model")
    change(arrays, header)
    write_arrays(path, arrays, header)


def drop_an_array(arrays, header):  # noqa: ARG001
    arrays.pop(sorted(arrays)[0])


def add_an_array(arrays, header):  # noqa: ARG001
    arrays["extra"] = np.zeros(1, np.float32)


def reshape_an_array(arrays, header):  # noqa: ARG001
    name = sorted(arrays)[0]
    arrays[name] = np.zeros(7, np.float32)


def widen_an_array(arrays, header):  # noqa: ARG001
    name = sorted(arrays)[0]
    arrays[name] = arrays[name].astype(np.float64)


def set_header(**entries):
    return lambda arrays, header: header.update(entries)  # noqa: ARG005


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop_an_array, "lacks array"),
        (add_an_array, "has an unknown array extra"),
        (reshape_an_array, "expected float32"),
        (widen_an_array, "is float64"),
        (set_header(kind="checkpoint"), "is no model"),
        (set_header(format=99), "update nelbo"),
        (set_header(spec={"name": "vea", "arguments": {}}), "did you mean 'vae'"),
        (set_header(spec={"name": "vae", "arguments": {"shape": [2], "latents": 0}}), "must be positive"),
        (set_header(spec={"name": "vae"}), "does not say how the model is built"),
        (set_header(spec=None), "does not say how the model is built"),
        (set_header(spec={"name": "vae", "arguments": {"shape": [2], "latents": 3, "hidden": [1]}}), "expected"),
    ],
)
def test_a_valid_file_of_another_model_is_refused(tmp_path, change, words):
    path = tmp_path / "m.safetensors"
    save_model(path, vae(jr.key(0), (2,), latents=1, hidden=(1,)))
    rewrite(path, change)
    with pytest.raises(InputError, match=words) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_model_without_configuration_are_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load_model(tmp_path / "none.safetensors")
    case = zoo.linear_stack()
    with pytest.raises(InputError, match="no specification"):
        save_model(tmp_path / "m.safetensors", Model(Stack(case.model.generative.layers), Amortized(())))
    assert not list(tmp_path.iterdir())
