import base64
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_up_runs import history_rows, images, write_history

from nelbo.core import InputError, write_arrays, write_json
from nelbo.report import comparison_page, draw_figures, write_report
from nelbo.report.single_run import duration
from nelbo.report.sorting import SCRIPT
from nelbo.runs import DataRecord, RunRecord

VOID = {"meta", "img", "source", "br"}
EVIL = "<script>alert('x')</script> & \"q\""


class Page(HTMLParser):
    """Checks that tags close in order; collects headings, links, texts and table rows."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.images, self.tags = [], [], [], []
        self.headings, self.rows, self.text = [], [], ""
        self.terms, self.facts = [], []
        self.feed(text.removeprefix("<!DOCTYPE html>\n"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attrs = dict(attrs)
        self.links += [attrs[key] for key in ("src", "srcset", "href", "action", "data") if key in attrs]
        assert not [key for key in attrs if key.startswith("on")]
        if tag == "img":
            self.images.append(attrs)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        for tag, found in (("dt", self.terms), ("dd", self.facts)):
            if self.open and self.open[-1] == tag:
                found.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings[-1] += data


def read(path):
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not re.search(r"https?://|//cdn|@import|url\(", text)
    assert page.tags.count("script") == 1
    assert f"<script>{SCRIPT}</script>" in text
    return page


def test_a_page_of_one_run_says_everything(make_run):
    run = make_run()
    path = write_report([run])
    assert path == run.resolve() / "report.html"
    page = read(path)
    assert page.headings[0] == "a run"
    for heading in ("Learning curves", "Samples", "Reconstructions", "Latent manifold", "Embedding", "Results"):
        assert heading in page.headings
    for heading in ("Settings", "Training history", "How to reproduce"):
        assert heading in page.headings
    assert "Test IWAE, lower bound on log p(x)" in page.text
    assert "−97.500 nats per example" in page.text
    assert "nelbo fit vae --out 'my run'" in page.text
    iwae = ["test", "IWAE", "lower bound", "5000", "-97.500", "0.079", "0.74", "0.177", "static(seed=0)"]
    assert iwae in page.rows
    assert ["valid", "IWAE", "lower bound", "9000", "-1.00", "–", "–", "–", "not stated"] in page.rows
    for row in (["hidden", "500, 400"], ["optimizer.rate", "0.001"], ["commit", "0123abc"]):
        assert row in page.rows
    assert ["wall time", "1\u00a0h\u00a002\u00a0min"] in page.rows
    assert ["jax", "0.7.2"] in page.rows


def test_the_headline_names_both_errors_and_what_the_number_is(make_run):
    page = read(write_report([make_run()]))
    facts = dict(zip(page.terms, page.facts, strict=True))
    assert facts == {
        "Monte Carlo error": "± 0.079\u00a0nats",
        "error over examples": "± 0.74\u00a0nats",
        "draws of z": "5000 samples",
        "bits per dim": "0.177",
        "binarization": "static(seed=0)",
    }


def test_an_exact_number_is_called_exact(make_run):
    run = make_run()
    record = json.loads((run / "record.json").read_text())
    record["results"] = [{"split": "test", "bound": "elbo", "kind": "exact", "nats": -80.0, "samples": 1}]
    write_json(run / "record.json", record)
    page = read(write_report([run]))
    assert "Test ELBO, exact value of log p(x)" in page.text
    assert "log p(x), mean over examples; higher is better." in page.text
    assert "lower bound" not in page.text


@pytest.mark.slow
def test_captions_say_what_is_shown(make_run):
    run = make_run()
    text = read(write_report([run])).text
    assert "E[x | z] with z drawn from the prior: means" in text
    assert "Above: test examples. Below each: its reconstruction, E[x | z] with one z drawn from q(z | x)." in text
    assert "E[x | z] for z on a grid" in text
    assert "Each point is a test example at its mean under q(z | x), coloured by class." in text
    assert "ELBO: a lower bound on log p(x)" in text
    assert "x given z" not in text
    assert "orange" not in text
    with_holes = images(4, seed=1)
    with_holes[0, 0, 0] = np.nan
    arrays = {"samples": images(7), "originals": with_holes, "reconstructions": images(4, seed=2)}
    write_arrays(run / "arrays.safetensors", arrays, {"samples": "draws"})
    text = read(write_report([run])).text
    assert "Draws of x from the model." in text
    assert "Missing pixels are orange." in text


def test_classes_are_called_by_their_names(make_run, monkeypatch):
    run, seen = make_run(), []
    record = json.loads((run / "record.json").read_text())
    write_json(run / "record.json", record | {"data": {"name": "mnist", "labels": ["shirt", "shoe", "bag", "coat"]}})
    monkeypatch.setattr(
        "nelbo.report.run_pictures.embedding_scatter",
        lambda *_, class_names, **__: seen.append(class_names) or np.zeros((1, 1, 4), np.uint8),
    )
    draw_figures(run)
    assert seen == [["shirt", "shoe", "bag"]]


def test_the_history_names_its_units_and_its_best_row(make_run):
    page = read(write_report([make_run()]))
    head = next(row for row in page.rows if row[0] == "of 12 evaluations")
    assert head[1:] == [
        "step",
        "epoch",
        "training examples seen",
        "train bound (nats)",
        "time (s)",
        "validation bound (nats)",
    ]
    best = next(row for row in page.rows if row[0] == "best validation bound")
    assert best[1:] == ["1200", "2.4", "120000", "-102.08", "18.0", "-103.08"]


def test_every_picture_is_inside_with_words_for_it(make_run):
    page = read(write_report([make_run()]))
    assert len(page.images) == 6
    assert page.tags.count("source") == 2  # the two plots come for dark pages too
    assert all(len(image["alt"]) > 20 for image in page.images)
    for image in page.images:
        assert base64.b64decode(image["src"].split(",", 1)[1]).startswith(b"\x89PNG\r\n")


def test_text_from_files_is_escaped(make_run):
    run = make_run(name=EVIL)
    record = json.loads((run / "record.json").read_text())
    record.update(command=EVIL, hardware={EVIL: EVIL}, versions={EVIL: EVIL})
    record["results"][2].update(binarization=EVIL, bound=EVIL, split=EVIL, samples=EVIL)
    write_json(run / "record.json", record)
    write_json(run / "config.json", {EVIL: {EVIL: EVIL}, "model": {"name": EVIL}})
    write_history(run / "history.jsonl", [{EVIL: 1.0, f"{EVIL}_bound": -2.0, "step": 1}])
    path = write_report([run, make_run("other")])
    read(path)
    text = write_report([run]).read_text()
    page = read(run / "report.html")
    assert text.count("<script") == 1
    assert page.headings[0] == EVIL
    assert page.text.count(EVIL) >= 8


def test_several_runs_are_compared(make_run):
    first, second = make_run("a", name="first"), make_run("b", name="second", final=-120.0, seed=4, latents=20)
    path = write_report([first, second])
    assert path == first.parent.resolve() / "report.html"
    page = read(path)
    assert page.headings[0] == "Comparison of 2 runs"
    iwae = "Test IWAE of 5000 samples (lower bound): mnist, binarization static(seed=0), – examples"
    elbo = "Test ELBO of 1 sample (lower bound): mnist, binarization not stated, – examples"
    assert {iwae, elbo} <= set(page.headings)
    assert "Numbers that stand alone" not in page.headings
    assert ["first", "-97.500", "0.079", "0.74", "0.177", "1\u00a0h\u00a002\u00a0min"] in page.rows
    assert [row[0] for row in page.rows[1:3]] == ["first", "second"]
    assert [row[1] for row in page.rows[1:3]] == ["-100.00", "-120.00"]
    assert ["model.arguments.latents", "2", "20"] in page.rows
    assert ["seed", "3", "4"] in page.rows
    assert not any(row[0] == "data.name" for row in page.rows)
    assert any("Learning curves of 2 runs: first, second." in image["alt"] for image in page.images)


@pytest.mark.slow
def test_runs_of_one_name_are_told_apart(make_run):
    page = read(write_report([make_run("a"), make_run("b"), make_run("c/a")]))
    assert [row[0] for row in page.rows[1:4]] == ["a run (a)", "a run (b)", "a run (a) 2"]


def record_of(name, *, digest="", values="binary", **result):
    """A run as plain values, with one result and no pictures."""
    row = {"split": "test", "bound": "iwae", "samples": 5000, "data": "mnist", "binarization": "static"}
    data = DataRecord("mnist", digests={"test": digest})
    return RunRecord(
        Path(name), name, results=(row | {"examples": 100, "nats": -90.0} | result,), data=data, values=values
    )


@pytest.mark.parametrize(
    "other",
    [
        {"bound": "elbo"},
        {"kind": "exact"},
        {"samples": 50},
        {"data": "fashion"},
        {"binarization": "static(seed=1)"},
        {"split": "valid"},
        {"examples": 20},
        {"digest": "another file of that name"},
        {"values": "integers"},
    ],
)
def test_only_like_is_compared_with_like(other):
    page = Page(comparison_page([record_of("a"), record_of("b"), record_of("c", nats=-50.0, **other)]))
    assert [row[0] for row in page.rows[:5]] == ["run", "a", "b", "run", "c"]
    assert page.headings[2:4] == [
        "Test IWAE of 5000 samples (lower bound): mnist, binarization static, 100 examples",
        "Numbers that stand alone",
    ]
    assert "not to be compared with each other or with the numbers above" in " ".join(page.text.split())


def test_the_best_of_a_table_is_on_top_whatever_the_order_of_the_runs():
    runs = [record_of(name, nats=nats) for name, nats in (("a", -9.0), ("b", None), ("c", -8.0))]
    assert [row[0] for row in Page(comparison_page(runs)).rows[1:4]] == ["c", "a", "b"]


def test_curves_of_different_bounds_or_data_have_axes_of_their_own():
    history = tuple(history_rows(count=3))
    runs = [
        dataclasses.replace(record_of(name), history=history, **change)
        for name, change in {
            "a": {},
            "b": {},
            "c": {"history_bound": "IWAE, 5 samples"},
            "d": {"data": DataRecord("fashion")},
        }.items()
    ]
    page = Page(comparison_page(runs))
    assert [image["alt"].split(": ")[1] for image in page.images] == ["a, b.", "c.", "d."]
    assert "IWAE, 5 samples: a lower bound on log p(x)" in page.text


@pytest.mark.slow
def test_the_page_goes_where_it_is_asked(make_run, tmp_path):
    run = make_run()
    assert write_report([run], tmp_path / "x" / "page.html") == tmp_path / "x" / "page.html"
    assert write_report([run], tmp_path) == tmp_path / "report.html"
    assert not (run / "report.html").exists()


@pytest.mark.slow
def test_the_same_records_give_the_same_bytes(make_run):
    run = make_run()
    first = write_report([run]).read_bytes()
    assert write_report([run]).read_bytes() == first


@pytest.mark.slow
@pytest.mark.parametrize("part", ["config.json", "history.jsonl", "record.json", "arrays.safetensors"])
def test_any_part_may_be_missing_or_alone(make_run, part):
    run, alone = make_run("run"), make_run("alone")
    (run / part).unlink()
    for path in alone.iterdir():
        if path.name != part:
            path.unlink()
    sections = {
        "config.json": "Settings",
        "history.jsonl": "Training history",
        "record.json": "Results",
        "arrays.safetensors": "Samples",
    }
    assert sections[part] not in read(write_report([run])).headings
    headings = read(write_report([alone])).headings
    assert [name for name in sections.values() if name in headings] == [sections[part]]
    draw_figures(alone)
    read(write_report([run, alone]))


def test_numbers_that_are_not_finite_do_not_stop_the_page(make_run):
    run = make_run()
    write_history(run / "history.jsonl", [{"step": 1, "train_bound": float("nan")}, {"step": 2, "train_bound": None}])
    (run / "record.json").write_text('{"results": [{"split": "test", "nats": NaN, "standard_error": Infinity}, 3]}')
    page = read(write_report([run]))
    assert "Learning curves" not in page.headings
    assert ["test", "–", "not stated", "–", "nan", "inf", "–", "–"] in page.rows


def test_no_runs_and_no_run_are_refused(tmp_path):
    with pytest.raises(InputError, match="at least one"):
        write_report([])
    with pytest.raises(InputError, match="no run"):
        write_report([tmp_path])
    assert list(tmp_path.iterdir()) == []


def test_figures_are_written_beside_the_run(make_run):
    run = make_run()
    paths = draw_figures(run)
    names = ["learning_curves", "samples", "reconstructions", "manifold", "embedding", "receptive_fields"]
    assert paths == [run / "figures" / f"{name}.png" for name in names]
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in draw_figures(run)] == before


@pytest.mark.slow
def test_vectors_are_drawn_too(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(120, 9)).astype(np.float32)
    arrays = {"samples": vectors, "originals": vectors, "reconstructions": vectors, "receptive_fields": vectors[:4]}
    arrays["manifold"] = vectors[:4].reshape(2, 2, 9)
    write_arrays(tmp_path / "arrays.safetensors", arrays, {})
    assert [path.stem for path in draw_figures(tmp_path)] == ["samples", "reconstructions", "receptive_fields"]
    assert "The first 100 of 120." in read(write_report([tmp_path])).text


def test_arrays_that_cannot_be_drawn_are_named(tmp_path):
    write_arrays(tmp_path / "arrays.safetensors", {"samples": np.zeros((2, 3, 3, 4), np.float32)}, {})
    with pytest.raises(InputError, match="samples: expected images"):
        draw_figures(tmp_path)


@pytest.mark.parametrize(("seconds", "text"), [(4.23, "4.2 s"), (185, "3 min 05 s"), (7799.7, "2 h 10 min")])
def test_durations(seconds, text):
    assert duration(seconds).replace("\u00a0", " ") == text
