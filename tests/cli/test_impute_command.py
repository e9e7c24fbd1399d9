"""`nelbo impute` from a run and a file to files, and its one-sentence refusals."""

import json

import jax
import numpy as np
import pytest

from nelbo.cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("impute")
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(80, 2)) @ rng.normal(size=(2, 4)) + 0.1 * rng.normal(size=(80, 4))).astype(np.float32)
    np.save(folder / "train.npy", x)
    x[3] = np.nan
    x[5, 1:3] = np.nan
    np.save(folder / "gaps.npy", x)
    fit = f"fit factor-analysis --data {folder}/train.npy --latents 2 --epochs 2 --batch-size 20 --quiet --no-figures"
    # optax raises a float to an integer power, and `jnp.array_split` of keys counts as their use
    with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        assert main([*fit.split(), "--out", str(folder / "run")]) == 0
    return folder


def test_a_file_with_gaps_comes_back_whole_and_in_order(run, capsys):
    assert main(f"impute {run}/run {run}/gaps.npy --steps 3 --draws 4 --json -o {run}/done.npz".split()) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["missing_entries"], told["empty_rows"]) == (80, 6, 1)
    done, given = np.load(run / "done.npz"), np.load(run / "gaps.npy")
    assert done["draws"].shape == (4, 80, 4)
    seen = ~np.isnan(given)
    assert (done["observed"] == seen).all()
    assert (done["mean"][seen] == given[seen]).all()
    assert np.isfinite(done["mean"]).all()
    assert (done["std"][~seen] > 0).all()
    assert (done["low"] <= done["high"]).all()


@pytest.mark.slow
def test_masks_and_csv(run, capsys):
    np.save(run / "mask.npy", np.array([1, 0, 1, 1]))
    command = f"impute {run}/run {run}/train.npy --mask {run}/mask.npy --steps 2 --draws 2 -o {run}/done.csv --quiet"
    assert main(command.split()) == 0
    table, given = np.loadtxt(run / "done.csv", delimiter=","), np.load(run / "train.npy")
    np.testing.assert_allclose(table[:, [0, 2, 3]], given[:, [0, 2, 3]], rtol=1e-6)
    assert (np.abs(table[:, 1] - given[:, 1]) > 0).all()
    assert main(f"impute {run}/run {run}/train.npy --steps 2 --json -o {run}/same.npy".split()) == 0
    assert (np.load(run / "same.npy") == given).all()
    capsys.readouterr()


def test_hidden_entries_are_scored_beside_means_and_neighbours(run, capsys):
    command = f"impute {run}/run --hide 0.4 --compare --steps 3 --draws 4 --json -o {run}/scored.npz"
    assert main(command.split()) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["filling"] for row in told["comparison"]][:2] == ["model", "mean"]
    assert "nearest neighbours" in told["comparison"][2]["filling"]
    assert told["comparison"][0]["rmse"] == told["rmse"]
    assert all(row["rmse"] > 0 for row in told["comparison"])
    assert np.isfinite([told["nats_per_hidden_entry"], told["hidden_nats"]]).all()


@pytest.mark.slow
def test_noise_is_put_on_and_taken_off(run, capsys):
    command = f"impute {run}/run --noise gaussian:0.5 --add-noise --steps 3 --draws 4 --json -o {run}/clean.npz"
    assert main(command.split()) == 0
    told, done = json.loads(capsys.readouterr().out), np.load(run / "clean.npz")
    assert not done["observed"].any()
    assert told["hidden"] == done["mean"].size
    assert (done["std"] > 0).all()
    assert 0 < told["rmse"] < 5


def test_a_column_that_no_training_row_had_is_named_on_stderr_and_in_the_record(run, capsys):
    x = np.load(run / "train.npy")
    x[:, 2] = np.nan
    np.save(run / "never.npy", x)
    fit = f"fit factor-analysis --data {run}/never.npy --latents 2 --epochs 1 --batch-size 20 --quiet --no-figures"
    with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        assert main([*fit.split(), "--out", str(run / "never")]) == 0
    capsys.readouterr()
    command = f"impute {run}/never {run}/never.npy --method importance --proposals 40 --draws 4"
    assert main(f"{command} --json -o {run}/never.npz".split()) == 0
    out, err = capsys.readouterr()
    (said,) = json.loads(out)["warnings"]
    assert "No training row had column" in said
    assert "the numbers filled in are invented" in said
    assert said in err


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("--mask {}/wrong.npy", "The mask has shape [3]; [80, 4], or [4] for all rows alike"),
        ("--mask {}/none.npy", "Cannot read"),
        ("--method gibbs", "Unknown method of imputation 'gibbs'"),
        ("--hide some", "--hide takes a share"),
        ("--hide square:2", "does not fit into shape (4,)"),
        ("-o {}/x.png", "Cannot write"),
        ("--chain-picture {}/f.png", "images with missing pixels"),
        ("--film {}/f.png", "images with missing pixels"),
        ("--add-noise", "--add-noise needs the noise"),
        ("--noise salt:0.1", "Unknown kind of reading 'salt'"),
        ("--noise gaussian", "--noise takes bit-flip:RATE or gaussian:SD"),
        ("--noise bit-flip:0.1", "bit-flip readings need a Bernoulli likelihood"),
        ("--compare", "--compare needs entries whose truth is known"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_two(run, capsys, extra, words):
    np.save(run / "wrong.npy", np.ones(3))
    command = f"impute {run}/run {run}/train.npy --steps 1 --draws 1 " + extra.format(run)
    assert main(command.split()) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_eight_bit_images_come_back_as_such_under_a_likelihood_of_numbers_from_0_to_1(tmp_path, capsys):
    grey = np.random.default_rng(0).integers(60, 256, (60, 3, 3), dtype=np.uint8)
    np.save(tmp_path / "grey.npy", grey)
    fit = f"fit linear --data {tmp_path}/grey.npy --latents 1 --epochs 1 --batch-size 20 --quiet --no-figures"
    with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        assert main([*fit.split(), "--out", str(tmp_path / "run")]) == 0
    command = (
        f"impute {tmp_path}/run {tmp_path}/grey.npy --hide 0.3 --method importance --proposals 9 --draws 3 --quiet"
    )
    assert main(f"{command} -o {tmp_path}/full.npz".split()) == 0
    assert main(f"{command} -o {tmp_path}/full.npy".split()) == 0
    full = np.load(tmp_path / "full.npz")
    seen = full["observed"][..., 0]
    assert seen.mean() < 0.9
    for name in ("mean", "low", "high"):
        np.testing.assert_array_equal(full[name][..., 0][seen], grey[seen])
    # grey values from 60 to 255 have the mean 157 and the standard deviation 57
    assert 100 < full["mean"][..., 0][~seen].mean() < 210
    assert 10 < full["std"][..., 0][~seen].mean() < 100
    np.testing.assert_array_equal(np.load(tmp_path / "full.npy"), full["mean"])
    for asked in ("sample", "reconstruct"):
        assert main(f"{asked} {tmp_path}/run -n 4 -o {tmp_path}/{asked}.npy --quiet".split()) == 0
        assert 100 < np.load(tmp_path / f"{asked}.npy").mean() < 210
    capsys.readouterr()
