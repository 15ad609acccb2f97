"""`[[candidate]]` of each backend, and `[memory]`."""

from __future__ import annotations

import pytest

from support.fleet_toml import FAR, add, change, refusal
from zooter_core.config.candidates import MemoryConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.fleet import load_fleet

PRICE, DTYPE, REVISION = "usd_per_million_tokens = 2", 'dtype = "float32"', 'revision = "main"'


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        (DTYPE, "repetition_penalty = 0.9", "repetition_penalty in [[candidate]] 2 of PATH is 0.9."),
        (PRICE, "usd_per_million_tokens = -0.01", "usd_per_million_tokens"),
        (PRICE, "usd_per_million_tokens = inf", "usd_per_million_tokens"),
        ('name = "math"', 'name = "  "', "must be a name"),
        ('name = "math"', 'name = " Auto"', "a name other than auto, auto-best, rmr"),  # the router's, there
        (PRICE, f"{PRICE}\nskills = 0.5", "must be a table"),
        (PRICE, f"{PRICE}\nskills = {{ maths = 1 }}", '"math"'),
        (PRICE, f"{PRICE}\nskills = {{ math = 2 }}", "skills.math in [[candidate]] "),
        (DTYPE, 'quantisation = "4bits"', 'Did you mean "4bit"?'),
        ("[generation]", "[memory]\nbudget_gb = 0\n[generation]", "budget_gb in [memory]"),
        (REVISION, "threads = 2", 'the key "threads" of the backend gguf, but its backend is transformers'),
        (REVISION, 'base_url = "http://x/v1"', '"base_url" of the backend openai, but its backend is'),
        (REVISION, "endpoint = {}", 'unknown key "endpoint"'),  # it is made from other keys
    ],
)
def test_a_wrong_value_is_refused_with_its_place(folder, old, new, part):
    assert part.replace("PATH", str(folder.resolve() / "fleet.toml")) in refusal(change(folder, old, new))


def test_a_judge_and_a_tagger_in_memory_share_the_candidates_budget(folder):
    model = 'backend = "transformers"\nmodel = "base"\n'
    text = (folder / "fleet.toml").read_text()
    tables = f'[reward]\nkind = "judge"\n[reward.judge]\n{model}[tagger]\nkind = "instag"\n[tagger.instagger]\n{model}'
    (folder / "fleet.toml").write_text(tables + text[text.index("[generation]") :])
    fleet = load_fleet(add(folder, "[memory]\nbudget_gb = 3"))
    models = (*fleet.candidates, fleet.reward.judge, fleet.tagger.instagger)
    assert {model.memory for model in models} == {MemoryConfig(3)}


# GGUF files


def test_a_gguf_candidate(folder):
    keys = 'backend = "gguf"\nthreads = 3\ngpu_layers = 0\ncontext_tokens = 4096'
    fleet = load_fleet(add(folder, f'[[candidate]]\nname = "file"\nmodel = "sub/model.gguf"\n{keys}'))
    candidate = fleet.candidate("file")
    assert candidate.model == str(folder / "sub" / "model.gguf")  # whether or not it is there
    assert (candidate.threads, candidate.gpu_layers, candidate.context_tokens) == (3, 0, 4096)


@pytest.mark.parametrize("character", ["\\n", "\\u001b", "\\u2028", "\\u202e"])
def test_a_name_is_one_line_without_control_characters(far, character):
    value = f'"a{character}x-key: 1"'
    own_name = FAR.replace('name = "far"', f"name = {value}")
    for text in (own_name, f"{FAR}routed_as = {value}\n", f"name = {value}\n{FAR}"):
        (far / "fleet.toml").write_text(text)
        assert "a name in one line" in refusal(far)


def test_the_backend_vllm_is_gone_and_the_message_says_what_comes_instead(folder):
    """Whatever else is in its table."""
    table = '[[candidate]]\nname = "served"\nbackend = "vllm"\nmodel = "owner/model"\ndtype = 5\nx = 1'
    message = refusal(add(folder, table))
    assert 'has the backend "vllm", which was removed: start `vllm serve MODEL`' in message


# Endpoints and recorded responses


def test_an_endpoint_is_part_of_its_candidate(far):
    (far / "llama3.1:8b").mkdir()  # a model of an endpoint is no path
    (candidate,) = load_fleet(far).candidates
    assert (candidate.model, candidate.usd_per_million_tokens) == ("llama3.1:8b", 1.5)
    assert candidate.endpoint == EndpointConfig("http://localhost:11434/v1", "FAR_KEY", gap_seconds=7, parallel=2)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("gap_seconds = 7", "gap_seconds = 0", "gap_seconds"),
        ("parallel = 2", 'thinking = "much"', "thinking"),
        ("parallel = 2", "extra_body = {temperature = 1}", "extra_body"),
        ("http://localhost:11434/v1", "ftp://localhost/v1", "base_url"),
        ("http://localhost:11434/v1", "http://host:port/v1", "base_url"),
        ("http://localhost:11434/v1", "http://host/v1?key=1", "base_url"),
    ],
)
def test_a_wrong_value_of_an_endpoint_is_refused(far, old, new, key):
    assert f"{key} in [[candidate]] 1 of" in refusal(change(far, old, new))


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
