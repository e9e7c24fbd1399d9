"""Boyd, Bamler, Mandt and Smyth 2020, User-Dependent Neural Sequence Models for Continuous-Time Event Data."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np

from nelbo.data import Cuts, Data, load_events
from nelbo.evaluation import row_terms
from nelbo.papers.measures import Study
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Record
from nelbo.runs import Experiment, default_objective, fit_rows

INTENSITIES = ("rmtpp", "neural-hawkes")
NAFLD = "nafld_events.npz"
_NAMES = ("user", "time", "mark", "sequence")
_RATE = 0.003  # of Adam, falling to zero
_WEIGHT = 0.02  # of KL
_TOLD = 2.0  # standard errors from which on a gain is told from none
_ENOUGH = 300  # scored sequences from which on a claim is decided
NOTES = (
    (
        "The paper's sets (memes, posts, purchases, songs) are not here. Simulated users have a rate and a liking for "
        "marks of their own; diagnoses of patients with fatty livers and their controls are real, but most patients "
        "have few."
    ),
    (
        "A sequence of a simulated user is one of six; of a patient it is three events in a row. q reads up to eight "
        "other sequences of the same user, later ones too, and never the one that is scored."
    ),
    (
        "With latents a number is the mean of log p(x | z) over 50 draws of q, a lower bound on log p(x | the user's "
        "other sequences), and KL has a weight of 0.02 in training; without latents it is the log-likelihood. The "
        "standard error of a gain is that of the mean difference over held-out sequences."
    ),
)


def simulated(users: int, seed: int) -> dict[str, np.ndarray]:
    """Events of users with a rate and a taste of their own, at random times: six sequences of six events each.

    Args:
        users: how many.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    taste = random.normal(size=(users, 2))
    shape = (users, 6, 6)
    gaps = random.exponential(size=shape) / np.exp(0.7 * taste[:, :1, None])
    odds = np.exp(1.5 * taste[:, 1:] * np.array([-1.0, 0.0, 1.0]))
    share = (odds / odds.sum(1, keepdims=True)).cumsum(1)
    marks = (random.uniform(size=(*shape, 1)) > share[:, None, None]).sum(-1)
    user = np.broadcast_to(np.arange(users)[:, None, None], shape)
    sequence = np.broadcast_to(np.arange(6)[None, :, None], shape)
    times = gaps.cumsum(2) + 1000.0 * sequence
    return {name: part.ravel() for name, part in zip(_NAMES, (user, times, marks, sequence), strict=True)}


