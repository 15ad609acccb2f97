"""`[[candidate]]` of each backend, and `[memory]`."""

from __future__ import annotations

import pytest

from support.fleet_toml import FAR, add, change, refusal
from zooter_core.base.errors import ZooterError
from zooter_core.config.candidates import MemoryConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.fleet import load_fleet


@pytest.mark.parametrize("penalty", ["0.9", "nan", "inf", "-1"])
def test_a_repetition_penalty_is_none_or_above_it(folder, penalty):
    message = refusal(change(folder, 'dtype = "float32"', f"repetition_penalty = {penalty}"))
    assert "repetition_penalty in [[candidate]] 2" in message
    assert f"is {penalty}." in message


@pytest.mark.parametrize("price", ["-0.01", "nan", "inf", "-inf", "true", '"2"', "1" + "0" * 400, "1979-05-27"])
def test_a_price_that_can_be_none_is_refused(folder, price):
    assert "usd_per_million_tokens" in refusal(
        change(folder, "usd_per_million_tokens = 2", f"usd_per_million_tokens = {price}")
    )


@pytest.mark.parametrize("name", ["", "  "])
def test_a_candidate_has_a_name(folder, name):
    assert "must be a name" in refusal(change(folder, 'name = "math"', f'name = "{name}"'))


@pytest.mark.parametrize(
    ("skills", "part"),
    [("0.5", "must be a table"), ("{ maths = 1 }", '"math"'), ("{ math = 2 }", "less than or equal to 1")],
)
def test_skills_that_can_be_none_are_refused(folder, skills, part):
    line = "usd_per_million_tokens = 2"
    assert part in refusal(change(folder, line, f"{line}\nskills = {skills}"))


@pytest.mark.parametrize("price", ["0", "0.0", "15", "0.075"])
def test_a_price_that_can_be(folder, price):
    change(folder, "usd_per_million_tokens = 2", f"usd_per_million_tokens = {price}")
    assert load_fleet(folder).candidate("math").usd_per_million_tokens == float(price)


def test_an_unknown_quantisation_names_the_nearest(folder):
    message = refusal(change(folder, 'dtype = "float32"', 'quantisation = "4bits"'))
    assert "quantisation in [[candidate]] 2" in message
    assert 'Did you mean "4bit"?' in message


def test_where_a_model_lies(folder):
    keys = 'dtype = "float32"\ndevice_map = "auto"'
    candidate = load_fleet(change(folder, 'dtype = "float32"', keys)).candidate("math")
    assert candidate.device_map == "auto"


def test_a_judge_and_a_tagger_in_memory_share_the_candidates_budget(folder):
    model = 'backend = "transformers"\nmodel = "base"\n'
    text = (folder / "fleet.toml").read_text()
    tables = f'[reward]\nkind = "judge"\n[reward.judge]\n{model}[tagger]\nkind = "instag"\n[tagger.instagger]\n{model}'
    (folder / "fleet.toml").write_text(tables + text[text.index("[generation]") :])
    fleet = load_fleet(add(folder, "[memory]\nbudget_gb = 3"))
    models = (*fleet.candidates, fleet.reward.judge, fleet.tagger.instagger)
    assert {model.memory for model in models} == {MemoryConfig(3)}


@pytest.mark.parametrize("line", ["budget_gb = 0", "budget_gb = -1.5", "budget_gb = nan", 'budget_gb = "40"'])
def test_a_budget_that_is_none_is_refused(folder, line):
    assert "budget_gb in [memory]" in refusal(add(folder, f"[memory]\n{line}"))


# GGUF files


def test_a_gguf_candidate(folder):
    keys = 'backend = "gguf"\nthreads = 3\ngpu_layers = 0\ncontext_tokens = 4096'
    fleet = load_fleet(add(folder, f'[[candidate]]\nname = "file"\nmodel = "sub/model.gguf"\n{keys}'))
    candidate = fleet.candidate("file")
    assert candidate.model == str(folder / "sub" / "model.gguf")  # whether or not it is there
    assert (candidate.threads, candidate.gpu_layers, candidate.context_tokens) == (3, 0, 4096)


