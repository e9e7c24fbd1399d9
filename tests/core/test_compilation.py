import equinox as eqx
import jax
import jax.numpy as jnp

from nelbo.core import abstract


class Scale(eqx.Module):
    by: jax.Array
    power: int = eqx.field(static=True, default=1)


def test_shapes_are_traced_once_for_each_structure_and_shape():
    traced = []

    @abstract
    def scaled(scale, x):
        traced.append(scale.power)
        return {"y": scale.by[None] * x**scale.power}

    assert scaled(Scale(jnp.ones(2)), jnp.zeros((3, 2)))["y"] == jax.ShapeDtypeStruct((3, 2), jnp.float32)
    assert scaled(Scale(jnp.zeros(2)), jax.ShapeDtypeStruct((3, 2), jnp.float32))["y"].shape == (3, 2)
    assert traced == [1]
    assert scaled(Scale(jnp.ones(2)), jnp.zeros((4, 2)))["y"].shape == (4, 2)
    assert scaled(Scale(jnp.ones(2), 2), jnp.zeros((4, 2)))["y"].shape == (4, 2)
    assert traced == [1, 1, 2]


def test_shapes_may_be_asked_for_inside_of_another_program():
    once = abstract(lambda x: x[0])
    assert jax.jit(lambda x: x + once(x).size)(jnp.zeros(3)).tolist() == [1.0, 1.0, 1.0]
