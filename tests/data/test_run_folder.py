from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.data.run_folder import REWARDS, ROUTER, RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def refusal(folder: Path) -> str:
    with pytest.raises(ZooterError) as caught:
        RunFolder(folder)
    return str(caught.value)


def test_an_opened_run_goes_on(folder):
    with RunFolder(folder, create=True) as run:
        run.begin("collect", {"seed": 1})
        assert list(run.records(REWARDS)) == []
        run.append(REWARDS, [{"id": "1"}, {"id": "杯 ☕"}])
        assert not run.is_finished("score")
        run.finish("score")
    with RunFolder(folder) as run:
        run.append(REWARDS, [{"id": "2"}])
        assert [record["id"] for record in run.records(REWARDS)] == ["1", "杯 ☕", "2"]
        assert run.setting("collect", "seed") == 1
        assert run.is_finished("score")
        assert run.lines(REWARDS, ["2", "1"]) == [{"id": "2"}, {"id": "1"}]
        with pytest.raises(WorkError, match='found none of "b"'):
            run.lines(REWARDS, ["1", "b"])


@pytest.mark.parametrize("torn", [b"{", b'{"id": 3}', '{"id": "杯'.encode()[:-1]])
@pytest.mark.parametrize("lines", [[], [b'{"id": "1"}\n', b'{"id": "2"}\n']])
def test_torn_last_line_is_passed_over_and_cut_off(folder, torn, lines):
    with RunFolder(folder, create=True) as run:
        path = folder / REWARDS
        path.write_bytes(b"".join([*lines, torn]))
        assert [record["id"] for record in run.records(REWARDS)] == ["1", "2"][: len(lines)]
        run.append(REWARDS, [{"id": "4"}])
        assert path.read_bytes() == b"".join([*lines, b'{"id": "4"}\n'])


@pytest.mark.parametrize(
    ("changed", "before", "now"),
    [
        ({"beta": 0.5, "tau": 1.0}, "beta = 0.3", "beta = 0.5"),
        ({"beta": 0.3}, "tau = 1.0", "tau = null"),
        ({"beta": 0.3, "tau": 1.0, "holdout": 0.1}, "holdout = null", "holdout = 0.1"),
    ],
)
def test_changed_setting_is_refused_by_name(folder, changed, before, now):
    with RunFolder(folder, create=True) as run:
        run.begin("label", {"beta": 0.3, "tau": 1.0})
    content = (folder / "run.json").read_bytes()
    with RunFolder(folder) as run:
        run.begin("label", {"beta": 0.3, "tau": 1.0})
        with pytest.raises(ZooterError) as caught:
            run.begin("label", changed)
        with pytest.raises(ZooterError, match="--until collect"):
            run.setting("collect", "samples")
    assert (folder / "run.json").read_bytes() == content
    assert f"step label began with the setting {before}, but now {now}" in str(caught.value)


def test_what_is_no_folder_of_a_run_is_refused(folder, tmp_path):
    assert f"a run folder at {folder}" in refusal(folder)
    assert "no run.json" in refusal(tmp_path)
    (tmp_path / "run.json").write_text('{"of": "another program"}')
    with RunFolder(tmp_path) as run, pytest.raises(ZooterError, match=r"The step start of the run .* has not begun"):
        run.setting("start", "pool")
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooterError, match="a folder for the run"):
        RunFolder(tmp_path / "file", create=True)


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000])
def test_corrupt_run_json_is_one_clear_error(folder, content):
    folder.mkdir()
    (folder / "run.json").write_bytes(content)
    message = refusal(folder)
    assert f"a readable {folder / 'run.json'}" in message
    assert "Error(" not in message  # as Python would write it
    (folder / "run.json").unlink()
    RunFolder(folder, create=True).close()  # what was refused is not left locked


def test_a_run_of_version_0_2_is_named_as_one(folder):
    folder.mkdir()
    (folder / "run.json").write_text('{"format": 1, "steps": {}, "seals": {}}')
    assert f"Zooter 0.2 made the run {folder}" in refusal(folder)


def test_second_process_is_refused(folder):
    attempt = "import sys; from zooter_core.data.run_folder import RunFolder; RunFolder(sys.argv[1])"
    with RunFolder(folder, create=True) as run:
        run.begin("start", {})
        assert "another process at work in it" in refusal(folder)
        ended = subprocess.run(
            [sys.executable, "-c", attempt, str(folder)], capture_output=True, text=True, check=False
        )
    assert ended.returncode != 0
    assert "another process at work in it" in ended.stderr
    RunFolder(folder).close()


# Permissions

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def fill(folder: Path) -> None:
    """A run with a finished step and a router that a library wrote."""
    with RunFolder(folder, create=True) as run:
        run.begin("score", {"n": 1})
        run.append(REWARDS, [{"id": "a"}])
        (folder / ROUTER).mkdir(exist_ok=True)
        (folder / ROUTER / "config.json").write_text("{}")
        run.finish("score")


@posix
def test_nobody_else_can_read_a_run(folder):
    before = os.umask(0)
    try:
        fill(folder)
    finally:
        os.umask(before)
    assert {mode(path) for path in (folder, folder / ROUTER)} == {0o700}
    assert {path.name: mode(path) for path in folder.rglob("*") if path.is_file()} == dict.fromkeys(
        ("run.json", "rewards.jsonl", ".lock", "config.json"), 0o600
    )


@posix
def test_opening_a_run_makes_it_private(folder):
    fill(folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with RunFolder(folder):
        assert {mode(path) for path in (folder, *folder.rglob("*"))} == {0o700, 0o600}


@posix
@pytest.mark.parametrize("name", ["responses.jsonl", ".lock", "router", "router/config.json"])
def test_a_link_in_a_run_folder_is_refused_and_what_it_leads_to_stays(folder, tmp_path, name):
    with RunFolder(folder, create=True) as run:
        run.begin("start", {})
    path, other = folder / name, tmp_path / "other"
    other.write_text("mine")
    other.chmod(0o644)
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(other)
    (folder / "notes").symlink_to(other)  # no file of a run
    with pytest.raises(ZooterError, match="a link to"):
        RunFolder(folder, create=True)
    assert (other.read_text(), stat.S_IMODE(other.stat().st_mode)) == ("mine", 0o644)
    path.unlink()
    (tmp_path / "elsewhere").symlink_to(folder)
    RunFolder(tmp_path / "elsewhere", create=True).close()  # the folder itself may be one


@posix
def test_a_pipe_in_a_run_folder_is_refused_and_not_waited_for(folder):
    folder.mkdir()
    os.mkfifo(folder / "responses.jsonl")
    with pytest.raises(ZooterError, match="a pipe or a device"):
        RunFolder(folder, create=True)
