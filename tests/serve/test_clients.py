"""Real clients over real HTTP, streamed and not. Those with an environment of their own need `make clients` first.

schemathesis reads the endpoint's own OpenAPI description: no 5xx, and every answer as described.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.patience import PATIENCE
from zooter_core.serve.keys import Key, add_key

openai = pytest.importorskip("openai", reason="OpenAI's client is not installed")

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = Path(os.environ.get("ZOOTER_CLIENTS") or ROOT / ".clients")
SUPPORT = ROOT / "tests" / "support"
QUESTION = "What is 2 + 3?"
TEXT = "Hello, I am a scripted model."
EXAMPLES = os.environ.get("ZOOTER_SCHEMATHESIS", "25")  # of each route and phase
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
MODES = pytest.mark.parametrize("mode", ["stream", "whole"])


def needs(path: Path):
    return pytest.mark.skipif(not path.exists(), reason=f"no {path.name} in {CLIENTS.name}: run `make clients`")


def output(*command: object, **environment: str) -> str:
    text = [str(part) for part in command]
    settings = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment}
    ended = subprocess.run(text, capture_output=True, text=True, timeout=PATIENCE, env=settings, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return ended.stdout


@pytest.fixture
def endpoint(serve):
    """Whose first candidate fails, so that every client also meets a fallback."""
    return serve("http-500", "good")


@pytest.fixture
def url(endpoint):
    return f"{endpoint.url}/v1"


@MODES
def test_openai_for_python(endpoint, url, mode):
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        assert "auto" in [model.id for model in client.models.list()]
        messages = [{"role": "user", "content": QUESTION}]
        if mode == "stream":
            chunks = list(client.chat.completions.create(model="auto", messages=messages, stream=True))
            text, model = "".join(chunk.choices[0].delta.content or "" for chunk in chunks), chunks[0].model
        else:
            answer = client.chat.completions.create(model="auto", messages=messages)
            text, model = answer.choices[0].message.content, answer.model
        assert (text, model) == (TEXT, endpoint.order[1])


@MODES
def test_openai_for_python_gets_its_own_exceptions(serve, mode):
    endpoint = serve("error-event", "http-400")
    with openai.OpenAI(base_url=f"{endpoint.url}/v1", api_key="none", max_retries=0) as client:
        messages = [{"role": "user", "content": QUESTION}]
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            client.chat.completions.create(model="gpt-99", messages=messages, stream=mode == "stream")
        with pytest.raises(openai.BadRequestError, match="scripted http-400"):
            client.chat.completions.create(model=endpoint.order[1], messages=messages, stream=mode == "stream")
        if mode == "stream":
            with pytest.raises(openai.APIError, match="broke off"):
                list(client.chat.completions.create(model="auto", messages=messages, stream=True))


@needs(CLIENTS / "node_modules")
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@MODES
def test_openai_for_javascript(endpoint, url, mode):
    answer = json.loads(output("node", SUPPORT / "client_calls.mjs", url, mode, CLIENTS))
    assert answer == {"text": TEXT, "model": endpoint.order[1]}


@needs(CLIENTS / "bin" / "python")
@pytest.mark.parametrize("client", ["anthropic", "litellm", "langchain"])
@MODES
def test_libraries(endpoint, url, client, mode):
    program = CLIENTS / "bin" / "python"
    settings = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # else it asks the network for prices
    answer = json.loads(output(program, SUPPORT / "client_calls.py", client, url, mode, **settings).splitlines()[-1])
    assert answer["text"] == TEXT
    assert answer["model"] == endpoint.order[1]


@needs(CLIENTS / "bin" / "python")
def test_anthropic_for_python_gets_thoughts_and_calls_of_tools(serve, scripted):
    calls = [
        {"index": place, "id": f"call_{place}", "function": {"name": "add", "arguments": arguments}}
        for place, arguments in enumerate(('{"terms": [2, 3]}', "{}"))
    ]
    deltas = [{"reasoning_content": "hm"}, {"content": "I add."}, {"tool_calls": calls}]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    scripted.streams["good"] = [f"data: {json.dumps({'choices': [choice]})}\n\n".encode() for choice in choices]
    program = CLIENTS / "bin" / "python"
    answer = json.loads(output(program, SUPPORT / "client_calls.py", "anthropic", f"{serve('good').url}/v1", "stream"))
    uses = [{"type": "tool_use", "name": "add", "input": arguments} for arguments in ({"terms": [2, 3]}, {})]
    assert answer["content"] == [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "I add."}, *uses]
    assert (answer["error"], answer["tokens"]) == ("not_found_error", 4)


@needs(CLIENTS / "bin" / "llm")
@MODES
def test_the_llm_command(url, tmp_path, mode):
    """With the settings of docs/serve.md."""
    (tmp_path / "extra-openai-models.yaml").write_text(f"- model_id: zooter\n  model_name: auto\n  api_base: {url}\n")
    options = [] if mode == "stream" else ["--no-stream"]
    reply = output(CLIENTS / "bin" / "llm", "-m", "zooter", *options, QUESTION, LLM_USER_PATH=str(tmp_path))
    assert reply.strip() == TEXT


@needs(CLIENTS / "bin" / "schemathesis")
def test_schemathesis_finds_no_fault(serve, tmp_path):
    """With an admin's key, so that every route is reached: feedback, metrics and reload too."""
    key = add_key(tmp_path / "keys.json", Key("admin", "", 0.0, admin=True))
    endpoint = serve("good", "good", options={"keys": tmp_path / "keys.json"})
    command = [CLIENTS / "bin" / "schemathesis", "run", f"{endpoint.url}/openapi.json", "--checks", CHECKS]
    command += ["--max-examples", EXAMPLES, "--header", f"Authorization: Bearer {key}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=3000, check=False)
    print(ended.stdout[-1500:])  # with `pytest -rP`: how much was tried
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    assert endpoint.client.get("/metrics", headers={"authorization": f"Bearer {key}"}).status_code == 200
