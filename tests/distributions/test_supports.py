"""What each distribution can give, by NumPyro's own contract, and the sentence where data hold something else."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as nd
import pytest

from nelbo.core import InputError
from nelbo.distributions import (
    AutoregressiveBernoulli,
    BagOfWords,
    Bernoulli,
    BernoulliMixture,
    BetaBinomial,
    BinaryUnits,
    Categorical,
    CholeskyNormal,
    DiscretizedLogistic,
    LowRankNormal,
    Marginalizable,
    Nade,
    Normal,
    OrderAgnosticNade,
    RankOneNormal,
    check_support,
    example_shape,
    total_log_prob,
)

ZEROS, ONES = jnp.zeros(4), jnp.ones(4)
EVERY = {
    "bernoulli": Bernoulli(ZEROS),
    "autoregressive": AutoregressiveBernoulli(ZEROS, jnp.zeros((4, 4))),
    "nade": Nade(ZEROS, jnp.zeros((4, 3)), jnp.zeros((4, 3)), jnp.zeros(3)),
    "mixture": BernoulliMixture(jnp.zeros(2), jnp.zeros((4, 2))),
    "eonade": OrderAgnosticNade(
        ZEROS,
        *(jnp.zeros(shape) for shape in [(4, 3), (4, 3), (3,), (1, 3, 3), (1, 3), (4, 3)]),
        jnp.asarray([[0, 1, 2, 3], [3, 1, 2, 0]]),
    ),
    "words": BagOfWords(ZEROS, 7),
    "logistic": DiscretizedLogistic(9.0 * ONES, ONES, 16),
    "beta-binomial": BetaBinomial(ONES, ONES, 15),
    "categorical": Categorical(jnp.zeros((4, 16))),
    "normal": Normal(ZEROS, ONES),
    "rank-one": RankOneNormal(ZEROS, ONES, ONES),
    "low-rank": LowRankNormal(ZEROS, ONES, jnp.ones((4, 2))),
    "cholesky": CholeskyNormal(ZEROS, jnp.eye(4)),
}
BITS = {"bernoulli", "autoregressive", "nade", "mixture", "eonade"}
WHOLE = {"logistic", "beta-binomial", "categorical"}


@pytest.mark.share(8)
@pytest.mark.parametrize("name", EVERY)
def test_draws_lie_in_the_support_and_have_the_shape_of_an_example(name):
    made = EVERY[name]
    drawn = made.sample(jr.key(0), (50,))
    assert np.asarray(made.support(drawn)).all()
    assert example_shape(made) == drawn.shape[1:] == (4,)
    check_support(made, np.asarray(drawn))
    assert made.is_discrete == (name in BITS | WHOLE | {"words"})


@pytest.mark.parametrize("name", EVERY)
def test_values_beyond_the_support_are_refused(name):
    made, beyond = EVERY[name], np.array([0.0, 1.0, -1.0, 255.0])
    if name in BITS | WHOLE | {"words"}:
        assert not np.asarray(made.support(beyond)).all()
        with pytest.raises(InputError, match=r"likelihood needs .*, but these reach from -1 to 255"):
            check_support(made, beyond)
    else:
        check_support(made, beyond)
    with pytest.raises(InputError, match="hold NaN or infinity"):
        check_support(made, np.array([0.0, np.nan]))


@pytest.mark.parametrize(("name", "top"), [(name, 15.0) for name in sorted(WHOLE)])
def test_the_ends_of_an_interval_belong_to_it_and_fractions_do_not(name, top):
    made = EVERY[name]
    check_support(made, np.array([0.0, top]))
    for values, says in (([0.0, top + 1], f"from 0 to {top:.0f}, but pixels reach from 0 to 16"), ([0.5], "hold 0.5")):
        with pytest.raises(InputError, match=says):
            check_support(made, np.array(values), what="pixels")


def test_bits_may_be_grey_and_what_is_not_observed_does_not_count():
    check_support(EVERY["bernoulli"], np.array([0.0, 0.3, 1.0]))
    values, observed = np.array([[0.0, 1.0], [7.0, np.nan]]), np.array([[True, True], [False, False]])
    check_support(EVERY["bernoulli"], values, observed)
    check_support(EVERY["bernoulli"], values[:0])
    says = r"The model's Bernoulli likelihood needs zeros and ones \(grey values from 0 to 1 are taken too\), but these"
    with pytest.raises(InputError, match=says + " reach from 0 to 7"):
        check_support(EVERY["bernoulli"], values[:, 0])


def test_a_distribution_of_somebody_elses_is_asked_for_its_support():
    positive = nd.Gamma(jnp.ones(2), jnp.ones(2))
    check_support(positive, np.array([0.1, 5.0]))
    with pytest.raises(InputError, match="Gamma likelihood needs"):
        check_support(positive, np.array([-0.1, 5.0]))


def test_contracts_are_kept_by_those_who_sign_them():
    assert {name for name, made in EVERY.items() if isinstance(made, BinaryUnits)} == BITS
    assert {name for name, made in EVERY.items() if isinstance(made, Marginalizable)} == {"mixture", "eonade"}
    for name in sorted(BITS):
        assert isinstance(EVERY[name].conditional(ONES), Bernoulli)


def test_a_mask_asks_for_the_contract_and_not_for_a_name():
    """A method of that name does not make a distribution marginalizable."""

    class Pretender(Nade):
        def observed_log_prob(self, value, observed):
            raise AssertionError(value, observed)

    made = Pretender(ZEROS, jnp.zeros((4, 3)), jnp.zeros((4, 3)), jnp.zeros(3))
    with pytest.raises(InputError, match="elementwise likelihood or a mixture"):
        total_log_prob(made, ONES, jnp.ones(4, bool))
