import numpy as np
import pandas as pd
import pytest
from PIL import Image

import nelbo.data
from nelbo.core import InputError
from nelbo.data import load


@pytest.fixture
def save(tmp_path):
    def write(x, **more):
        path = tmp_path / ("x.npz" if more else "x.npy")
        if more:
            np.savez(path, x=x, **more)
        else:
            np.save(path, x)
        return path

    return write


def test_split_is_a_seeded_partition(save):
    path = save(np.arange(200.0).reshape(100, 2))
    first, again, other = load(path), load(path), load(path, split_seed=1)
    assert [len(s) for s in first.splits.values()] == [80, 10, 10]
    together = np.concatenate([s.x[:, 0] for s in first.splits.values()])
    assert sorted(together) == list(range(0, 200, 2))
    assert first.describe() == again.describe()
    assert first.describe()["sha256"]["test"] != other.describe()["sha256"]["test"]


def test_fewer_training_rows_leave_the_other_splits(save):
    path = save(np.arange(200.0).reshape(100, 2))
    whole, fewer, other = load(path), load(path, train_rows=7), load(path, train_rows=7, split_seed=1)
    rows = fewer.train.x[:, 0].tolist()
    assert len(rows) == 7 == len(other.train)
    assert set(rows) <= set(whole.train.x[:, 0].tolist())
    assert rows == load(path, train_rows=7).train.x[:, 0].tolist() != whole.train.x[:7, 0].tolist()
    assert fewer.test.x.tolist() == whole.test.x.tolist()
    for count in (0, 81):
        with pytest.raises(InputError, match="train_rows must be between 1 and the 80 training rows"):
            load(path, train_rows=count)
    with pytest.raises(InputError, match="leave stream or train_rows out"):
        load(path, train_rows=7, stream=True)


def test_the_split_is_frozen(save):
    # a change here would put rows that a stored model was trained on into the test split
    assert load(save(np.arange(20.0).reshape(20, 1))).test.x.tolist() == FROZEN_TEST_ROWS


FROZEN_TEST_ROWS = [[6.0], [11.0]]


def test_fractions(save):
    path = save(np.zeros((50, 3)))
    dataset = load(path, valid_fraction=0.5, test_fraction=0.0)
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 25, "valid": 25}
    with pytest.raises(InputError, match=r"has no test split .it has train, valid."):
        _ = dataset.test
    for bad in ({"valid_fraction": 0.6, "test_fraction": 0.4}, {"test_fraction": -0.1}, {"test_fraction": 1.0}):
        with pytest.raises(InputError, match="sum is below 1"):
            load(path, **bad)
    with pytest.raises(InputError, match="too few"):
        load(save(np.zeros((2, 3))))


@pytest.mark.parametrize(
    ("x", "values", "shape", "dtype"),
    [
        (np.full((10, 4, 5), 7, np.uint8), "uint8", (4, 5, 1), np.uint8),
        (np.full((10, 4, 5, 3), 7, np.uint8), "uint8", (4, 5, 3), np.uint8),
        (np.eye(10, dtype=np.uint8), "binary", (10,), np.uint8),
        (np.eye(10, dtype=bool), "binary", (10,), np.uint8),
        (np.eye(10, dtype=np.int64), "binary", (10,), np.uint8),
        (np.ones((10, 4, 5), bool), "binary", (4, 5, 1), np.uint8),
        (np.eye(10, dtype=np.uint8) * 2, "uint8", (10,), np.uint8),
        (-np.eye(10, dtype=np.int64), "real", (10,), np.float32),
        (np.full((10, 4), 0.5), "unit", (4,), np.float32),
        (np.full((10, 4, 5), 0.5, np.float16), "unit", (4, 5), np.float32),
        (np.full((10, 4), 1.5), "real", (4,), np.float32),
        (np.full((10, 4), -3), "real", (4,), np.float32),
        (np.full((10, 4), 7, ">i4"), "real", (4,), np.float32),
    ],
)
def test_kind_of_values(save, x, values, shape, dtype):
    dataset = load(save(x), valid_fraction=0.0, test_fraction=0.0)
    assert (dataset.values, dataset.shape, dataset.train.x.dtype) == (values, shape, dtype)
    assert dataset.train.observed is None
    np.testing.assert_array_equal(dataset.train.x.ravel(), x.ravel().astype(dtype))


