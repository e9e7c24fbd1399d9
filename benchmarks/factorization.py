"""Matrix factorization of the 73,421 marks of insteval: seconds an epoch, and held-out scores.

    python benchmarks/factorization.py --data insteval.npz --rounds 7

Speed: nelbo's loop against NumPyro's mean-field VI of the same model (AutoNormal, closed-form KL, steps in one scan
over an epoch's batches), with the same batches, rank and Adam, interleaved, medians. Scores on the same tenth of
the marks that nothing was fitted to: the log predictive density and the RMSE of nelbo, of scikit-surprise's SVD
(where it is installed) and of alternating least squares in NumPy, all of one rank. The last two give no density:
theirs is a normal around their prediction, of the standard deviation that their validation errors have. Their
settings are chosen on the validation marks.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

RANK, BATCH, RATE, PRIOR = 8, 1000, 0.02, 0.5
EPOCHS = 60  # for the scores


class Marks:
    """The marks in three parts, by a seed.

    Args:
        path: an `.npz` with user, item and rating.
    """

    def __init__(self, path: str) -> None:
        with np.load(path) as arrays:
            users, items = (np.unique(arrays[name], return_inverse=True)[1] for name in ("user", "item"))
            values = arrays["rating"].astype(np.float32)
        order = np.random.default_rng(0).permutation(len(values))
        cut = len(values) // 10
        parts = {"test": order[:cut], "valid": order[cut : 2 * cut], "train": order[2 * cut :]}
        self.shape = (int(users.max()) + 1, int(items.max()) + 1)
        self.parts = {name: (users[rows], items[rows], values[rows]) for name, rows in parts.items()}


def nelbo_model(marks: Marks, *, learn_prior: bool, likelihood: str = "gaussian") -> Any:
    """The model before training."""
    import jax
    import jax.numpy as jnp

    from nelbo.models import build

    values = marks.parts["train"][2]
    moments = {"centre": jnp.full(1, values.mean()), "spread": jnp.full(1, values.std())}
    arguments = {"shape": [1], "pairs": list(marks.shape), "rank": RANK, "prior_scale": PRIOR, "likelihood": likelihood}
    levels = {"levels": [1.0, 2.0, 3.0, 4.0, 5.0]} if likelihood == "ordinal" else {}
    return build(jax.random.key(0), "factorization", {**arguments, **moments, **levels, "learn_prior": learn_prior})


def nelbo_source(marks: Marks, part: str) -> Any:
    """A part of the marks, as the loop draws from it."""
    import jax.numpy as jnp

    from nelbo.core import Example
    from nelbo.data import Source

    users, items, values = marks.parts[part]
    context = jnp.asarray(np.stack([users, items], 1), jnp.float32)
    return Source(Example(jnp.asarray(values[:, None]), context=context), "real", dynamic=False)


class Nelbo:
    """The chunks of `nelbo.fit`."""

    def __init__(self, marks: Marks) -> None:
        import jax
        from stepping import Stepping

        from nelbo.bayes import WithGlobals
        from nelbo.objectives import Sgvb
        from nelbo.training import optimizer

        data = nelbo_source(marks, "train")
        self.steps = len(data) // BATCH
        adam = optimizer("adam", learning_rate=RATE)
        objective = WithGlobals(Sgvb(), len(data))
        key, model = jax.random.key(2), nelbo_model(marks, learn_prior=False)
        self._steps = Stepping(key, model, objective, data, adam, batch=BATCH, chunk=self.steps)

    def epoch(self) -> float:
        """Seconds."""
        return self._steps.seconds(self.steps)


class NumPyro:
    """AutoNormal over factors and biases, noise and intercept as parameters, an epoch in one scan."""

    def __init__(self, marks: Marks) -> None:
        import jax
        import jax.numpy as jnp
        import numpyro
        import numpyro.distributions as nd
        from numpyro.infer import SVI, TraceMeanField_ELBO
        from numpyro.infer.autoguide import AutoNormal

        users, items, values = marks.parts["train"]
        size, (rows, columns) = len(values), marks.shape
        values = (values - values.mean()) / values.std()
        self.steps = size // BATCH
        data = tuple(jnp.asarray(part) for part in (users, items, values))

        def model(i: Any, j: Any, y: Any) -> None:
            u, v = (
                numpyro.sample(name, nd.Normal(0.0, PRIOR).expand([count, RANK + 1]).to_event(2))
                for name, count in (("u", rows), ("v", columns))
            )
            intercept = numpyro.param("intercept", jnp.zeros(()))
            noise = numpyro.param("noise", 0.5 * jnp.ones(()), constraint=nd.constraints.positive)
            mean = intercept + (u[i, :-1] * v[j, :-1]).sum(1) + u[i, -1] + v[j, -1]
            with numpyro.plate("marks", size, subsample_size=BATCH):
                numpyro.sample("y", nd.Normal(mean, noise), obs=y)

        svi = SVI(model, AutoNormal(model), numpyro.optim.Adam(RATE), TraceMeanField_ELBO())
        first = tuple(part[:BATCH] for part in data)
        self._state = svi.init(jax.random.key(0), *first)

        @jax.jit
        def epoch(state: Any, key: Any) -> Any:
            order = jax.random.permutation(key, size)[: self.steps * BATCH].reshape(self.steps, BATCH)

            def step(state: Any, rows: Any) -> Any:
                return svi.update(state, *(part[rows] for part in data))

            return jax.lax.scan(step, state, order)

        self._epoch, self._key = epoch, jax.random.key(1)

    def epoch(self) -> float:
        """Seconds."""
        import jax

        self._key, key = jax.random.split(self._key)
        start = time.perf_counter()
        self._state, losses = self._epoch(self._state, key)
        jax.block_until_ready(losses)
        return time.perf_counter() - start


def speed(marks: Marks, rounds: int) -> dict[str, Any]:
    """Seconds of an epoch, interleaved."""
    contestants = {"nelbo": Nelbo(marks), "numpyro": NumPyro(marks)}
    for one in contestants.values():  # compile
        one.epoch()
        one.epoch()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, one in contestants.items():
            times[name].append(one.epoch())
    return {
        name: {"median seconds an epoch": statistics.median(found), "best": min(found)} for name, found in times.items()
    }


def density(predicted: np.ndarray, y: np.ndarray, errors: np.ndarray) -> dict[str, float]:
    """Scores of plain predictions, with a normal of the width that other errors have."""
    width = float(np.sqrt((errors**2).mean()))
    log_score = -0.5 * ((y - predicted) / width) ** 2 - np.log(width * np.sqrt(2.0 * np.pi))
    return {"log score": float(log_score.mean()), "rmse": float(np.sqrt(((y - predicted) ** 2).mean()))}


def nelbo_scores(marks: Marks, likelihood: str) -> dict[str, float]:
    """What `nelbo fit factorization` does with this rank."""
    import jax

    from nelbo.bayes import WithGlobals
    from nelbo.objectives import Sgvb
    from nelbo.tasks import pair_errors, pairs_in, predict_pairs, predictive_score
    from nelbo.training import fit, optimizer

    data, test = nelbo_source(marks, "train"), nelbo_source(marks, "test")
    steps = EPOCHS * len(data) // BATCH
    adam = optimizer("adam", learning_rate=RATE, schedule="cosine", steps=steps)
    model = nelbo_model(marks, learn_prior=True, likelihood=likelihood)
    start = time.perf_counter()
    objective = WithGlobals(Sgvb(), len(data))
    key = jax.random.key(3)
    model = fit(key, model, objective, data, adam, steps=steps, batch_size=BATCH, keep="last").model
    seconds = time.perf_counter() - start
    pairs, values = pairs_in(test)
    errors = pair_errors(predict_pairs(jax.random.key(4), model, pairs), values)
    score = predictive_score(jax.random.key(5), model, test)
    return {"log score": score.nats, "rmse": errors.rmse, "coverage_90": errors.coverage, "seconds": seconds}


def surprise_scores(marks: Marks) -> dict[str, float]:
    """scikit-surprise's SVD; regularization and epochs by the validation marks."""
    import pandas as pd
    from surprise import SVD, Dataset, Reader

    frame = pd.DataFrame(dict(zip(("user", "item", "rating"), marks.parts["train"], strict=True)))
    whole = Dataset.load_from_df(frame, Reader(rating_scale=(1, 5))).build_full_trainset()

    def of(part: str, model: Any) -> np.ndarray:
        users, items, _ = marks.parts[part]
        return np.array([model.predict(u, i).est for u, i in zip(users, items, strict=True)])

    found = []
    for reg_all in (0.02, 0.05, 0.1, 0.2):
        for n_epochs in (20, 40):
            model = SVD(n_factors=RANK, reg_all=reg_all, n_epochs=n_epochs, random_state=0).fit(whole)
            errors = of("valid", model) - marks.parts["valid"][2]
            found.append((float((errors**2).mean()), reg_all, n_epochs, model, errors))
    _, reg_all, n_epochs, model, errors = min(found, key=lambda one: one[0])
    scores = density(of("test", model), marks.parts["test"][2], errors)
    return {**scores, "reg_all": reg_all, "n_epochs": n_epochs}


