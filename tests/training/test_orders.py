"""Orders of examples in the loop: what weights do, that runs resume, and what is refused."""

import numpy as np
import optax
import pytest
from compiling import compilations
from small import Keep, assert_same_bits, location, rows, train

from nelbo.core import InputError, Registry, using
from nelbo.data import Split, source
from nelbo.objectives import MaximumLikelihood
from nelbo.training import Replacement, Stepwise, checked_ordering, order_named

COUNTS = np.linspace(0.5, 1.5, 33).astype(np.float32)


class Weighed(Replacement):
    """Draws with replacement that count differently."""

    def record(self):
        return {"name": "weighed", "most": 1.5}

    def weights(self, indices):
        return COUNTS[indices]


def simple(**changes):
    settings = {"model": location(), "objective": MaximumLikelihood(), "optimizer": optax.sgd(1.0), "order": Weighed}
    return train(**(settings | changes))


@pytest.mark.parametrize("on_host", [False, True])
def test_weights_count_in_the_mean_over_a_batch(on_host):
    """One step of length one from zero goes to the weighted mean of the batch."""
    found = simple(steps=1, keep="last", data=source(Split(rows(33)), "real", on_host=on_host))
    chosen = []

    class Watched(Weighed):
        def batch(self, step):
            chosen.append(super().batch(step))
            return chosen[-1]

    again = simple(steps=1, keep="last", order=Watched)
    np.testing.assert_array_equal(found.model.mean, again.model.mean)
    weights, x = COUNTS[chosen[0]], rows(33)[chosen[0]].astype(np.float64)
    np.testing.assert_allclose(found.model.mean, (weights[:, None] * x).mean(0), rtol=1e-5)
    expected = (weights * -0.5 * (4 * np.log(2 * np.pi) + (x**2).sum(1))).mean()
    assert found.history[0]["train_bound"] == pytest.approx(expected, rel=1e-5)
    assert found.order == {"name": "weighed", "most": 1.5}


@pytest.mark.parametrize("order", [Replacement, Weighed])
def test_a_resumed_run_equals_the_unbroken_one(order, tmp_path):
    keep = Keep(tmp_path)
    whole = simple(order=order, optimizer=optax.sgd(0.1), callbacks=[keep])
    again = simple(order=order, optimizer=optax.sgd(0.1), resume=keep.resume("evaluate", 10))
    assert_same_bits(whole, again)
    other = simple(order=order, optimizer=optax.sgd(0.1), chunk=100)
    assert_same_bits(whole, other, other_program=True)


def test_a_second_fit_with_weights_compiles_nothing():
    optimizer = optax.sgd(0.1)
    simple(optimizer=optimizer)
    with compilations() as found:
        simple(optimizer=optimizer, steps=17)
    assert not found


def test_a_checkpoint_of_another_order_is_refused(tmp_path):
    keep = Keep(tmp_path)
    simple(order=Replacement, callbacks=[keep])
    with pytest.raises(InputError, match=r"order = replacement, not weighed \(most 1.5\)"):
        simple(resume=keep.resume("evaluate", 10))


def test_orders_have_names_and_others_can_be_added():
    made = order_named("replacement", Split(rows(5)), {})
    assert made is Replacement
    with pytest.raises(InputError, match="did you mean 'replacement'"):
        order_named("replacment", Split(rows(5)), {})
    with pytest.raises(InputError, match="speed is an option of no batches, and these are replacement"):
        checked_ordering("replacement", {"speed": 1})

    def mine(rows: Split, *, speed: int = 2):
        del rows, speed
        return Weighed

    with using(Registry(orders={"mine": mine})):
        assert order_named("mine", Split(rows(5)), {"speed": 3}) is Weighed
        assert checked_ordering("mine", {}) == {"speed": 2}
        with pytest.raises(InputError, match="speed is an option of mine batches, and these are reshuffled"):
            checked_ordering("reshuffled", {"speed": 1})


def test_an_order_that_draws_batches_one_by_one_needs_no_more():
    class First(Stepwise):
        def record(self):
            return {"name": "first"}

        def batch(self, step):
            del step
            return np.arange(self.batch_size, dtype=np.int32)

    made = simple(order=lambda key, n, m, _: First(key, n, m), steps=1, keep="last")
    np.testing.assert_allclose(made.model.mean, rows(33)[:8].mean(0), rtol=1e-5)