def test_kind_is_judged_over_all_splits(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.full((3, 2), 0.5), x_valid=np.eye(2), x_test=np.full((2, 2), 9.0))
    dataset = load(tmp_path / "x.npz")
    assert dataset.values == "real"
    assert [len(s) for s in dataset.splits.values()] == [3, 2, 2]


def test_nan_means_missing(save):
    x = np.random.default_rng(0).normal(size=(40, 3))
    x[::4, 1] = np.nan
    dataset = load(save(x))
    for split in dataset.splits.values():  # all masked, so that one compiled function serves all
        assert split.observed.shape == split.x.shape
        assert split.observed.dtype == bool
        assert np.isfinite(split.x).all()
        assert (split.x[~split.observed] == 0).all()
    hidden = sum((~s.observed).sum() for s in dataset.splits.values())
    assert hidden == 10
    assert dataset.describe()["missing"]["train"] == pytest.approx((~dataset.train.observed).mean())


def test_missing_zeros_do_not_change_the_kind(save):
    x = np.full((20, 2), 0.25)
    x[3, 0] = np.nan
    assert load(save(x)).values == "unit"


def test_observed_and_labels_of_an_npz(save):
    observed = np.ones((10, 3, 3), bool)
    observed[:, 0, 0] = False
    dataset = load(save(np.full((10, 3, 3), 9, np.uint8), y=np.arange(10), observed=observed))
    assert dataset.train.observed.shape == (8, 3, 3, 1)
    assert (dataset.train.x[:, 0, 0] == 0).all()
    assert dataset.train.y.dtype == np.int32
    assert sorted(np.concatenate([s.y for s in dataset.splits.values()])) == list(range(10))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.array(["a", "b"]), "holds text"),
        (np.ones((4, 2), complex), "complex numbers"),
        (np.array(["2020-01-01"], "datetime64[D]"), "datetime64"),
        (np.float64(3.0), r"shape \(\)"),
        (np.arange(5.0), r"x\[:, None\]"),
        (np.zeros((0, 4)), "no rows"),
        (np.zeros((4, 0)), "examples are empty"),
        (np.full((9, 2), np.inf), "infinite values .first in row 0."),
        (np.full((9, 2), 1e300), "too large for float32"),
        (np.full((9, 2), np.nan), "every entry is missing"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_unusable_arrays_are_one_sentence(save, x, said, stream):
    path = save(x)
    with pytest.raises(InputError, match=said) as caught:
        load(path, stream=stream)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"faces": np.ones((3, 2)), "other": np.ones((3, 2))}, "x_train .* was expected"),
        ({"x_train": np.ones((3, 2)), "x_test": np.ones((3, 4))}, "different shapes"),
        ({"x": np.ones((3, 2)), "y": np.ones(4, int)}, "3 integers"),
        ({"x": np.ones((3, 2)), "y": np.ones(3)}, "labels are float64"),
        ({"x": np.ones((3, 2)), "observed": np.ones((3, 2))}, "mask `observed`"),
        ({"x": np.ones((3, 2)), "observed": np.ones((3, 1), bool)}, "mask `observed`"),
        ({"x_train": np.ones((0, 2)), "x_valid": np.ones((3, 2)), "x_test": np.ones((3, 2))}, "too few"),
    ],
)
def test_unusable_npz_is_one_sentence(tmp_path, arrays, said):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=said):
        load(tmp_path / "x.npz")


def test_a_file_with_some_splits_gets_the_others(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.arange(20.0)[:, None], x_test=np.full((5, 1), 99.0))
    dataset = load(tmp_path / "x.npz")
    assert [len(s) for s in dataset.splits.values()] == [18, 2, 5]
    assert (dataset.test.x == 99).all()
    with pytest.raises(InputError, match="own test split"):
        load(tmp_path / "x.npz", test_fraction=0.2)


