"""Events of users on the command line: fit, score, and the next event of each."""

import json

import numpy as np
import pandas as pd
import pytest

from nelbo.cli import main
from nelbo.core import InputError
from nelbo.data import Cuts, last_events, load_events, read_events

COLUMNS = ("--columns", "user,time,mark")


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """Sixty users, half of them fast and fond of b; marks alternate otherwise."""
    folder = tmp_path_factory.mktemp("events")
    random = np.random.default_rng(0)
    rows = []
    for user in range(60):
        times = np.cumsum(random.exponential(0.5 if user % 2 else 3.0, size=random.integers(1, 9)))
        rows += [(f"u{user}", round(t, 4), "b" if user % 2 else "ac"[i % 2]) for i, t in enumerate(times)]
    pd.DataFrame(rows, columns=["user", "time", "mark"]).sample(frac=1, random_state=0).to_csv(
        folder / "events.csv", index=False
    )
    return folder


@pytest.fixture(scope="module")
def run(users):
    words = ("fit", "events", "--data", users / "events.csv", *COLUMNS, "--latents", "2", "--state-size", "8",
             "--epochs", "60", "--out", users / "run", "--no-figures", "--quiet")  # fmt: skip
    assert main([str(word) for word in words]) == 0
    return users / "run"


def test_a_fit_scores_events(run, users):
    record = json.loads((run / "record.json").read_text())
    (row,) = record["results"]
    assert row["kind"] == "lower"
    assert np.isclose(row["nats_per_event"] * row["events"], row["nats"] * row["examples"])
    assert 0.0 <= row["mark_accuracy"] <= 1.0
    data = load_events(users / "events.csv", COLUMNS[1].split(","), cuts=Cuts())
    held = [set(ids) for ids in data.schema.events.held]
    assert not held[0] & held[1]
    assert len(held[0]) == len(held[1]) == 6


def test_an_evaluation_says_the_same_of_a_split_and_draws_its_residuals(run, nelbo):
    done = nelbo("evaluate", run, "--json")
    assert done.code == 0, done.err
    row, fitted = json.loads(done.out), json.loads((run / "record.json").read_text())["results"][0]
    assert {name: row[name] for name in ("events", "mark_accuracy", "residual_distance", "residual_p")} == {
        name: fitted[name] for name in ("events", "mark_accuracy", "residual_distance", "residual_p")
    }
    assert np.isclose(row["nats_per_event"] * row["events"], row["nats"] * row["examples"])
    assert (run / "figures" / "time_rescaling.png").read_bytes().startswith(b"\x89PNG")


def test_the_next_event_of_each_user(run, users, nelbo):
    done = nelbo("forecast", run, users / "events.csv", "-o", users / "next.csv", "--draws", "50")
    assert done.code == 0, done.err
    found = pd.read_csv(users / "next.csv")
    assert len(found) == 60
    np.testing.assert_allclose(found[["mark = a", "mark = b", "mark = c"]].sum(axis=1), 1.0, rtol=1e-4)
    assert (found["time_last"] <= found["time_low"]).all()
    assert (found["time_low"] <= found["time_high"]).all()


def test_users_are_embedded(run, users, nelbo):
    """A row for each, by its id, and the same whoever else is in the file."""
    done = nelbo("embed", run, users / "events.csv", "-o", users / "codes.csv")
    assert done.code == 0, done.err
    found = pd.read_csv(users / "codes.csv").set_index("user")
    assert sorted(found.index) == sorted(f"u{user}" for user in range(60))
    events = pd.read_csv(users / "events.csv")
    events[events["user"].isin(["u3", "u4"])].to_csv(users / "two.csv", index=False)
    assert nelbo("embed", run, users / "two.csv", "-o", users / "codes.npz").code == 0
    with np.load(users / "codes.npz") as file:
        two = dict(zip(file["ids"].tolist(), file["x"], strict=True))
    for user in ("u3", "u4"):
        np.testing.assert_allclose(two[user], found.loc[user], rtol=1e-4, atol=1e-6)
    assert np.ptp(found["z1"]) > 0.01


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("forecast", "RUN", "--horizon", "3"), "is about series"),
        (("forecast", "RUN", "-o", "x.npz"), "choose a name that ends in"),
        (("embed", "RUN", "--split", "test"), "is about rows"),
        (("forecast", "RUN", "--draws", "0"), "draws must be at least 1"),
        (("reconstruct", "RUN", "-n", "2"), "no mean"),
        (("compress", "RUN"), "events"),
        (("score", "RUN"), "events"),
        (("fit", "events", "--data", "DATA", *COLUMNS, "--experts", "-1", "--out", "no"), "experts is a number"),
        (("impute", "RUN"), "events"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(run, nelbo, words, said):
    places = {"RUN": run, "DATA": run.parent / "events.csv"}
    done = nelbo(*(places.get(word, word) for word in words), "--quiet")
    assert done.is_refusal(said), (done.code, done.err, done.out)


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        (["u,1,a"], "user,time", "--columns USER,TIME,MARK"),
        (["u,1,a"], "user,time,kind", "column"),
        (["u,,a"], "user,time,mark", "no row has a user"),
        (["u,1,a", "v,inf,a"], "user,time,mark", "infinite"),
        (["u,1,a", "u,2,a"], "user,time,mark", "too few"),
    ],
)
def test_tables_that_hold_no_events(tmp_path, rows, columns, said):
    (tmp_path / "e.csv").write_text("\n".join(["user,time,mark", *rows]) + "\n")
    with pytest.raises(InputError, match=said):
        load_events(tmp_path / "e.csv", columns.split(","), cuts=Cuts())


def test_the_other_sequences_of_a_user_are_the_context(tmp_path):
    rows = ["u,1,a,s", "u,2,b,s", "u,5,a,t", "u,3,b,t", "v,1,b,s", "u,4,a,s"]
    (tmp_path / "e.csv").write_text("\n".join(["user,time,mark,visit", *rows]) + "\n")
    names = ["user", "time", "mark", "visit"]
    data = load_events(tmp_path / "e.csv", names, cuts=Cuts(0, 0.0, 0.0), others=2)
    marks = [row[seen].tolist() for row, seen in zip(data.train.x[..., 1], data.train.observed[..., 1], strict=True)]
    assert marks == [[0.0, 1.0, 0.0], [1.0, 0.0], [1.0]]  # s of u, t of u, which ends later, and v
    context = data.train.context
    assert context.shape == (3, 2, 3, 4)
    assert (context[:2, 1] == 0).all()  # u has one other sequence
    assert (context[2] == 0).all()  # v has none
    np.testing.assert_array_equal(context[0, 0, :, 1], [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(context[1, 0, :, 3], [1.0, 1.0, 1.0])
    users, x, _, beside = last_events(read_events(tmp_path / "e.csv", names), data.schema.events, others=2)
    assert users == ["u", "v"]
    np.testing.assert_array_equal(x[0, :, 1], [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(beside, context[1:])
    with pytest.raises(InputError, match="A window has 1 to 3 events"):
        load_events(tmp_path / "e.csv", names, cuts=Cuts(0, 0.0, 0.0), window=4)


def test_an_unknown_mark_is_refused(run, users, nelbo):
    (users / "odd.csv").write_text("user,time,mark\nu1,1,z\nu1,2,a\n")
    done = nelbo("forecast", run, users / "odd.csv", "-o", users / "odd-next.csv", "--quiet")
    assert done.is_refusal("z")
