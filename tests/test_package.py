"""The wheel: built from the sources, installed into a fresh environment, used outside the clone.

The environment borrows the libraries of this one; what is tried is what the wheel itself holds.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("zooter-*.whl")
    return built


@pytest.fixture(scope="module")
def zooter(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a fresh environment."""
    place = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin" / "zooter"


def run(zooter: Path, *call: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([zooter, *call], cwd=cwd, env=environment, text=True, capture_output=True, timeout=300)


def test_the_wheel_holds_the_demo_and_two_fleets(wheel: Path) -> None:
    names = {name.removeprefix("zooter_core/bundled/") for name in zipfile.ZipFile(wheel).namelist()}
    assert {
        "app.py",
        ".streamlit/config.toml",
        "requirements-weights.txt",
        "models/families.toml",
        "models/prices.toml",
    } <= names
    assert {f"pages/{path.name}" for path in (ROOT / "pages").glob("*.py")} <= names
    for folder in ("embedded", "open-models", "starter"):
        files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "models" / folder).rglob("*") if path.is_file()}
        assert len(files) >= 3
        assert files <= names
    assert "zooter_core/py.typed" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_a_fresh_environment_routes_with_the_fleet_in_the_wheel(zooter: Path, tmp_path: Path) -> None:
    python = zooter.parent / "python"
    where = subprocess.run(
        [python, "-c", "import zooter_core.base.paths as p; print(p.ROOT)"],
        cwd=tmp_path,
        text=True,
        capture_output=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(zooter.parents[1])
    ended = run(zooter, "route", "--json", "What is 15% of 240?", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["candidate"] == "math"
    assert list(tmp_path.iterdir()) == []


def test_every_pinned_version_but_that_of_pytorch_has_its_hashes():
    pins = {line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")}
    entries = (ROOT / "requirements-hashes.txt").read_text().replace("\\\n", " ").splitlines()
    hashed = {line.split()[0]: line.split()[1:] for line in entries if line and not line.startswith("#")}

    def canonical(line: str) -> str:
        return re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() + "==" + line.partition("==")[2]

    assert {canonical(line) for line in hashed} == {canonical(line) for line in pins if not line.startswith("torch==")}
    for files in hashed.values():
        assert files
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", file) for file in files)
