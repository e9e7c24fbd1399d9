import gzip
import io
import pickle
import struct

import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.data.formats import read_array_pickle, read_idx, read_mat, read_npy, read_npz


def idx_bytes(x):
    code = {"|u1": 8, "|i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}[x.dtype.str]
    return struct.pack(f">BBBB{x.ndim}I", 0, 0, code, x.ndim, *x.shape) + x.tobytes()


@pytest.mark.parametrize("dtype", ["u1", "i1", ">i2", ">i4", ">f4", ">f8"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_round_trip(tmp_path, dtype, suffix):
    x = (np.arange(24).reshape(2, 3, 4) - (0 if dtype == "u1" else 7)).astype(dtype)
    path = tmp_path / f"images-idx3{suffix}"
    path.write_bytes(gzip.compress(idx_bytes(x)) if suffix else idx_bytes(x))
    read = read_idx(path)
    assert read.dtype == x.dtype.newbyteorder("=")
    np.testing.assert_array_equal(read, x)


WHOLE = idx_bytes(np.arange(6, dtype="u1").reshape(2, 3))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "first bytes"),
        (b"\x89PNG" + WHOLE, "first bytes"),
        (b"\0\0\x0a" + WHOLE[3:], "first bytes"),
        (WHOLE[:9], "inside its header"),
        (WHOLE[:-1], "promises 6 bytes"),
        (WHOLE + b"\0", "promises 6 bytes"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "promises"),
    ],
)
def test_damaged_idx_is_one_sentence(tmp_path, raw, said):
    path = tmp_path / "damaged-idx"
    path.write_bytes(raw)
    with pytest.raises(InputError, match=said) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [3, 12, -4])
def test_damaged_gzip_is_named(tmp_path, cut):
    path = tmp_path / "train.gz"
    path.write_bytes(gzip.compress(WHOLE)[:cut])
    with pytest.raises(InputError, match="no gzip file"):
        read_idx(path)
    path.write_bytes(b"no gzip at all")
    with pytest.raises(InputError, match="no gzip file"):
        read_idx(path)


def test_missing_files_are_named(tmp_path):
    for read in (read_idx, read_npy, read_npz, read_mat):
        with pytest.raises(InputError, match=r"Cannot read .*absent"):
            read(tmp_path / "absent.mat")


def test_npy_and_npz_are_not_taken_for_each_other(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(3))
    np.savez(tmp_path / "b.npz", x=np.ones(3))
    (tmp_path / "a.npy").rename(tmp_path / "c.npz")
    (tmp_path / "b.npz").rename(tmp_path / "d.npy")
    with pytest.raises(InputError, match=r"call it \.npy"):
        read_npz(tmp_path / "c.npz")
    with pytest.raises(InputError, match=r"call it \.npz"):
        read_npy(tmp_path / "d.npy")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("mmap", [False, True])
def test_a_cut_npy_is_an_input_error(tmp_path, share, mmap):
    path = tmp_path / "x.npy"
    np.save(path, np.arange(1000.0))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match="damaged"):
        read_npy(path, mmap=mmap)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_a_cut_npz_is_an_input_error(tmp_path, share):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.arange(1000.0), y=np.arange(1000))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match="damaged"):
        read_npz(path)


def test_flipped_bytes_in_an_npz_are_found(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=np.arange(1000.0))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 255
    path.write_bytes(bytes(raw))
    with pytest.raises(InputError, match="damaged"):
        read_npz(path)


def test_object_arrays_are_refused(tmp_path):
    ragged = np.array([[1, 2], [3]], dtype=object)
    np.save(tmp_path / "x.npy", ragged)
    np.savez(tmp_path / "x.npz", x=ragged)
    with pytest.raises(InputError, match="Python objects"):
        read_npy(tmp_path / "x.npy")
    with pytest.raises(InputError, match="Python objects"):
        read_npz(tmp_path / "x.npz")


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code in a pickle was run')",))


@pytest.mark.parametrize(
    "value",
    [Evil(), [np.ones(3), Evil()], np.array([Evil()]), {"x": np.ones(3)}, np.array(["text"]), "text", print, (1, 2)],
    ids=["code", "code in a list", "code in an array", "dict", "text array", "text", "function", "tuple"],
)
def test_the_pickle_reader_admits_arrays_only(value):
    with pytest.raises(InputError, match="no pickle of plain arrays"):
        read_array_pickle(io.BytesIO(pickle.dumps(value)), "mnist.pkl")


@pytest.mark.parametrize("protocol", [3, 4])
def test_the_pickle_reader_reads_arrays(protocol):
    value = ((np.arange(6.0, dtype=np.float32).reshape(2, 3), np.array([1, 2])), [np.ones((2, 2), bool)])
    raw = pickle.dumps(value, protocol=protocol)
    read = read_array_pickle(io.BytesIO(raw), "mnist.pkl")
    np.testing.assert_array_equal(read[0][0], value[0][0])
    np.testing.assert_array_equal(read[1][0], value[1][0])
    with pytest.raises(InputError, match="no pickle of plain arrays"):
        read_array_pickle(io.BytesIO(raw[: len(raw) // 2]), "mnist.pkl")


def test_mat_files(tmp_path):
    import scipy.io

    path = tmp_path / "f.mat"
    scipy.io.savemat(path, {"ff": np.arange(6, dtype=np.uint8).reshape(2, 3)})
    np.testing.assert_array_equal(read_mat(path)["ff"], [[0, 1, 2], [3, 4, 5]])
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(InputError, match="no MATLAB file"):
        read_mat(path)