def test_paths_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="There is no file or folder"):
        load(tmp_path / "absent.npy")
    (tmp_path / "x.docx").write_text("no")
    with pytest.raises(InputError, match=r"does not read \.docx"):
        load(tmp_path / "x.docx")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        load(tmp_path / "folder")
    with pytest.raises(InputError, match="did you mean 'digits'"):
        load("digit")
    with pytest.raises(InputError, match="Unknown data set ''"):
        load("")
    with pytest.raises(InputError, match="Cannot read"):
        load("x" * 5000)


def test_streamed_file_stays_on_disk_and_in_order(tmp_path):
    x = np.arange(30 * 4 * 4, dtype=np.uint8).reshape(30, 4, 4)
    np.save(tmp_path / "x.npy", x)
    dataset = load(tmp_path / "x.npy", stream=True, binarize="dynamic")
    assert isinstance(dataset.train.x, np.memmap)
    assert (dataset.values, dataset.shape, dataset.binarization) == ("uint8", (4, 4, 1), "dynamic")
    np.testing.assert_array_equal(dataset.train.x[..., 0], x[:24])
    np.testing.assert_array_equal(dataset.test.x[..., 0], x[27:])
    for how in ("static", "threshold"):
        with pytest.raises(InputError, match="streamed"):
            load(tmp_path / "x.npy", stream=True, binarize=how)
    np.save(tmp_path / "nan.npy", np.array([[1.0], [np.nan], [2.0]]))
    with pytest.raises(InputError, match="cannot be streamed"):
        load(tmp_path / "nan.npy", stream=True)
    with pytest.raises(InputError, match=r"Only a \.npy file"):
        load("digits", stream=True)


def test_csv_with_blanks_and_text_labels(tmp_path):
    rows = [f"{i}, ,{i / 2},{'cat' if i % 2 else 'bird'}" if i == 3 else f"{i},1,{i / 2},cat" for i in range(20)]
    rows[0] = "0,1,0,bird"
    (tmp_path / "t.csv").write_text("a,b,c,label\n" + "\n".join(rows) + "\n")
    dataset = load(tmp_path / "t.csv")
    assert dataset.label_names == ("bird", "cat")
    assert (dataset.values, dataset.shape) == ("real", (3,))
    assert sum((~s.observed).sum() for s in dataset.splits.values()) == 1
    assert sum((s.y == 0).sum() for s in dataset.splits.values()) == 1


def test_csv_header_and_index(tmp_path):
    (tmp_path / "bare.csv").write_text("1,2\n3,4\n5,6\n7,8\n")
    assert sum(map(len, load(tmp_path / "bare.csv").splits.values())) == 4
    pd.DataFrame({"a": [0.5, 2.0, 3.0], "y": [4, 5, 6]}).to_csv(tmp_path / "saved.csv")
    dataset = load(tmp_path / "saved.csv")
    assert dataset.shape == (1,)
    assert sorted(np.concatenate([s.y for s in dataset.splits.values()])) == [4, 5, 6]
    assert dataset.label_names is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a,b\n", "no rows"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 cells"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cell,"),
        ("a,b\n1,2\n1,ten\n", "column 'b' is not numeric .line 3 holds 'ten'"),
        ("a,b\n1,2\n1,inf\n1,3\n1,3\n", "infinite"),
        ("label\n1\n2\n", "no columns of numbers"),
        ("a,label\n1,x\n2,\n", "label in row 1 is blank"),
        ("a,y\n1,0.5\n2,1\n", "labels in 'y' are fractions"),
        ("a,b\n1,2\n1,2\n1,x\n", "column 'b' is not numeric .line 4 holds 'x'"),
        ('a,b\n1,"2\n', "no CSV table"),
        ("a,b\n,x\n,y\n", "no columns of numbers"),
    ],
)
def test_unusable_csv_is_one_sentence(tmp_path, text, said):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        load(path)