@pytest.mark.parametrize("line", ["threads = 0", "threads = 1.5", "gpu_layers = -1", 'gpu_layers = "all"'])
def test_wrong_settings_of_llama_cpp(folder, line):
    wrong = f'[[candidate]]\nname = "f"\nmodel = "m.gguf"\nbackend = "gguf"\n{line}'
    assert f"{line.split()[0]} in [[candidate]]" in refusal(add(folder, wrong))


@pytest.mark.parametrize("character", ["\\n", "\\r", "\\t", "\\u000b", "\\u001b", "\\u0085", "\\u2028", "\\u202e"])
@pytest.mark.parametrize("place", ["name", "routed_as", "fleet"])
def test_a_name_is_one_line_without_control_characters(far, place, character):
    value = f'"a{character}x-key: 1"'
    text = {
        "name": FAR.replace('name = "far"', f"name = {value}"),
        "routed_as": f"{FAR}routed_as = {value}\n",
        "fleet": f"name = {value}\n{FAR}",
    }[place]
    (far / "fleet.toml").write_text(text)
    assert "a name in one line" in refusal(far)


@pytest.mark.parametrize("name", ["auto", "auto-best", "rmr", "RMR", " Auto"])
def test_a_candidate_has_no_name_of_the_endpoints_own(folder, name):
    """It would replace the router there."""
    message = refusal(change(folder, 'name = "math"', f'name = "{name}"'))
    assert "a name other than auto, auto-best, rmr" in message
    assert message.endswith("Rename it.")


@pytest.mark.parametrize("keys", ["", 'adapter = "math"\nvllm = { tensor_parallel_size = 2 }', "dtype = 5\nx = 1"])
def test_the_backend_vllm_is_gone_and_the_message_says_what_comes_instead(folder, keys):
    table = f'[[candidate]]\nname = "served"\nbackend = "vllm"\nmodel = "owner/model"\n{keys}'
    sentence = r'\[\[candidate\]\] 3 of .* has the backend "vllm", which is gone: start `vllm serve MODEL`'
    with pytest.raises(ZooterError, match=sentence):
        load_fleet(add(folder, table))


@pytest.mark.parametrize("backend", ["transformers", "gguf", "openai"])
def test_so_are_the_arguments_of_vllm(folder, backend):
    table = f'[[candidate]]\nname = "b"\nbackend = "{backend}"\nmodel = "m"\nvllm = {{ max_num_seqs = 2 }}'
    with pytest.raises(ZooterError, match='the key "vllm", which is gone: give these arguments to `vllm serve`'):
        load_fleet(add(folder, table))


# Endpoints and recorded responses


def test_an_endpoint_is_part_of_its_candidate(far):
    (candidate,) = load_fleet(far).candidates
    assert (candidate.model, candidate.usd_per_million_tokens) == ("llama3.1:8b", 1.5)
    assert candidate.endpoint == EndpointConfig("http://localhost:11434/v1", "FAR_KEY", gap_seconds=7, parallel=2)


