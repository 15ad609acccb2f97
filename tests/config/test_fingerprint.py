"""What a run remembers of its fleet: hashes that change with what shapes the run, and with nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.fleet_toml import FAR, JUDGE_FAR, change
from zooter_core.base.errors import ZooterError
from zooter_core.config import fingerprint
from zooter_core.config.fleet import load_fleet

HASHES = {
    "candidates": "14dba406099e2554967bcc76822cb0feb6f234974edd986654fd10412da07415",
    "reward": "5c8f670eb4366d999a81ebb1d83ec107402d9fce007161722821804d1bb6f3a4",
    "tagger": "f48beb190036045bc3d87c3c4e8e3fcd2dbe1318b078f2f77e6caed9c9f14b78",
}


def hashes(folder: Path | str) -> dict[str, str]:
    fleet = load_fleet(folder)
    return {part: fleet.hash_part(part) for part in HASHES}


def test_the_hashes_of_a_fleet_stay_from_version_to_version(folder):
    """Else its runs could not go on."""
    assert hashes(folder) == HASHES


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("adapters/math/weights.bin", "candidates"),
        ("adapters/math/config.json", "candidates"),
        ("reward/weights.bin", "reward"),
        ("tags.json", "tagger"),
    ],
)
def test_it_changes_with_the_weights_and_new_files_beside_them(folder, file, part):
    before = hashes(folder)
    (folder / file).write_bytes(b"other weights")
    after = hashes(folder)
    assert {name for name in after if after[name] != before[name]} == {part}


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ('"Q: {query}"', '"{query}"', {"candidates"}),
        ('dtype = "float32"', 'dtype = "float32"\nquantisation = "4bit"', {"candidates"}),
        ("threshold = 0.5", "threshold = 0.6", {"tagger"}),
        ("max_tokens = 128", "max_tokens = 64", {"reward"}),
        ('path = "router"', 'path = "router-2"', set()),
        ('description = "as it is"', 'description = "better"', set()),
        ("usd_per_million_tokens = 2", "usd_per_million_tokens = 3", set()),
        ('dtype = "float32"', 'dtype = "float32"\ndevice_map = "auto"', set()),
        ("seed = 7", "seed = 7\n[memory]\nbudget_gb = 40", set()),
    ],
)
def test_it_changes_with_the_settings_that_shape_a_run(folder, old, new, parts):
    before = hashes(folder)
    (folder / "router" / "weights.bin").write_bytes(b"a better router")
    (folder / "adapters" / "math" / "README.md").write_text("how it was made")
    after = hashes(change(folder, old, new))
    assert {name for name in after if after[name] != before[name]} == parts


def test_it_does_not_change_when_the_fleet_moves(folder, tmp_path, monkeypatch):
    before = hashes(folder)
    assert hashes(shutil.copytree(folder, tmp_path / "else" / "where")) == before
    monkeypatch.chdir(folder)
    assert hashes(".") == before


HTTP = '[reward]\nkind = "http"\nurl = "http://x"'


@pytest.mark.parametrize(
    ("reward", "patience", "address", "part"),
    [
        (HTTP, ("gap_seconds = 7", "gap_seconds = 8"), (":11434", ":8000"), "candidates"),
        (JUDGE_FAR, ("seconds = 300", "seconds = 299"), ("localhost:8000", "localhost:8001"), "reward"),
        (HTTP, ('"http://x"', '"http://x"\ninsecure = true\napi_key_env = "KEY"'), ("http://x", "http://y"), "reward"),
    ],
    ids=["candidate", "judge", "reward endpoint"],
)
def test_it_depends_on_where_a_server_is_and_not_on_how_it_is_asked(far, reward, patience, address, part):
    before = hashes(_write(far, f"{reward}\n\n{FAR}"))
    assert hashes(change(far, *patience)) == before
    after = hashes(change(far, *address))
    assert {name for name in after if after[name] != before[name]} == {part}


def test_it_depends_on_a_plug_ins_settings_in_any_order(far):
    mine = FAR.replace('"openai"', '"mine"')
    first = hashes(_write(far, mine + "level = 3\n"))
    assert hashes(_write(far, mine.replace("backend", "level = 3\nbackend"))) == first
    assert hashes(_write(far, mine + "level = 4\n")) != first


def _write(folder: Path, text: str) -> Path:
    (folder / "fleet.toml").write_text(text)
    return folder


def test_a_huge_folder_is_one_clear_error(folder, monkeypatch):
    """As with `model = "/"`: no file in it is read."""
    monkeypatch.setattr(fingerprint, "MOST_FILES", 3)
    for number in range(4):
        (folder / "reward" / f"{number}.bin").write_bytes(b"")
    monkeypatch.setattr(fingerprint, "_content", None)
    with pytest.raises(ZooterError, match="more than 3 files and folders") as caught:
        load_fleet(folder).hash_part("reward")
    assert str(folder / "reward") in caught.value.failure.expected
