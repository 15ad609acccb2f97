"""Changes to a fleet.toml: comments and order stay, a wrong change changes nothing, the old file stays beside it."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.config import edit
from zooter_core.config.fleet import load_fleet

HAND_WRITTEN = """\
# Our two servers.
name = "ours"

[generation]   # short answers
max_new_tokens = 99

[[candidate]]
name = "big"  # the good one
backend = "openai"
model = "m"
base_url = "http://localhost:1/v1"

[[candidate]]
# the quick one
name = "small"
backend = "openai"
model = "s"
base_url = "http://localhost:2/v1"
parallel = 3
"""


def keys(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "backend": "openai", "model": name, "base_url": "http://localhost:3/v1", **more}


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    (tmp_path / "fleet.toml").write_text(HAND_WRITTEN, encoding="utf-8")
    return tmp_path


def text(folder: Path) -> str:
    return (folder / "fleet.toml").read_text(encoding="utf-8")


def test_a_new_fleet_says_what_it_is(tmp_path):
    folder = tmp_path / "new" / "my-fleet"
    edit.add_candidates(folder, [keys("a", comment="A model (7B)")], {"tagger": {"kind": "given"}})
    fleet = load_fleet(folder)
    assert (fleet.name, fleet.pool) == ("my-fleet", ("a",))
    assert fleet.tagger is not None
    assert "# A model (7B)" in text(folder)
    assert "zooter exam --fleet my-fleet" in text(folder)
    assert not (folder / edit.BACKUP).exists()


def test_a_change_keeps_what_the_owner_wrote(ours):
    edit.add_candidates(ours, [keys("third")], {"generation": {"max_new_tokens": 5}})
    edit.change_candidate(ours, "small", {"name": "tiny", "parallel": None, "description": "little"})
    edit.set_table(ours, "router", {"path": "router"})
    edit.set_table(ours, "generation", {"seed": 4})
    after = text(ours)
    for comment in ("# Our two servers.", "# short answers", "# the good one", "# the quick one"):
        assert comment in after
    fleet = load_fleet(ours)
    assert fleet.pool == ("big", "tiny", "third")
    assert (fleet.generation.max_new_tokens, fleet.generation.seed) == (99, 4)
    tiny = fleet.candidate("tiny")
    assert tiny.description == "little"
    assert tiny.endpoint is not None
    assert tiny.endpoint.parallel == 32
    assert fleet.router is not None
    edit.remove_candidate(ours, "big")
    assert load_fleet(ours).pool == ("tiny", "third")
    assert load_fleet(ours, (ours / edit.BACKUP).read_text(encoding="utf-8")).pool == ("big", "tiny", "third")


COMMENTED = """\
name = "ours"

# How long.
[generation]  # short answers
max_new_tokens = 99
# seed = 3


# ---- Ours ----

# The good one.
[[candidate]]
name = "big"
backend = "openai"
model = "m"
base_url = "http://localhost:1/v1"
# parallel = 4

# The quick one.
[[candidate]]
name = "small"
backend = "openai"
model = "s"
base_url = "http://localhost:2/v1"

