"""Files are whole or not there, whatever their names and links."""

import pytest

from nelbo.core import InputError, atomic_write, remove_leftovers


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/new.txt")  # points to a file that is still to come
    with atomic_write(tmp_path / "link", "w") as stream:
        stream.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "new.txt").read_text() == "new"


@pytest.mark.parametrize("letter", ["z", "ü", "書"])
def test_a_name_may_be_as_long_as_the_system_allows(letter, tmp_path):
    path = tmp_path / (letter * (255 // len(letter.encode())))
    with atomic_write(path) as stream:
        stream.write(b"1")
    assert path.read_bytes() == b"1"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_leaves_is_known(tmp_path):
    stay = tmp_path / ".hidden.tmp"
    stay.write_text("the user's")
    writer = atomic_write(tmp_path / ("z" * 200))
    writer.__enter__().write(b"half")
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [stay]
    with pytest.raises(InputError, match="Cannot write"):  # closes the file whose name is gone
        writer.__exit__(None, None, None)
