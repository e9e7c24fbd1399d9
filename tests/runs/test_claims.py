"""One process writes a run folder at a time, and a run that is replaced stays whole until the new one stands."""

import pytest

from nelbo.core import InputError
from nelbo.runs import claims
from nelbo.runs.claims import LOCK, REPLACED, FolderClaim, check_folder, resumed

CONFIG = {"model": {"name": "vae"}, "data": {"name": "x"}, "objective": {"name": "sgvb"}, "training": {}, "seed": 0}


def finished(folder) -> dict[str, bytes]:
    """A folder as a finished run leaves it; its checkpoints lie elsewhere, behind a link."""
    claim = FolderClaim(folder)
    claim.begin(CONFIG, {}, overwrite=False)
    for name in ("record.json", "model.safetensors", "history.jsonl"):
        (folder / name).write_text(f"old {name}")
    elsewhere = folder.parent / "scratch"
    elsewhere.mkdir()
    (elsewhere / "step.safetensors").write_text("old")
    (folder / "checkpoints").symlink_to(elsewhere)
    claim.release()
    return contents(folder)


def contents(folder) -> dict[str, bytes]:
    names = ("config.json", "record.json", "model.safetensors", "history.jsonl", "checkpoints/step.safetensors")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


def test_the_old_run_is_whole_until_the_new_one_stands(tmp_path):
    folder = tmp_path / "run"
    old = finished(folder)
    claim = FolderClaim(folder)
    claim.begin(CONFIG | {"seed": 1}, {}, overwrite=True)
    assert set(contents(folder)) == {"config.json"}
    assert contents(folder / REPLACED) == old
    claim.release()
    # broken off, and replaced again: what is kept is the finished run
    (folder / "history.jsonl").write_text("half")
    again = FolderClaim(folder)
    again.begin(CONFIG | {"seed": 2}, {}, overwrite=True)
    assert contents(folder / REPLACED) == old
    again.settle()
    again.release()
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert (tmp_path / "scratch" / "step.safetensors").exists()  # nothing is removed through a link


def test_a_run_that_cannot_begin_gives_the_old_one_back(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    old = finished(folder)

    def full(path, value):
        raise InputError(f"Cannot write {path}: the disk is full ({value['seed']}).")

    monkeypatch.setattr(claims, "write_json", full)
    with pytest.raises(InputError, match="disk is full"):
        FolderClaim(folder).begin(CONFIG, {}, overwrite=True)
    assert contents(folder) == old
    assert not (folder / REPLACED).exists()
    assert not (folder / LOCK).exists()


@pytest.mark.parametrize("moved", [1, 2, 5])
def test_a_kill_between_two_moves_is_put_right(tmp_path, moved):
    folder = tmp_path / "run"
    old = finished(folder)
    (folder / REPLACED).mkdir()
    for name in ("record.json", "model.safetensors", "history.jsonl", "checkpoints", "config.json")[:moved]:
        (folder / name).rename(folder / REPLACED / name)
    FolderClaim(folder).recover()
    assert contents(folder) == old
    assert not (folder / REPLACED).exists()


def test_one_of_two_takes_a_folder(tmp_path):
    folder = tmp_path / "run"
    first, second = FolderClaim(folder), FolderClaim(folder)
    check_folder(folder, resume=False, overwrite=False)  # both have seen an empty place
    first.begin(CONFIG, {}, overwrite=False)
    for overwrite in (False, True):
        with pytest.raises(InputError, match="Another process"):
            second.begin(CONFIG | {"seed": 1}, {}, overwrite=overwrite)
    with pytest.raises(InputError, match="Another process"):
        second.hold()
    with pytest.raises(InputError, match="Another process"):
        check_folder(folder, resume=True, overwrite=False)
    first.release()
    with pytest.raises(InputError, match="already holds a run"):
        second.begin(CONFIG | {"seed": 1}, {}, overwrite=False)
    assert not (folder / LOCK).exists()


def test_the_lock_of_a_dead_process_holds_nobody_up(tmp_path):
    (tmp_path / LOCK).touch()
    claim = FolderClaim(tmp_path)
    claim.hold()
    claim.release()
    assert not (tmp_path / LOCK).exists()


def test_leftovers_of_a_killed_writer_are_removed(tmp_path):
    folder = tmp_path / "run"
    finished(folder)
    for name in (".record.json.a1b2c3d4.tmp", "checkpoints/.step.safetensors.a1b2c3d4.tmp"):
        (folder / name).write_text("half")
    claim = FolderClaim(folder)
    claim.hold()
    claim.release()
    assert not list(folder.rglob("*.tmp"))
    assert not list((folder / "checkpoints").glob(".*"))


def test_who_holds_a_folder_can_go_on_with_its_run(tmp_path):
    finished(tmp_path / "run")
    claim = FolderClaim(tmp_path / "run")
    claim.hold()
    assert resumed(tmp_path / "run", {"seed": 0}).seed == 0
    claim.release()
