from __future__ import annotations

import gzip
import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from support.process_limits import bound_by_permissions
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.files import (
    atomic,
    check_folder,
    inside,
    locked,
    open_atomic,
    private_file,
    private_folder,
    update_folder,
)
from zooter_core.base.jsonl import Appender


@pytest.mark.parametrize("name", ["out.jsonl", "new/folder/out.jsonl.gz"])
def test_a_file_is_there_at_the_end(tmp_path, name):
    path = tmp_path / name
    with open_atomic(path) as file:
        file.write("☕\n")
        assert not path.exists()
    assert (gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()) == "☕\n".encode()
    assert list(path.parent.iterdir()) == [path]
    before = path.read_bytes()
    with open_atomic(path) as file:
        file.write("☕\n")
    assert path.read_bytes() == before  # a .gz holds no time


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_what_ends_midway_leaves_what_was_there(tmp_path, name):
    path = tmp_path / name
    path.write_text("before")
    with suppress(KeyboardInterrupt), open_atomic(path) as file:
        file.write("half")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["folder.jsonl", "file/out.jsonl"])
def test_a_place_that_cannot_be_written(tmp_path, name):
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooterError, match="a writable file"), open_atomic(tmp_path / name):
        pytest.fail("it began")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["router", "new"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path, name):
    (tmp_path / "router").mkdir()
    (tmp_path / "router").chmod(0o555)
    tmp_path.chmod(0o555)
    try:
        with bound_by_permissions(), pytest.raises(ZooterError, match="a writable folder"):
            check_folder(tmp_path / name)
    finally:
        tmp_path.chmod(0o755)
    check_folder(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["router"]


def test_a_folder_replaces_another_and_stays_after_an_error(tmp_path):
    place = tmp_path / "place"
    for name in ("first", "second"):
        with atomic(place) as folder:
            folder.mkdir()
            (folder / name).write_text("")
    assert [path.name for path in place.iterdir()] == ["second"]
    with suppress(ZeroDivisionError), atomic(place) as folder:
        folder.mkdir()
        raise ZeroDivisionError
    assert [path.name for path in place.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_folder_of_which_only_some_files_are_replaced_is_not_read_and_complete_the_next_time(
    tmp_path, monkeypatch, renames
):
    """Else the files of two routers could be mixed without anybody noticing."""

    def update(text: str) -> None:
        with update_folder(tmp_path / "out", "last.json") as new:
            for name in ("a.bin", "last.json", "z.bin"):
                (new / name).write_text(text)

    replace, moves = Path.replace, iter(range(renames))

    def interrupted(path: Path, target: Path) -> Path:
        if next(moves, None) is None:
            raise KeyboardInterrupt
        return replace(path, target)

    update("old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            update("new")
    assert not (tmp_path / "out" / "last.json").exists()
    update("new")
    assert {path.read_text() for path in (tmp_path / "out").iterdir()} == {"new"}


def test_what_a_kill_between_the_two_renames_of_a_folder_leaves_is_deleted_by_the_next(tmp_path):
    place, program = tmp_path / "router", (
        "import os, sys; from pathlib import Path; from zooter_core.base.files import atomic\n"
        "place = Path(sys.argv[1])\n"
        "with atomic(place) as partial:\n"
        "    partial.mkdir()\n"
        "    Path.replace = lambda *_: os._exit(9)\n"
    )  # fmt: skip
    place.mkdir()
    assert subprocess.run([sys.executable, "-c", program, str(place)]).returncode == 9
    assert len(list(tmp_path.iterdir())) == 2  # the old folder and the new one, both aside
    assert not place.exists()
    with atomic(place) as partial:
        partial.mkdir()
        (partial / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["router", "new"]


# Rights

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_private_files_and_folders_are_made_their_owners_alone_whatever_the_umask(tmp_path, umask, monkeypatch):
    """Nobody can open them before their mode is changed, for it is not."""
    monkeypatch.setattr(os, "chmod", lambda *_, **__: None)
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    private_folder(tmp_path / "new")
    private_file(tmp_path / "new" / "base.db")
    Appender(tmp_path / "new" / "lines.jsonl").close()
    locked(tmp_path / "new" / ".lock", "the folder").lock.release()
    with atomic(tmp_path / "new" / "state.json", private=True) as partial:
        assert rights(partial) == 0o600
        partial.write_text("{}")
    assert rights(tmp_path / "new") == 0o700
    names = {"base.db", "lines.jsonl", ".lock", "state.json"}
    assert {path.name: rights(path) for path in (tmp_path / "new").iterdir()} == dict.fromkeys(names, 0o600)


@posix
def test_older_files_and_folders_are_narrowed_and_never_widened(tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    for name, mode in (("base.db", 0o664), ("base.db-wal", 0o644), ("base.db-shm", 0o640), ("lines.jsonl", 0o666)):
        (folder / name).write_text("")
        (folder / name).chmod(mode)
    folder.chmod(0o755)
    private_folder(folder)
    private_file(folder / "base.db")
    Appender(folder / "lines.jsonl").close()
    assert rights(folder) == 0o700
    assert {rights(path) for path in folder.iterdir()} == {0o600}
    folder.chmod(0o500)
    private_folder(folder)
    assert rights(folder) == 0o500
    folder.chmod(0o700)


@posix
def test_a_folder_of_the_users_own_is_left_as_it_is(tmp_path):
    tmp_path.chmod(0o1777)
    private_folder(tmp_path, ours=False)
    assert rights(tmp_path) == 0o1777
    private_folder(tmp_path / "deep" / "new", ours=False)
    assert rights(tmp_path / "deep" / "new") == 0o700


@posix
def test_a_file_that_the_user_names_has_the_users_own_rights(tmp_path):
    before = os.umask(0o022)
    try:
        with open_atomic(tmp_path / "out.jsonl") as file:
            file.write("line")
    finally:
        os.umask(before)
    assert {rights(path) for path in tmp_path.iterdir()} == {0o644}


@posix
def test_a_private_file_that_is_a_link_leads_nowhere(tmp_path):
    other = tmp_path / "other"
    other.write_text("mine")
    other.chmod(0o644)
    for name in ("base.db", "base2.db-wal", "lines.jsonl"):
        (tmp_path / name).symlink_to(other)
    for name in ("base.db", "base2.db"):
        with pytest.raises(OSError, match="it is a link"):
            private_file(tmp_path / name)
    with pytest.raises(WorkError, match="it is a link"):
        Appender(tmp_path / "lines.jsonl")
    assert (other.read_text(), rights(other)) == ("mine", 0o644)


@posix
def test_no_link_leads_out_of_a_strangers_folder(tmp_path):
    """Its owner may reach the folder by one."""
    photos, fleet = tmp_path / "photos", tmp_path / "fleet"
    (photos / "0001").mkdir(parents=True)
    fleet.mkdir()
    (fleet / "routers").symlink_to("../photos")
    (tmp_path / "mine").symlink_to(fleet)
    assert inside(tmp_path / "mine", "router/new") == tmp_path / "mine" / "router" / "new"
    for name in ("routers", "routers/0001"):
        with pytest.raises(ZooterError, match=r"routers, but.*a link to \.\./photos"):
            inside(tmp_path / "mine", name)
    with pytest.raises(ZooterError, match="a link to"):
        locked(fleet / "routers", "the fleet")

    def update() -> None:
        with update_folder(fleet, "last.json") as new:
            (new / "routers").mkdir()
            (new / "routers" / "a.bin").touch()

    with pytest.raises(ZooterError, match="a link to"):
        update()
    (tmp_path / f"out.partial-{os.getpid()}").symlink_to(photos)  # what a killed process would have left
    with atomic(tmp_path / "out") as partial:
        partial.write_text("")
    assert [path.name for path in photos.rglob("*")] == ["0001"]
