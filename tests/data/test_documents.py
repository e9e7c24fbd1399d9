import numpy as np
import pytest
from addresses import WORDS, write_sotu

from nelbo.core import InputError
from nelbo.data import bag_of_words, documents_dataset, load, tokens, vocabulary_of


def test_tokens_are_words_without_the_common_ones():
    assert tokens("The Senate and the army's 12 tariffs; it's TREATY-bound.") == [
        "senate",
        "army",
        "tariffs",
        "treaty",
        "bound",
    ]


def test_the_vocabulary_is_by_frequency_then_alphabet():
    documents = [["b", "a", "c", "c"], ["c", "a", "b", "d"]]
    assert vocabulary_of(documents, 3) == ("c", "a", "b")
    np.testing.assert_array_equal(bag_of_words(documents, ("c", "a", "b")), [[2, 1, 1], [1, 1, 1]])


def test_sotu_holds_out_whole_addresses(tmp_path):
    write_sotu(tmp_path)
    data = load("sotu", data_dir=tmp_path)
    assert data.values == "counts"
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 48, "valid": 6, "test": 6}
    assert all(np.all(split.x.sum(1) >= 30) for split in data.splits.values())
    assert set(WORDS) < set(data.vocabulary)
    years = {word for word in data.vocabulary if word.startswith("year")}
    assert len(years) == 16  # words of held-out addresses are unknown
    again = load("sotu", data_dir=tmp_path, split_seed=1)
    assert set(again.vocabulary) != set(data.vocabulary)


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"put sotu\.jsonl\.xz"):
        load("sotu", data_dir=tmp_path)
    (tmp_path / "sotu.jsonl.xz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="damaged"):
        load("sotu", data_dir=tmp_path)
    write_sotu(tmp_path)
    with pytest.raises(InputError, match="streamed"):
        load("sotu", data_dir=tmp_path, stream=True)
    with pytest.raises(InputError, match="binarize"):
        load("sotu", data_dir=tmp_path, binarize="static")
    with pytest.raises(InputError, match="no test document"):
        documents_dataset("mine", {"train": ["army " * 20], "valid": ["army " * 20], "test": ["army"]})
