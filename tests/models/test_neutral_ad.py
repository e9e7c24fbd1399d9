"""NeuTraL AD: its score against NumPy, gaps, novel rows that it finds, and what a model without a density refuses."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from nelbo.core import Example, InputError
from nelbo.estimators import NoveltyDetector, load
from nelbo.evaluation import elbo, row_terms
from nelbo.models import build, load_model, save_model
from nelbo.objectives import NAMED, Setting
from nelbo.runs import Experiment, NoveltyQuestion, novel_rows
from nelbo.runs.objectives import objective_for
from nelbo.tasks import sample

SMALL = {"shape": [4], "transformations": 3, "hidden": [8, 3], "inner": 3}


def small(**more):
    return build(jr.key(0), "neutral-ad", {**SMALL, **more})


def by_numpy(layer, x, temperature):
    """Equation 2 of Qiu et al. (2021), a loop for each sum."""
    parts = (layer.down, layer.shift, layer.up, *layer.encoder)
    down, shift, up, *encoder = (np.asarray(part, np.float64) for part in parts)

    def code(v):
        for i, weight in enumerate(encoder):
            v = (v if i == 0 else np.maximum(v, 0.0)) @ weight
        return v

    def h(a, b):
        a, b = code(a), code(b)
        return np.exp(a @ b / np.linalg.norm(a) / np.linalg.norm(b) / temperature)

    moved = [np.maximum(x @ down[k] + shift[k], 0.0) @ up[k] for k in range(len(down))]
    residual = layer.transformation == "residual"
    views = [x + m if residual else x / (1.0 + np.exp(-m)) for m in moved]
    total = 0.0
    for k, view in enumerate(views):
        rest = sum(h(view, other) for other in views[:k] + views[k + 1 :])
        total -= np.log(h(view, x) / (h(view, x) + rest))
    return total / (len(views) * np.log(len(views)))


@pytest.mark.parametrize("transformation", ["residual", "multiplicative"])
def test_the_score_is_the_contrastive_loss_of_the_paper(transformation):
    model = small(transformation=transformation, temperature=0.5)
    rows = np.random.default_rng(0).normal(size=(5, 4))
    found = jax.jit(jax.vmap(lambda x: model.generative.log_prob(x, ()).sum()))(jnp.asarray(rows, jnp.float32))
    exact = [by_numpy(model.generative.layers[0], row, 0.5) for row in rows]
    np.testing.assert_allclose(-np.asarray(found), exact, rtol=2e-4)


def test_what_a_gap_holds_is_not_read_and_it_stands_at_the_mean():
    model = small(centre=jnp.asarray([1.0, 2.0, 3.0, 4.0]), spread=jnp.full(4, 2.0), missing="mean")
    score = jax.jit(lambda value, observed: model.generative.log_prob(Example(value, observed), ()).sum())
    observed = jnp.asarray([True, False, True, True])
    row = jnp.asarray([0.5, 9.0, 1.0, -2.0])
    assert score(row, observed) == score(row.at[1].set(-7.0), observed) == score(row.at[1].set(2.0), observed | True)
    assert np.isfinite(jax.grad(lambda v: score(v, observed))(row)).all()


@pytest.fixture(scope="module")
def detector():
    """Rows of two clusters on a line are usual; others of the same spread in each column are not."""
    rng = np.random.default_rng(0)
    return NoveltyDetector(
        model="neutral-ad", alpha=0.1, held_out=0.3, epochs=60, learning_rate=0.003, random_state=0
    ).fit(usual(rng, 600))


def usual(rng, count):
    side = rng.choice([-1.0, 1.0], count)
    return side[:, None] * np.array([2.0, 2.0, -2.0, 2.0]) + 0.3 * rng.normal(size=(count, 4))


def test_planted_novel_rows_are_found_and_p_values_of_others_are_uniform(detector):
    """Kolmogorov-Smirnov on 300 new rows against 180 held-out ones: a false alarm in a thousand seeds."""
    rng = np.random.default_rng(1)
    others = 2.0 * rng.choice([-1.0, 1.0], (300, 4)) + 0.3 * rng.normal(size=(300, 4))
    others = others[np.abs(others @ [1, 1, -1, 1]) < 6]  # neither of the two clusters
    rows, new = usual(rng, 300), np.concatenate([usual(rng, 300), others])
    scores = -detector.score_samples(new)
    assert roc_auc_score(np.arange(len(new)) >= 300, scores) > 0.95
    assert stats.ks_2samp(detector.held_out_scores(), detector.score_samples(rows)).pvalue > 0.001
    assert np.mean(detector.predict(others) < 0) > 0.8


def test_it_comes_back_from_a_folder(detector, tmp_path):
    detector.save(tmp_path / "run")
    rows = usual(np.random.default_rng(2), 5)
    np.testing.assert_array_equal(load(tmp_path / "run").score_samples(rows), detector.score_samples(rows))
    save_model(tmp_path / "m.safetensors", detector.run_.model)
    assert load_model(tmp_path / "m.safetensors").is_detector


def test_what_needs_a_density_is_refused(detector):
    model, (_, source) = detector.run_.model, detector._source(usual(np.random.default_rng(3), 30))
    with pytest.raises(InputError, match="has a score alone"):
        elbo(jr.key(0), model, source)
    with pytest.raises(InputError, match="has no samples"):
        sample(jr.key(0), model, 2)
    with pytest.raises(InputError, match="has a score alone"):
        model.log_prob(jnp.zeros(4))
    with pytest.raises(InputError, match="leave --by kl out"):
        novel_rows(detector.run_, NoveltyQuestion(score="kl"))
    assert row_terms(jr.key(0), model, source).entries is None
    of_sgvb = Experiment({"name": "neutral-ad", "arguments": {}}, {}, {"name": "sgvb", "arguments": {}}, {}, 0)
    with pytest.raises(InputError, match="is trained by mean-score"):
        objective_for(of_sgvb, Setting(1, 1.0), model)
    with pytest.raises(InputError, match="has a density"):
        NAMED["mean-score"].make(Setting(1, 1.0)).init(jr.key(0), build(jr.key(0), "vae", {"shape": [4]}))