def als(marks: Marks, strength: float, sweeps: int = 15) -> tuple[float, np.ndarray, np.ndarray]:
    """Alternating ridge regressions over factors with a bias each (each row's penalty is `strength`)."""
    users, items, values = marks.parts["train"]
    mean = float(values.mean())
    rng = np.random.default_rng(0)
    sides = [0.1 * rng.normal(size=(count, RANK + 1)) for count in marks.shape]
    places = []
    for ids, count in zip((users, items), marks.shape, strict=True):
        order = np.argsort(ids, kind="stable")
        places.append(np.split(order, np.cumsum(np.bincount(ids, minlength=count))[:-1]))
    ridge = strength * np.eye(RANK + 1)
    for _ in range(sweeps):
        for side, other, ids in ((0, 1, items), (1, 0, users)):
            for k, rows in enumerate(places[side]):
                known = sides[other][ids[rows]]
                x = np.hstack([known[:, :-1], np.ones((len(rows), 1))])
                sides[side][k] = np.linalg.solve(x.T @ x + ridge, x.T @ (values[rows] - mean - known[:, -1]))
    return mean, sides[0], sides[1]


def als_scores(marks: Marks) -> dict[str, float]:
    """Alternating least squares; the ridge by the validation marks."""

    def of(part: str, fitted: tuple[float, np.ndarray, np.ndarray]) -> np.ndarray:
        (mean, u, v), (users, items, _) = fitted, marks.parts[part]
        x, y = u[users], v[items]
        return np.clip(mean + (x[:, :-1] * y[:, :-1]).sum(1) + x[:, -1] + y[:, -1], 1.0, 5.0)

    found = []
    for strength in (3.0, 6.0, 10.0, 20.0):
        fitted = als(marks, strength)
        errors = of("valid", fitted) - marks.parts["valid"][2]
        found.append((float((errors**2).mean()), strength, fitted, errors))
    _, strength, fitted, errors = min(found, key=lambda one: one[0])
    return {**density(of("test", fitted), marks.parts["test"][2], errors), "ridge": strength}


def main() -> None:
    """Print all numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="insteval.npz")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=["speed", "scores"])
    parser.add_argument("--out", help="write the numbers there too")
    options = parser.parse_args()
    marks, found = Marks(options.data), {}
    if options.only != "scores":
        found["speed"] = speed(marks, options.rounds)
    if options.only != "speed":
        found["scores"] = {f"nelbo, {name}": nelbo_scores(marks, name) for name in ("gaussian", "ordinal")}
        found["scores"]["alternating least squares"] = als_scores(marks)
        try:
            found["scores"]["scikit-surprise SVD"] = surprise_scores(marks)
        except ImportError:
            found["scores"]["scikit-surprise SVD"] = "not installed"
    text = json.dumps(found | {"rank": RANK, "batch": BATCH}, indent=2)
    print(text)
    if options.out:
        Path(options.out).write_text(text + "\n")


if __name__ == "__main__":
    main()