# That is all.
"""


def test_comments_stay_with_what_they_are_about(tmp_path):
    file = tmp_path / "fleet.toml"
    file.write_text(COMMENTED, encoding="utf-8")
    edit.change_candidate(tmp_path, "big", {"description": "B"})
    edit.change_candidate(tmp_path, "small", {"description": "S"})
    edit.set_table(tmp_path, "generation", {"seed": 4})
    edit.set_table(tmp_path, "router", {"path": "router"})
    edit.add_candidates(tmp_path, [keys("third", comment="New.")])
    third = '[[candidate]]\n# New.\nname = "third"\nbackend = "openai"\nmodel = "third"\n'
    expected = (
        COMMENTED.replace("# parallel = 4\n", '# parallel = 4\ndescription = "B"\n')
        .replace("# seed = 3\n\n", '# seed = 3\nseed = 4\n\n[router]\npath = "router"\n')
        .replace(':2/v1"\n', f':2/v1"\ndescription = "S"\n\n{third}base_url = "http://localhost:3/v1"\n')
    )
    assert text(tmp_path) == expected
    edit.remove_candidate(tmp_path, "big")
    start, end = expected.index("\n# ---- Ours"), expected.index("\n# The quick one.")
    assert text(tmp_path) == expected[:start] + expected[end:]


def test_the_file_keeps_its_line_ends_its_mode_and_its_place(tmp_path):
    real = tmp_path / "elsewhere" / "mine.toml"
    real.parent.mkdir()
    real.write_bytes(COMMENTED.replace("\n", "\r\n").encode())
    real.chmod(0o600)
    folder = tmp_path / "fleet"
    folder.mkdir()
    (folder / "fleet.toml").symlink_to(real)
    edit.change_candidate(folder, "big", {"parallel": 4})
    assert (folder / "fleet.toml").is_symlink()
    assert real.read_bytes().count(b"\r\n") == real.read_bytes().count(b"\n") == COMMENTED.count("\n") + 1
    assert [path.stat().st_mode & 0o777 for path in (real, folder / edit.BACKUP)] == [0o600, 0o600]


LINES = st.sampled_from(["", "# note", "[a]", "[[b]]", "x = 1", '[c.d]  # "e"', "[e] #", "y = [", "[1]", "]", 'z = "'])


@given(st.lists(LINES, max_size=12))
def test_a_file_that_is_not_changed_stays_as_it_is(lines):
    before = "\n".join(lines)
    body, end = edit._pinned(before)
    assert edit._unpinned(body) + end == before


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda folder: edit.add_candidates(folder, [keys("big")]), '"big" twice'),
        (lambda folder: edit.add_candidates(folder, [keys("x", backened="y")]), "backened"),
        (lambda folder: edit.change_candidate(folder, "bgi", {}), "big"),
        (lambda folder: edit.change_candidate(folder, "big", {"base_url": "nowhere"}), "nowhere"),
        (lambda folder: (edit.remove_candidate(folder, "big"), edit.remove_candidate(folder, "small")), "at least one"),
    ],
)
def test_a_wrong_change_leaves_a_fleet_that_works(ours, change, part):
    with pytest.raises(ZooterError, match=part):
        change(ours)
    assert load_fleet(ours).pool
    assert "partial" not in " ".join(path.name for path in ours.iterdir())


def test_a_broken_file_is_named_and_not_replaced(ours):
    (ours / "fleet.toml").write_text("name = \n", encoding="utf-8")
    with pytest.raises(ZooterError, match=r"fleet\.toml"):
        edit.add_candidates(ours, [keys("x")])
    assert text(ours) == "name = \n"


def test_changes_at_the_same_time_all_arrive(ours):
    names = [f"m{number}" for number in range(8)]
    threads = [threading.Thread(target=edit.add_candidates, args=(ours, [keys(name)])) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(load_fleet(ours).pool) == {"big", "small", *names}


def test_a_new_router_has_names_of_its_own(ours):
    edit.add_candidates(ours, [keys("known", routed_as="what another router called it"), keys("late")])
    edit.set_router(ours, "router", ["big", "small", "known", "late"])
    fleet = load_fleet(ours)
    assert fleet.routed_as == fleet.pool
    assert fleet.router is not None
    assert fleet.router.others == "refuse"
    edit.change_candidate(ours, "late", {"name": "renamed"})
    edit.set_router(ours, "router", ["big", "small", "known", "late"])
    assert (router := load_fleet(ours).router) is not None
    assert router.others == "profile"


def test_names_are_free():
    assert edit.free_name("a", []) == "a"
    assert edit.free_name("a", ["a", "a-2"]) == "a-3"


def test_a_full_disk_leaves_the_fleet_as_it_is(ours, monkeypatch):
    before = text(ours)

    def full(self: Path, *arguments: object, **options: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(WorkError, match="No space left"):
        edit.add_candidates(ours, [keys("x")])
    assert text(ours) == before