def test_csv_that_is_no_text(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\x01\x80\n" * 20)
    with pytest.raises(InputError, match="no CSV table"):
        load(tmp_path / "t.csv")


def test_parquet(tmp_path):
    frame = pd.DataFrame({"a": [1.0, None, 3.0] * 10, "b": [True, False, True] * 10, "label": ["u", "v", "u"] * 10})
    frame["c"] = pd.array([1, None, 3] * 10, dtype="Int64")
    frame.to_parquet(tmp_path / "t.parquet")
    dataset = load(tmp_path / "t.parquet")
    assert dataset.label_names == ("u", "v")
    assert dataset.shape == (3,)
    assert sum((~s.observed).sum() for s in dataset.splits.values()) == 20
    raw = (tmp_path / "t.parquet").read_bytes()
    for broken in (raw[: len(raw) // 2], b"", b"no parquet file at all"):
        (tmp_path / "t.parquet").write_bytes(broken)
        with pytest.raises(InputError, match="no Parquet table"):
            load(tmp_path / "t.parquet")


def picture(path, size=(6, 4), mode="L", colour=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


def test_folder_of_pictures(tmp_path):
    for i in range(10):
        picture(tmp_path / f"{i}.png", colour=i + 5)
    dataset = load(tmp_path)
    assert (dataset.shape, dataset.values) == ((4, 6, 1), "uint8")
    assert dataset.train.y is None
    picture(tmp_path / "colour.bmp", mode="RGB", colour=(1, 2, 3))
    assert load(tmp_path).shape == (4, 6, 3)
    picture(tmp_path / "z.png", size=(7, 4))
    with pytest.raises(InputError, match=r"z\.png is 7 x 4 pixels, but 0\.png is 6 x 4"):
        load(tmp_path)


def test_subfolders_are_classes_or_splits(tmp_path):
    for i in range(5):
        picture(tmp_path / "classes" / "dog" / f"{i}.png", colour=200)
        picture(tmp_path / "classes" / "cat" / f"{i}.png", colour=50)
        picture(tmp_path / "splits" / "train" / f"{i}.jpg")
        picture(tmp_path / "splits" / "test" / f"{i}.jpg")
    dataset = load(tmp_path / "classes")
    assert dataset.label_names == ("cat", "dog")
    for split in dataset.splits.values():
        np.testing.assert_array_equal(split.x[:, 0, 0, 0], np.where(split.y == 0, 50, 200))
    assert [len(s) for s in load(tmp_path / "splits").splits.values()] == [4, 1, 5]
    picture(tmp_path / "classes" / "stray.png")
    with pytest.raises(InputError, match=r"stray\.png"):
        load(tmp_path / "classes")


def test_pictures_that_are_none(tmp_path):
    picture(tmp_path / "a.png")
    raw = (tmp_path / "a.png").read_bytes()
    for broken in (b"", b"no picture", raw[: len(raw) // 2]):
        (tmp_path / "b.png").write_bytes(broken)
        with pytest.raises(InputError, match=r"b\.png is (damaged|no picture that Pillow can read)"):
            load(tmp_path)
    picture(tmp_path / "b.png", mode="I;16", colour=3000)
    with pytest.raises(InputError, match="8 bits a channel"):
        load(tmp_path)


@pytest.mark.parametrize(("module", "name"), [("pandas", "t.csv"), ("PIL.Image", "pictures")])
def test_a_missing_extra_says_what_to_install(tmp_path, monkeypatch, module, name):
    picture(tmp_path / "pictures" / "a.png")
    (tmp_path / "t.csv").write_text("a\n1\n")
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(InputError, match=r'pip install "nelbo\[data\]"'):
        load(tmp_path / name)


def test_public_names_exist():
    assert all(hasattr(nelbo.data, name) for name in nelbo.data.__all__)


def test_a_description_names_the_columns_of_a_table(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("age,height\n" + "".join(f"{20 + i},{150.5 + i}\n" for i in range(30)))
    assert load(path).describe()["columns"] == ["age", "height"]
    assert load("digits").describe()["columns"] == []