def test_a_model_of_an_endpoint_is_no_path(far):
    (far / "router").mkdir()
    assert load_fleet(change(far, '"llama3.1:8b"', '"router"')).candidates[0].model == "router"
    assert load_fleet(change(far, '"router"', '"/srv/models/one"')).candidates[0].model == "/srv/models/one"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("gap_seconds = 7", 'gap_seconds = "7"', "gap_seconds"),
        ("gap_seconds = 7", "gap_seconds = 0", "gap_seconds"),
        ("gap_seconds = 7", "gap_seconds = inf", "gap_seconds"),
        ("gap_seconds = 7", "gap_seconds = nan", "gap_seconds"),
        ("parallel = 2", "parallel = 0", "parallel"),
        ("parallel = 2", "parallel = 2.5", "parallel"),
        ("parallel = 2", "retries = -1", "retries"),
        ("parallel = 2", 'thinking = "much"', "thinking"),
        ("parallel = 2", "extra_body = {temperature = 1}", "extra_body"),
        ("http://localhost:11434/v1", "localhost:11434/v1", "base_url"),
        ("http://localhost:11434/v1", "ftp://localhost/v1", "base_url"),
        ("http://localhost:11434/v1", "http://", "base_url"),
        ("http://localhost:11434/v1", "http://host:port/v1", "base_url"),
        ("http://localhost:11434/v1", "http://host/v1?key=1", "base_url"),
    ],
)
def test_a_wrong_value_of_an_endpoint_is_refused(far, old, new, key):
    assert f"{key} in [[candidate]] 1 of" in refusal(change(far, old, new))


def test_the_keys_of_an_endpoint_are_known(far):
    assert 'lacks the key "base_url"' in refusal(change(far, 'base_url = "http://localhost:11434/v1"\n', ""))
    assert 'Did you mean "base_url"?' in refusal(change(far, "api_key_env", 'base_ulr = "x"\napi_key_env'))


@pytest.mark.parametrize("key", ["dtype", "calculator", "quantisation", "device_map"])
@pytest.mark.parametrize("backend", ["openai", "recorded"])
def test_keys_of_a_local_model_are_refused_elsewhere(far, backend, key):
    text = {"openai": 'base_url = "http://x/v1"\n', "recorded": ""}[backend]
    message = refusal(add(far, f'[[candidate]]\nname = "b"\nbackend = "{backend}"\nmodel = "x"\n{text}{key} = "auto"'))
    assert f'the key "{key}" of the backend transformers, but its backend is {backend}' in message


@pytest.mark.parametrize(
    ("line", "backend"),
    [("threads = 2", "gguf"), ('base_url = "http://localhost/v1"', "openai")],
)
def test_keys_of_other_backends_are_none_of_transformers(folder, line, backend):
    message = refusal(change(folder, 'revision = "main"', line))
    assert f'the key "{line.split()[0]}" of the backend {backend}, but its backend is transformers' in message


@pytest.mark.parametrize("key", ["endpoint", "memory", "settings"])
def test_what_a_candidate_gets_from_elsewhere_is_no_key(folder, key):
    assert f'unknown key "{key}"' in refusal(change(folder, 'revision = "main"', f"{key} = {{}}"))


def test_what_may_be_a_secret_is_not_shown(far):
    message = refusal(change(far, "http://localhost:11434", "http://me:s3cret@localhost:11434"))
    assert "s3cret" not in message
    change(far, "http://me:s3cret@localhost:11434", "http://localhost:11434")
    message = refusal(change(far, '"FAR_KEY"', '"sk-proj-s3cret"'))
    assert "s3cret" not in message
    assert "api_key_env" in message


def test_an_endpoint_on_this_machine_is_known_as_such():
    for url in ("http://localhost/v1", "http://127.0.0.2:1/v1", "http://[::1]:1/v1"):
        assert EndpointConfig(url).local
    assert not EndpointConfig("https://example.test/v1").local
    assert EndpointConfig("http://[::1]:8/v1").host == "[::1]:8"


def test_recorded_responses_lie_beside_the_file(tmp_path):
    (tmp_path / "fleet.toml").write_text('[[candidate]]\nname = "a"\nbackend = "recorded"\nmodel = "scores.jsonl"\n')
    assert load_fleet(tmp_path).candidates[0].model == str(tmp_path / "scores.jsonl")


def test_a_plug_ins_keys_are_its_settings(far):
    change(far, '"openai"', '"mine"')
    (candidate,) = load_fleet(far).candidates
    assert (candidate.endpoint, candidate.usd_per_million_tokens) == (None, 1.5)
    assert candidate.settings["base_url"] == "http://localhost:11434/v1"
    assert candidate.settings["gap_seconds"] == 7
