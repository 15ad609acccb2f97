"""Changes to a fleet.toml: comments and order stay, a wrong change changes nothing, the old file stays beside it."""

from __future__ import annotations

import json
import shlex
import threading
from pathlib import Path

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.config import edit
from zooter_core.config.fleet import load_fleet

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
extra_body = {stop = '''
[no.table]
# no comment'''}
# parallel = 4

# The quick one.
[[candidate]]
name = "small"
backend = "openai"
model = "s"
base_url = "http://localhost:2/v1"
parallel = 3

# That is all.
"""


def keys(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "backend": "openai", "model": name, "base_url": "http://localhost:3/v1", **more}


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    (tmp_path / "fleet.toml").write_text(COMMENTED, encoding="utf-8")
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


def test_a_change_leaves_what_is_there_and_the_file_before_it_beside(ours):
    edit.add_candidates(ours, [keys("third")], {"generation": {"max_new_tokens": 5}})
    edit.change_candidate(ours, "small", {"name": "tiny", "parallel": None})
    fleet = load_fleet(ours)
    assert fleet.pool == ("big", "tiny", "third")
    assert fleet.generation.max_new_tokens == 99
    tiny = fleet.candidate("tiny")
    assert tiny.endpoint.parallel == 32
    edit.remove_candidate(ours, "big")
    assert load_fleet(ours).pool == ("tiny", "third")
    assert load_fleet(ours, (ours / edit.BACKUP).read_text(encoding="utf-8")).pool == ("big", "tiny", "third")


def test_comments_stay_with_what_they_are_about(ours):
    edit.change_candidate(ours, "big", {"description": "B"})
    edit.change_candidate(ours, "small", {"description": "S"})
    edit.set_table(ours, "generation", {"seed": 4})
    edit.set_table(ours, "router", {"path": "router"})
    edit.add_candidates(ours, [keys("third", comment="New.")])
    third = '[[candidate]]\n# New.\nname = "third"\nbackend = "openai"\nmodel = "third"\n'
    expected = (
        COMMENTED.replace("# parallel = 4\n", '# parallel = 4\ndescription = "B"\n')
        .replace("# seed = 3\n", '# seed = 3\nseed = 4\n\n[router]\npath = "router"\n')
        .replace("parallel = 3\n", f'parallel = 3\ndescription = "S"\n\n{third}base_url = "http://localhost:3/v1"\n')
    )
    assert text(ours) == expected
    edit.remove_candidate(ours, "big")
    start, end = expected.index("\n\n# ---- Ours"), expected.index("\n# The quick one.")
    assert text(ours) == expected[:start] + expected[end:]


def test_the_file_keeps_its_line_ends_its_mode_and_its_place(tmp_path):
    folder = tmp_path / "fleet"
    real = folder / "..data" / "mine.toml"  # as Kubernetes mounts a file
    real.parent.mkdir(parents=True)
    real.write_bytes(COMMENTED.replace("\n", "\r\n").encode())
    real.chmod(0o600)
    (folder / "fleet.toml").symlink_to("..data/mine.toml")
    edit.change_candidate(folder, "big", {"parallel": 4})
    assert (folder / "fleet.toml").is_symlink()
    assert real.read_bytes().count(b"\r\n") == real.read_bytes().count(b"\n") == COMMENTED.count("\n") + 1
    assert [path.stat().st_mode & 0o777 for path in (real, folder / edit.BACKUP)] == [0o600, 0o600]


@pytest.mark.parametrize("name", ["fleet.toml", edit.BACKUP, edit.LOCK])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_out_of_a_strangers_folder_is_refused_and_what_it_leads_to_stays(ours, tmp_path, name, is_there):
    folder, other = ours / "fleet", ours / "bashrc"
    folder.mkdir()
    (folder / "fleet.toml").write_text(COMMENTED)
    if is_there:
        other.write_text(COMMENTED)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("../bashrc")
    with pytest.raises(ZooterError, match=rf"{name}.*a link to .*bashrc"):
        edit.add_candidates(folder, [keys("new")])
    assert (other.read_text() if is_there else other.exists()) == (COMMENTED if is_there else False)
    assert sorted(path.name for path in folder.iterdir()) == sorted({"fleet.toml", name})


ATTACK = '\n[[candidate]]\nname = "mallory"\nbackend = "openai"\nmodel = "m"\nbase_url = "http://evil.example/v1"\n'
BREAKS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]


@pytest.mark.parametrize("start", ["", "# "])
def test_no_text_becomes_a_table(ours, start):
    """Wherever it goes: into a comment, a value, a description."""
    for line_break in BREAKS:
        (ours / "fleet.toml").write_text(COMMENTED)
        table = "".join(f"{line_break}{start}{line}" for line in f"{ATTACK}[learn]\ntraffic = true".split("\n"))
        edit.add_candidates(ours, [keys("third", comment=table, description=table) | {"model": table}])
        edit.change_candidate(ours, "small", {"description": table})
        edit.set_router(ours, "router", ["big", "small", "third"])
        fleet = load_fleet(ours)
        assert fleet.pool == ("big", "small", "third")
        assert [fleet.candidate("third").model, fleet.candidate("small").description] == [table, table]
        assert not fleet.learn.traffic


@pytest.mark.parametrize(
    "name",
    ["my\n[learn]\ntraffic = true", "a\x85b", "it's; rm -rf $HOME", b"\xff".decode("utf-8", "surrogateescape")],
    ids=["table", "line", "shell", "bytes"],
)
def test_the_name_of_a_folder_is_one_line(tmp_path, name):
    folder = tmp_path / name
    edit.add_candidates(folder, [keys("a")])
    fleet = load_fleet(folder)
    assert (fleet.pool, fleet.learn.traffic, fleet.name.isprintable()) == (("a",), False, True)
    assert f"zooter exam --fleet {shlex.quote(fleet.name)}`" in text(folder)
    without_name = text(folder).replace(f"name = {json.dumps(fleet.name)}\n", "", 1)
    assert load_fleet(folder, without_name).name == fleet.name


def test_a_change_that_would_be_read_as_another_one_is_not_written(ours, monkeypatch):
    monkeypatch.setattr(edit.tomlkit, "dumps", lambda document: document.as_string() + "[learn]\ntraffic = true\n")
    with pytest.raises(ZooterError, match="Nothing was written"):
        edit.change_candidate(ours, "big", {"parallel": 4})
    assert text(ours) == COMMENTED


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
    assert fleet.router.others == "refuse"
    edit.change_candidate(ours, "late", {"name": "renamed"})
    edit.set_router(ours, "router", ["big", "small", "known", "late"])
    assert (router := load_fleet(ours).router) is not None
    assert router.others == "profile"


def test_what_a_fleet_says_of_prices_outlives_its_router(ours):
    edit.set_table(ours, "router", {"willingness": 0.2})
    edit.set_router(ours, "router", ["big", "small"])
    fleet = load_fleet(ours)
    assert fleet.router is not None
    assert fleet.willingness == 0.2
    edit.remove_router(ours)
    fleet = load_fleet(ours)
    assert (fleet.router, fleet.willingness) == (None, 0.2)
    edit.set_table(ours, "router", {"path": "router", "willingness": None})
    edit.remove_router(ours)
    assert "[router]" not in text(ours)


def test_names_are_free():
    assert edit.free_name("auto", []) == "auto-2"
    assert edit.free_name("RMR", ["RMR-2"]) == "RMR-3"
    assert edit.free_name("a", []) == "a"
    assert edit.free_name("a", ["a", "a-2"]) == "a-3"