def diagnoses(path: Path, patients: int) -> dict[str, np.ndarray]:
    """The first patients with at least six diagnoses, three of which in a row are a sequence.

    Args:
        path: of arrays patient, day and mark.
        patients: how many.
    """
    with np.load(path) as arrays:
        user, day, mark = (np.asarray(arrays[name]) for name in ("patient", "day", "mark"))
    order = np.lexsort((day, user))
    user, day, mark = user[order], day[order], mark[order]
    names, first, count = np.unique(user, return_index=True, return_counts=True)
    keep = np.isin(user, names[count >= 6][:patients])
    place = np.arange(len(user)) - np.repeat(first, count)
    return {name: part[keep] for name, part in zip(_NAMES, (user, day, mark, place // 3), strict=True)}


def gains(
    arrays: Mapping[str, np.ndarray], name: str, *, seed: int, epochs: float, size: int, samples: int
) -> list[dict[str, Any]]:
    """Nats an event of held-out users with and without latents of the user, for each kind of intensity.

    Args:
        arrays: of the events, by `_NAMES`.
        name: of the data.
        seed: of everything random.
        epochs: of training.
        size: of the networks' states.
        samples: draws of z.
    """
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.npz"
        np.savez(path, allow_pickle=False, **{key: np.asarray(part) for key, part in arrays.items()})
        for intensity in INTENSITIES:
            found = {}
            for label, others in (("none", 0), ("of each user", 8)):
                data = load_events(path, _NAMES, cuts=Cuts(seed, 0.1, 0.3), others=others)
                own = {"latents": 4, "intensity": intensity, "experts": others} if others else {"process": intensity}
                found[label] = _scores(data, "events" if others else "point-process", own | {"state_size": size},
                                       seed=seed, epochs=epochs, samples=samples)  # fmt: skip
            events = int(np.asarray(data.test.observed)[..., 1].sum())
            gain = found["of each user"] - found["none"]
            error = float(gain.std(ddof=1) / np.sqrt(len(gain))) * len(gain) / events
            for label, scores in found.items():
                rows.append({"data": name, "intensity": intensity, "latents": label, "sequences": len(scores),
                             "events": events, "nats an event": float(scores.sum() / events),
                             "gain": float(gain.sum() / events) if label != "none" else None,
                             "standard error": error if label != "none" else None})  # fmt: skip
    return rows


def _scores(data: Data, model: str, arguments: dict[str, Any], *, seed: int, epochs: float, samples: int) -> np.ndarray:
    """Log p of each held-out sequence given the other ones of its user, or a lower bound on it [nats]."""
    # q reads the other sequences alone, so that it is a part of the prediction and its KL is no cost of it; with the
    # full weight of KL what q learns of a user costs more than it saves in one sequence, and q stays the prior
    latent = model == "events"
    asked = Experiment({"name": model, "arguments": arguments}, {"name": data.name},
                       {"name": default_objective(model), "arguments": {"beta": _WEIGHT} if latent else {}},
                       {"epochs": epochs, "learning_rate": _RATE} | ({"keep": "last"} if latent else {}),
                       seed)  # fmt: skip
    run = fit_rows(asked, data)
    _, source = run.scored(Data(data.name, {"test": data.test}, data.schema))
    return row_terms(jr.key(seed), run.model, source, num_samples=samples).reconstruction


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """A table for each set of events."""
    users, patients, epochs, size, samples = _SIZES[budget]
    told = {"seed": seed, "epochs": epochs, "size": size, "samples": samples}
    path = None if data_dir is None else Path(data_dir) / NAFLD
    studies = [Study("simulated", "Simulated users, each with a rate and a taste",
                     lambda: gains(simulated(users, seed), "simulated", **told))]  # fmt: skip
    notes: list[str] = list(NOTES)
    if path is not None and path.is_file():
        studies.append(Study("diagnoses", "Diagnoses of patients (nafld3 of R's survival package)",
                             lambda: gains(diagnoses(path, patients), "diagnoses", **told)))  # fmt: skip
    else:
        notes.append(f"Diagnoses are left out: --data-dir names no folder with {NAFLD}.")
    if budget == "smoke":
        notes.insert(0, "This is the smoke budget: few users and steps; it cannot tell.")
    return Plan((), (), tuple(notes), tuple(studies))


_SIZES = {"smoke": (30, 20, 1.0, 4, 2), "quick": (300, 1000, 60.0, 16, 50), "paper": (3000, 5000, 100.0, 64, 50)}


def _better(name: str) -> Any:
    def check(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
        if name not in parts:
            return None, "not run"
        rows = [row for row in parts[name]["rows"] if row["gain"] is not None]
        words = ", ".join(f"{row['intensity']} {row['gain']:+.3f} ± {row['standard error']:.3f}" for row in rows)
        holds = all(row["gain"] > _TOLD * row["standard error"] for row in rows)
        return (holds if rows[0]["sequences"] >= _ENOUGH else None), f"gain in nats an event: {words}"

    return check


PAGE = Page(
    key="boyd2020",
    title="User-Dependent Neural Sequence Models for Continuous-Time Event Data",
    budgets={
        "smoke": "30 users, 20 patients, one epoch",
        "quick": "300 users, 1000 patients, 60 epochs, states of 16 units",
        "paper": "3000 users, 5000 patients, 100 epochs, states of 64 units",
    },
    plan=plan,
    published=(
        Published(
            "log-likelihood of a neural Hawkes process with a mixture-of-experts posterior over a user's sequences",
            "above the same process without user latents on all four sets",
            "memory",
        ),
        Published("where the gain is largest", "early in a sequence", "memory"),
    ),
    claims=(
        Claim(
            "Latents of users raise the likelihood of their sequences.",
            "memory",
            "simulated users: gain in nats an event above two standard errors, for both kinds of intensity",
            _better("simulated"),
        ),
        Claim(
            "They do on real events.",
            "memory",
            "diagnoses: gain in nats an event above two standard errors, for both kinds of intensity",
            _better("diagnoses"),
        ),
    ),
)
