"""What runs and lies on this machine: by the routes of real makes of servers, and by files of every kind."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import replace
from typing import Any

import pytest

from support.event_loops import run_apart
from support.gguf_models import write_model
from support.scripted_server import Handler, serving
from support.thinking_servers import TEMPLATE
from support.tiny_models import CHATML
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.errors import ZooterError
from zooter_core.base.paths import PRICES
from zooter_core.config.edit import add_candidates
from zooter_core.config.fleet import load_fleet
from zooter_core.config.trust import PROVIDERS
from zooter_core.fleet import discovery, machine
from zooter_core.fleet.connect import connect, list_price
from zooter_core.fleet.discovered import Model
from zooter_core.fleet.discovery import discover, served, server_url
from zooter_core.fleet.machine import Gpu, billions_in

GB = 10**9


def models_of(routes: dict[str, Any]) -> list[Model]:
    with serving() as server:
        server.routes = routes
        return run_apart(served(server.url))


def test_ollama():
    details = {"family": "qwen2", "parameter_size": "7.6B", "quantization_level": "Q4_K_M"}
    tags = [{"name": "qwen2.5-coder:7b", "size": 4 * GB, "details": details}]
    tags += [{"name": "nomic-embed-text:latest", "size": GB // 4, "details": {}}]
    (model,) = models_of(
        {
            "/v1/models": {"data": [{"id": tag["name"], "owned_by": "library"} for tag in tags]},
            "/api/tags": {"models": tags},
            "/api/show": {"capabilities": ["completion", "tools"], "parameters": "num_ctx 8192"},
            "/api/ps": {"models": []},
        }
    )
    assert (model.name, model.facts) == ("qwen2.5-coder-7b", "7.6B, Q4_K_M, 4.0 GB, 8,192 tokens")
    keys = model.keys()
    assert "Ollama" in keys["comment"]
    assert (keys["model"], keys["parallel"], keys["first_token_seconds"]) == ("qwen2.5-coder:7b", 1, 180)
    assert (keys["context_tokens"], keys["tools"], keys["images"]) == (8192, True, False)


def test_llama_cpp_is_told_from_ollama_whose_list_it_has():
    tags = [{"name": "my-7b", "size": "", "details": {"parameter_size": "", "quantization_level": ""}}]
    entry = {"id": "my-7b", "owned_by": "llamacpp", "meta": {"n_params": 7 * GB, "size": 4 * GB, "ftype": "Q4_K_M"}}
    props = {"default_generation_settings": {"n_ctx": 4096}, "total_slots": 2}
    (model,) = models_of({"/v1/models": {"data": [entry]}, "/api/tags": {"models": tags}, "/props": props})
    assert (model.make, model.abilities.parallel, model.facts) == ("llama.cpp", 2, "7B, Q4_K_M, 4.0 GB, 4,096 tokens")


@pytest.mark.parametrize(
    ("routes", "thinks"),
    [
        ({"/api/tags": {"models": []}, "/api/show": {"capabilities": ["completion", "thinking"]}}, True),
        ({"/api/tags": {"models": []}, "/api/show": {"capabilities": ["completion"]}}, False),
        ({"/props": {"default_generation_settings": {}, "chat_template": TEMPLATE}}, True),
        ({"/props": {"default_generation_settings": {}, "chat_template": CHATML}}, False),
        ({}, True),  # by its name alone
    ],
)
def test_whether_a_model_thinks_is_found_out_and_written(tmp_path, routes, thinks):
    (model,) = models_of({"/v1/models": {"data": [{"id": "Qwen/Qwen3-8B"}]}, "/api/ps": {"models": []}, **routes})
    assert ("thinks" in model.facts) is thinks
    connect(tmp_path, [model])
    (candidate,) = load_fleet(tmp_path).candidates
    assert candidate.thinking == ("auto" if thinks else None)
    assert ("thinking = false switches that off" in (tmp_path / "fleet.toml").read_text()) is thinks


def test_a_server_with_two_names_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(discovery, "usual_folders", list)
    with serving() as server:
        local = server.url.replace("127.0.0.1", "localhost")
        monkeypatch.setattr(discovery, "usual_addresses", lambda: [local])
        models = discover({server.url: None}).models
        assert [model.model for model in models] == server.models
        assert {model.base_url for model in models} == {server.url}
        connect(tmp_path, models)
        assert connect(tmp_path, discover().models).present == discover().models


def test_a_folder_that_somebody_named_is_listed_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(discovery, "usual_addresses", list)
    monkeypatch.setattr(discovery, "usual_folders", lambda: [tmp_path / "usual"])
    for folder in ("usual", "mine"):
        (tmp_path / folder).mkdir()
        write_model(tmp_path / folder / "tiny.gguf")
    with serving() as server:
        server.models = ["tiny"]
        models = discover({server.url: None}, [tmp_path / "mine"]).models
    assert [(model.backend, model.place.endswith("mine")) for model in models] == [("openai", False), ("gguf", True)]


def test_lm_studio():
    gemma = {"id": "gemma-2-9b-it", "type": "llm", "arch": "gemma2", "quantization": "Q4_0", "max_context_length": 8192}
    vision = {"id": "qwen2-vl-7b", "type": "vlm", "capabilities": ["tool_use"]}
    listing = [gemma, vision, {"id": "some-encoder", "type": "embeddings"}]
    entries = {"data": [{"id": entry["id"]} for entry in listing]}
    gemma, vision = models_of({"/v1/models": entries, "/api/v0/models": {"data": listing}})
    assert (gemma.name, gemma.facts, gemma.make) == ("gemma-2-9b", "9B, Q4_0, 8,192 tokens", "LM Studio")
    assert (vision.abilities.images, vision.abilities.tools) == (True, True)


def test_vllm_and_others():
    entries = [{"id": "Qwen/Qwen2.5-7B-Instruct-AWQ", "owned_by": "vllm", "max_model_len": 32768}]
    (model,) = models_of({"/v1/models": {"data": entries}})
    assert (model.name, model.make, model.abilities.context_tokens) == ("qwen2.5-7b", "vLLM", 32768)
    assert model.keys().get("parallel") is None  # it takes as many as the default
    (other,) = models_of({"/v1/models": {"data": [{"id": "my model"}, {"id": 3}, "x"]}})
    (eclipse,) = models_of({"/v1/models": {"data": [{"id": "eclipse-7b"}, {"id": "clip-vit-b"}, {"id": "bge-m3"}]}})
    assert eclipse.name == "eclipse-7b"
    assert (other.name, other.make, other.billions) == ("my-model", "a server", None)


OPENROUTER = {
    "id": "openai/gpt-4o-mini", "context_length": 128_000, "supported_parameters": ["tools", "temperature"],
    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
    "pricing": {"prompt": "0.00000015", "completion": "0.0000006", "input_cache_read": "0.000000075", "image": "0"},
}  # fmt: skip
FREE = OPENROUTER | {"id": "small-8b:free", "pricing": {"prompt": "0", "completion": "0"}}
VARIES = OPENROUTER | {"id": "some/router", "pricing": {"prompt": "-1", "completion": "-1"}}
TOGETHER = {
    "id": "meta/Llama-3.3-70B", "type": "chat", "context_length": 131_072,
    "pricing": {"hourly": 0, "input": 0.88, "output": 0.9, "base": 0},
}  # fmt: skip
UNKNOWN = TOGETHER | {"id": "own-13b", "pricing": {"hourly": 0, "input": 0, "output": 0}}
GROQ = {"id": "llama-3.1-8b-instant", "context_window": 131_072}
FIGURES = {"context_length": 8192, "pricing": {"input_tokens": 0.03, "output_tokens": 0.05}}
NO_WRITERS = [
    OPENROUTER | {"id": "flux", "architecture": {"output_modalities": ["image"]}},
    {"id": "flux-1", "type": "image"}, {"id": "playai-tts"}, {"id": "omni-moderation-latest"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "keys"),
    [
        ({"data": [OPENROUTER]}, {"context_tokens": 128_000, "images": True, "tools": True, "json_mode": False,
            "usd_per_million_tokens": 0.6, "usd_per_million_prompt_tokens": 0.15,
            "usd_per_million_cached_tokens": 0.075}),
        ({"data": [FREE]}, {"usd_per_million_tokens": 0.0, "usd_per_million_prompt_tokens": 0.0}),
        ({"data": [VARIES]}, {"context_tokens": 128_000, "usd_per_million_tokens": None}),
        ([TOGETHER], {"context_tokens": 131_072, "usd_per_million_tokens": 0.9, "usd_per_million_prompt_tokens": 0.88}),
        ([UNKNOWN], {"usd_per_million_tokens": None}),
        ({"data": [GROQ]}, {"context_tokens": 131_072, "usd_per_million_tokens": None}),
        ({"data": [{"id": "m", "metadata": FIGURES}]}, {"context_tokens": 8192, "usd_per_million_tokens": 0.05}),
    ],
)  # fmt: skip
def test_what_hosted_servers_list_of_their_models_need_not_be_typed(tmp_path, entries, keys):
    others = [*NO_WRITERS, *entries["data"]] if isinstance(entries, dict) else [*NO_WRITERS, *entries]
    (model,) = models_of({"/v1/models": {"data": others} if isinstance(entries, dict) else others})
    connect(tmp_path, [model])
    (candidate,) = load_fleet(tmp_path).candidates
    assert {name: getattr(candidate, name) for name in keys} == keys
    price = keys.get("usd_per_million_tokens")
    shown = "free" if price == 0 else f"${price} per million tokens"
    assert model.facts.endswith(shown) is (price is not None)
    assert ("from its server's list of models." in (tmp_path / "fleet.toml").read_text()) is (price is not None)


@pytest.mark.parametrize("line_break", ["\n", "\x85", "\u2028", "\x1b"])
def test_a_model_whose_name_is_none_is_passed_over(tmp_path, line_break):
    """It would write what it likes into fleet.toml, and the user would see another name."""
    bad = f"llama-3-8b{line_break}zooter-above:[[candidate]]{line_break}zooter-above:[learn]"
    details = [{"name": "good:7b", "id": bad, "details": {"parameter_size": f"7B{line_break}", "family": 5}}]
    entries = [{"id": bad}, {"id": "good:7b", "parent": bad}, {"id": "x" * 5000}]
    notes: list[str] = []
    with serving() as server:
        server.routes = {"/v1/models": {"data": entries}, "/api/tags": {"models": details}, "/api/show": {}}
        models = run_apart(served(server.url, None, notes.append))
        connect(tmp_path, models)
    assert [model.model for model in models] == ["good:7b"]
    (note,) = notes
    assert note.isprintable()
    assert "skipped: llama-3-8b\\" in note
    assert (load_fleet(tmp_path).pool, load_fleet(tmp_path).learn.traffic) == (("good-7b",), False)


@pytest.mark.parametrize("names", [[], ["nomic-embed-text", "Skywork/Skywork-Reward-V2-Qwen3-8B"]])
def test_a_server_that_has_no_model_that_writes_text_is_named(names):
    notes: list[str] = []
    with serving() as server:
        server.models = names
        assert run_apart(served(server.url, None, notes.append)) == []
    assert notes == [f"{server.url.split('/')[2]} lists no model that writes text."]


def test_of_very_many_models_the_first_are_listed(tmp_path):
    notes: list[str] = []
    with serving() as server:
        server.models = [f"m{number}" for number in range(5_000)]
        models = run_apart(served(server.url, None, notes.append))
        assert len(server.paths) <= 5
    assert [model.model for model in models] == server.models[: discovery.MOST_MODELS]
    (note,) = notes
    assert "4,000 more models" in note
    twins = [replace(model, model=f"{number}/twin") for number, model in enumerate(models[:100])]
    assert len(connect(tmp_path, twins).names) == len(connect(tmp_path, twins).present) == 100


FIELDS = {
    "/v1/models": (
        *("id", "owned_by", "parent", "max_model_len", "meta", "type", "capabilities", "max_context_length", "pricing"),
        *("context_length", "architecture", "supported_parameters", "metadata"),
    ),
    "/api/tags": ("name", "id", "size", "details"),
    "/api/show": ("capabilities", "parameters", "error"),
    "/api/ps": ("models",),
    "/api/v0/models": ("id", "type", "arch", "quantization", "loaded_context_length", "capabilities"),
    "/props": ("default_generation_settings", "chat_template_caps", "modalities", "total_slots"),
}
LISTS = {"/v1/models": "data", "/api/tags": "models", "/api/v0/models": "data"}
MEMBERS = ("output", "input_modalities", "n_params", "size", "ftype", "family", "parameter_size", "n_ctx")
KINDS: list[Any] = [None, "Q4\n", 10**400, -1, [5], {"a": []}, True, 0.5, ["vision"], "9" * 400 + "B"]


@pytest.mark.parametrize("value", [*KINDS, *(dict.fromkeys(MEMBERS, value) for value in KINDS)])
def test_whatever_a_server_sends_the_others_are_listed(scripted, tmp_path, value):
    """Every field of its routes has a value that nobody expects there."""
    for place, fields in FIELDS.items():
        odd = dict.fromkeys(fields, value)
        entries = [value, odd, odd | {"id": "a-7b", "name": "a-7b"}, {"id": "good-8b", "name": "good-8b"}]
        scripted.routes[place] = {LISTS[place]: entries} if place in LISTS else odd
    notes: list[str] = []
    models = run_apart(served(scripted.url, None, notes.append))
    assert [model.model for model in models][-2:] == ["a-7b", "good-8b"]
    assert all(note.isprintable() for note in [*notes, *(model.facts for model in models)])
    assert connect(tmp_path, models).names == load_fleet(tmp_path).pool
    assert [one.model for one in load_fleet(tmp_path).candidates] == [model.model for model in models]


@pytest.mark.parametrize(
    "reply",
    [b'{"data": [{"id": "a", "size": 1e400}]}', b'{"error": ' + b"[" * 900 + b"]" * 900 + b"}",
     b'{"data": [' + b'"\\u0041",' * 4_000_000 + b"1]}"],
    ids=["infinite", "a deep error", "long"],
)  # fmt: skip
def test_one_bad_server_does_not_end_the_search(tmp_path, monkeypatch, reply):
    monkeypatch.setattr(discovery, "usual_addresses", list)
    monkeypatch.setattr(discovery, "usual_folders", list)
    monkeypatch.setenv("LLM_API_KEY", "key")  # which is looked for in what it sends

    class Bad(Handler):
        def do_GET(self) -> None:  # noqa: N802 (http.server calls it)
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

    with serving() as good, serving(handler=Bad) as bad:
        result = discover({bad.url: "LLM_API_KEY", good.url: None})
    assert [model.model for model in result.models] == good.models
    assert list(result.silent) == [bad.url]


@pytest.mark.parametrize("model", ["openrouter/auto", "RMR", "org/auto-best:latest", "Auto-Instruct"])
def test_a_model_never_gets_a_name_of_the_endpoints_own(tmp_path, model):
    (name,) = connect(tmp_path, [Model("openai", model, "there", base_url="http://localhost:1/v1")]).names
    assert name in ("auto-model", "rmr-model", "auto-best-model")
    assert load_fleet(tmp_path).pool == (name,)


def test_who_does_not_answer_is_named_with_the_reason(monkeypatch):
    monkeypatch.setattr(discovery, "usual_addresses", lambda: ["http://127.0.0.1:9/v1"])
    with serving() as server:
        server.routes = {"/v1/models": {"data": [{"id": "auto", "owned_by": "zooter"}]}}
        result = discover({"http://127.0.0.1:1/v1": None, server.url: None, "ftp://x/v1": None})
    closed = "http://127.0.0.1:1/v1"
    assert list(result.silent) == [closed, server.url, "ftp://x/v1"]  # the usual port that is closed is no news
    assert "refused" in result.silent[closed]
    assert "Zooter endpoint" in result.silent[server.url]


def test_an_address_gets_the_path_of_the_api_and_no_more():
    urls = {"localhost:8090": "http://localhost:8090/v1", "http://[::1]:8400/behind/v1/": "http://[::1]:8400/behind/v1"}
    urls |= dict.fromkeys(
        (" https://a.org/ ", "https://a.org/v1/models", "https://a.org/v1/chat/completions/"), "https://a.org/v1"
    )
    urls |= {"api.openai.com": "https://api.openai.com/v1", "https://openrouter.ai": "https://openrouter.ai/api/v1"}
    assert {address: server_url(address) for address in urls} == urls


@pytest.mark.parametrize("address", ["ftp://host", "http://", "http://h?x=1", "http://h:0", " ", "http://me:secret@h"])
def test_another_text_is_no_address(address):
    with pytest.raises(ZooterError, match=r"is not the address of a server|There is no address yet") as caught:
        server_url(address)
    assert (caught.value.exit_code, "secret" in str(caught.value)) == (2, False)


def test_a_server_with_a_key(monkeypatch):
    monkeypatch.setenv("LLM_API_KEY", "bad-key")
    with serving() as server, pytest.raises(EndpointError, match=r"401|refuses"):
        run_apart(served(server.url, "LLM_API_KEY"))


def test_where_ollama_listens(monkeypatch):
    addresses = {
        **dict.fromkeys(("", "0.0.0.0", "localhost:port"), "http://localhost:11434/v1"),
        **{"127.0.0.1:5000": "http://127.0.0.1:5000/v1", "[::1]:5000": "http://[::1]:5000/v1"},
        **{"[::]:5000": "http://localhost:5000/v1", "https://gpu.example.org": "https://gpu.example.org:11434/v1"},
    }
    for host, address in addresses.items():
        monkeypatch.setenv("OLLAMA_HOST", host)
        assert discovery.usual_addresses()[0] == address


def test_names_are_short_and_say_how_large_a_model_is():
    billions = {"7.6B": 7.6, "smollm2-135m-chat": 0.135, "Llama-3.1-8B": 8, "gemma2:9b-instruct-q4": 9}
    billions |= dict.fromkeys(("4bit", "mixtral-8x7b", "gpt-4o", "abc7babc"))
    assert {text: billions_in(text) for text in billions} == billions
    names = {"llama3.1:latest": "llama3.1", "Qwen/Qwen2.5-Coder-7B-Instruct": "qwen2.5-coder-7b", "/": "model"}
    names |= {"Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf": "meta-llama-3.1-8b", "模型": "model"}
    assert {model: Model("openai", model, "").name for model in names} == names


def test_gpus_by_the_drivers_tool(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100, 81559, 80000'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert machine.gpus() == (Gpu("NVIDIA H100", 81559 << 20, 80000 << 20),)
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert machine.gpus() == ()


def test_models_join_a_fleet(tmp_path):
    judge = Model("openai", "llama3.1:8b", "on Ollama", "Ollama", billions=8, base_url="http://localhost:1/v1")
    twin = Model("openai", "llama3.1:8b", "on vLLM", "vLLM", billions=8, base_url="http://localhost:2/v1")
    other = Model("openai", "gemma2:9b", "on vLLM", "vLLM", billions=8, base_url="http://localhost:2/v1")
    connect(tmp_path / "twins", [judge, twin])
    twins = load_fleet(tmp_path / "twins").reward
    assert twins.kind == "embedded"  # one model on two servers does not judge itself
    assert connect(tmp_path, [judge, twin, other]).names == ("llama3.1-8b", "llama3.1-8b-2", "gemma2-9b")
    fleet = load_fleet(tmp_path)
    assert (fleet.reward.kind, fleet.tagger and fleet.tagger.kind) == ("judge", "skills")
    assert not fleet.reward.compares  # `zooter learn` needs rewards of single answers
    urls = [judge.endpoint and judge.endpoint.base_url for judge in fleet.reward.judges]
    assert urls == ["http://localhost:1/v1", "http://localhost:2/v1"]
    again = connect(tmp_path, [judge, Model("openai", "small", "here", base_url="http://localhost:1/v1")])
    assert (again.names, again.present) == (("small",), (judge,))
    assert len(load_fleet(tmp_path).pool) == 4


def test_a_router_that_does_not_know_the_new_ones_is_told_so(tmp_path):
    keys = {"name": "a", "backend": "openai", "model": "a", "base_url": "http://localhost:1/v1"}
    add_candidates(tmp_path, [keys], {"router": {"path": "router"}})
    connect(tmp_path, [Model("openai", "b", "here", base_url="http://localhost:1/v1")])
    router = load_fleet(tmp_path).router
    assert router.others == "profile"


def test_a_hosted_model_gets_its_list_price_with_source_and_date(tmp_path):
    url = "https://api.openai.com/v1"
    dated = Model("openai", "gpt-4o-2024-11-20", "there", base_url=url, api_key_env="OPENAI_API_KEY")
    other = Model("openai", "gpt-unheard-of", "there", base_url=url)
    local = Model("openai", "gpt-4o", "here", base_url="http://localhost:1/v1")
    connect(tmp_path, [dated, other, local])
    fleet = load_fleet(tmp_path)
    prices = [(one.usd_per_million_tokens, one.usd_per_million_prompt_tokens) for one in fleet.candidates]
    assert prices == [(10, 2.5), (None, None), (None, None)]
    text = (tmp_path / "fleet.toml").read_text()
    assert re.search(r"# List price on \d{4}-\d\d-\d\d, from genai-prices [\d.]+: compare it", text)


def test_list_prices_are_of_exact_names_at_providers_that_are_trusted_with_a_key():
    assert list_price("https://api.anthropic.com/v1", "claude-sonnet-4-5-20250929") is not None
    assert list_price("https://api.anthropic.com/v1", "my-claude-sonnet-4-5") is None
    assert list_price("https://example.org/v1", "claude-sonnet-4-5") is None
    assert list_price("", "gpt-4o") is None
    table = tomllib.loads(PRICES.read_text(encoding="utf-8"))
    assert set(table["hosts"]) <= {host for hosts in PROVIDERS.values() for host in hosts}
    assert all(0 <= price < 1000 for prices in table["hosts"].values() for pair in prices.values() for price in pair)
