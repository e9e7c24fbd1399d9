import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import Example, InputError, as_example
from nelbo.data import Split, load, source

SIGMAS = 5.0
GREYS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


def draw(made, key, indices):
    @eqx.filter_jit
    def batch(made, key, indices):
        raw = made.take(indices)
        return jax.vmap(made.example)(jr.split(key, len(indices)), raw)

    return batch(made, key, indices)


def values(made, key, indices):
    return draw(made, key, indices).values


@pytest.mark.parametrize(
    ("values", "x", "pixels", "expected"),
    [
        ("uint8", np.array([[0, 51, 255]], np.uint8), "counts", [0.0, 51.0, 255.0]),
        ("uint8", np.array([[0, 51, 255]], np.uint8), "unit", [0.0, 0.2, 1.0]),
        ("binary", np.array([[0, 1, 1]], np.uint8), "unit", [0.0, 1.0, 1.0]),
        ("unit", np.array([[0.0, 0.25, 1.0]], np.float32), "counts", [0.0, 0.25, 1.0]),
        ("real", np.array([[-3.0, 0.25, 9.0]], np.float32), "counts", [-3.0, 0.25, 9.0]),
        ("real", np.array([[-3, 0, 9]], np.int16), "counts", [-3.0, 0.0, 9.0]),
    ],
)
@pytest.mark.parametrize("on_host", [False, True])
def test_what_the_model_sees(values, x, pixels, expected, on_host):
    made = source(Split(x), values, pixels=pixels, on_host=on_host)
    seen = made.example(jr.key(0), jax.tree.map(lambda leaf: leaf[0], made.take(np.array([0]))))
    assert seen.values.dtype == jnp.float32
    np.testing.assert_allclose(seen.values, expected, rtol=1e-6)
    assert (len(made), made.shape, made.on_host) == (1, (3,), on_host)


@pytest.mark.parametrize("kind", ["uint8", "unit"])
def test_dynamic_draws_have_the_grey_value_as_mean(kind):
    x = GREYS if kind == "uint8" else (GREYS / np.float32(255)).astype(np.float32)
    made = source(Split(x), kind, dynamic=True)
    n = 20_000
    drawn = np.asarray(values(made, jr.key(1), jnp.zeros(n, int)))
    assert set(np.unique(drawn)) == {0.0, 1.0}
    p = np.arange(256) * (257 / 65536 if kind == "uint8" else 1 / 255)
    error = drawn.reshape(n, 256).mean(0) - p
    assert (np.abs(error) <= SIGMAS * np.sqrt(p * (1 - p) / n) + 1e-6).all()
    # the two halves of a random word are drawn apart: adjacent pixels do not vary together
    centred = drawn.reshape(n, 256) - p
    products = (centred[:, 1:] * centred[:, :-1]).mean(0)
    variance = p * (1 - p)
    assert (np.abs(products) <= SIGMAS * np.sqrt(variance[1:] * variance[:-1] / n) + 1e-6).all()


def test_dynamic_draws_change_with_the_key_and_only_with_it():
    made = source(load("digits").train, "uint8", dynamic=True)
    first, again, other = (values(made, jr.key(k), jnp.arange(8)) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (np.asarray(first) != np.asarray(other)).mean() > 0.05


@pytest.mark.parametrize("shape", [(1,), (3, 5), (7, 1, 1)])
def test_dynamic_draws_of_odd_sizes(shape):
    made = source(Split(np.full((2, *shape), 255, np.uint8)), "uint8", dynamic=True)
    assert values(made, jr.key(0), jnp.array([1, 0])).shape == (2, *shape)


def test_the_data_set_says_how():
    dataset = load("digits", binarize="dynamic")
    assert source(dataset.train, dataset).dynamic
    assert not source(dataset.train, dataset, dynamic=False).dynamic
    static = load("digits", binarize="static")
    made = source(static.train, static)
    assert (made.values, made.dynamic) == ("binary", False)
    assert not source(static.train, static, dynamic=True).dynamic  # zeros and ones stay as they are


def test_take_gathers_the_same_rows_on_device_and_host():
    train = load("digits").train
    indices = np.array([5, 0, 5, 1296])
    device, host = source(train, "uint8"), source(train, "uint8", on_host=True)
    assert device.take(indices).values.dtype == jnp.uint8
    assert isinstance(host.take(jnp.asarray(indices)).values, np.ndarray)
    np.testing.assert_array_equal(device.take(indices).values, train.x[indices])
    np.testing.assert_array_equal(host.take(indices).values, train.x[indices])


def test_one_compilation_serves_all_batches():
    made = source(load("digits").train, "uint8", dynamic=True)

    @eqx.filter_jit
    @eqx.debug.assert_max_traces(max_traces=1)
    def batch(made, key, indices):
        return jax.vmap(made.example)(jr.split(key, 4), made.take(indices))

    for start in range(3):
        batch(made, jr.key(start), jnp.arange(start, start + 4))


def test_masked_examples():
    x = np.array([[1.0, 0.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
    observed = np.array([[True, False, True], [True, True, True]])
    made = source(Split(x, observed=observed), "real")
    batch = draw(made, jr.key(0), jnp.array([1, 0]))
    np.testing.assert_array_equal(batch.values, x[[1, 0]])
    np.testing.assert_array_equal(batch.observed, observed[[1, 0]])
    assert (len(made), made.shape) == (2, (3,))
    host = source(Split(x, observed=observed), "real", on_host=True).take([1])
    assert isinstance(host.values, np.ndarray)


def test_missing_entries_stay_zero_in_dynamic_draws():
    observed = np.zeros((1, 50), bool)
    made = source(Split(np.full((1, 50), 255, np.uint8), observed=observed), "uint8", dynamic=True)
    assert values(made, jr.key(0), jnp.zeros(3, int)).sum() == 0


def test_a_mask_has_the_shape_of_its_values():
    with pytest.raises(InputError, match="observed"):
        Example(jnp.ones(3), jnp.ones(2, bool))


def test_helpers_of_plain_arrays():
    x = jnp.ones(3)
    found = as_example(x)
    assert found.values is x
    assert found.observed is None
    assert as_example(found) is found


def test_streamed_rows_are_read_as_needed(tmp_path):
    np.save(tmp_path / "x.npy", np.linspace(0, 1, 60).reshape(30, 2))
    dataset = load(tmp_path / "x.npy", stream=True)
    made = source(dataset.train, dataset)
    assert made.on_host
    rows = made.take(np.array([3, 1]))
    assert not isinstance(rows.values, np.memmap)
    seen = jax.vmap(made.example)(jr.split(jr.key(0), 2), rows)
    assert seen.values.dtype == jnp.float32
    np.testing.assert_allclose(seen.values, np.linspace(0, 1, 60).reshape(30, 2)[[3, 1]], rtol=1e-6)


def test_what_gives_no_source():
    train = Split(np.ones((2, 2), np.float32))
    with pytest.raises(InputError, match="kind of values"):
        source(train, "floats")
    with pytest.raises(InputError, match="form of pixels"):
        source(train, "unit", pixels="bytes")
    with pytest.raises(InputError, match="no rows"):
        source(Split(train.x[:0]), "unit")
    with pytest.raises(InputError, match="needs grey values"):
        source(train, "real", dynamic=True)
