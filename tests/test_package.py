"""The wheel, built from the sources and used outside the clone; and what `make demo` installs into a clone.

An environment that borrows the libraries of this one tries what the wheel itself holds.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
import time
import tomllib
import urllib.request
import zipfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from support.patience import PATIENCE
from support.ports import free_port
from zooter_core.base.paths import EMBEDDED_FLEET, WEIGHT_PACKAGES
from zooter_core.base.weights import packages_in

ROOT = Path(__file__).resolve().parents[1]
INSTALL = (ROOT / "docs" / "install.md").read_text()
AS_PACKAGE = re.search(r"## As a package\n.*?```sh\n(.*?)```", INSTALL, re.DOTALL)[1]
ROWS = re.findall(r"^\| `(\w+)` \|.*\| (.+?) \|$", INSTALL.partition("### Extras")[2], re.MULTILINE)
EXTRAS = {name: size for name, size in ROWS if re.match(r"\d|several", size)}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = PROJECT["optional-dependencies"]
_spec = importlib.util.spec_from_file_location("installing", ROOT / "deploy" / "install.py")
installing = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(installing)
canonical = installing.canonical
UNREACHABLE = re.compile("No matching distribution|Could not find a version|connection broken|Temporary failure")


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


class Newcomer:
    """Follows docs/install.md in a home folder that is empty, with nothing of this environment but its Python."""

    def __init__(self, home: Path, wheel: Path) -> None:
        cache = subprocess.run([sys.executable, "-m", "pip", "cache", "dir"], text=True, capture_output=True)
        borrowed = ("PYTHONPATH", "VIRTUAL_ENV", "ZOOTER_CACHE", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZOOTER_HISTORY")
        self.variables = {name: value for name, value in os.environ.items() if name not in borrowed}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.variables |= {"HOME": str(home), "PATH": path, "PIP_CACHE_DIR": cache.stdout.strip()}
        self.home, self.wheel = home, wheel

    def types(self, lines: str, activated: bool = True) -> str:
        """What lines of the page print, in the environment that the page makes."""
        lines = lines.replace("/path/to/dist", str(self.wheel.parent))
        call = ["bash", "-ec", f". ~/zooter/bin/activate\n{lines}" if activated else lines]
        ended = subprocess.run(
            call, cwd=self.home, env=self.variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if ended.returncode and "pip" in lines and UNREACHABLE.search(ended.stdout):
            pytest.skip(f"no package registry answers: {ended.stdout.strip().splitlines()[-1]}")
        assert ended.returncode == 0, ended.stdout
        return ended.stdout


@pytest.fixture(scope="module")
def newcomer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """After the lines of "As a package" up to `zooter demo`; those that build the wheel have been followed."""
    one = Newcomer(tmp_path_factory.mktemp("home"), wheel)
    lines = AS_PACKAGE[AS_PACKAGE.index("python3 -m venv") :]
    installing, demo = lines.split("zooter setup", 1)
    one.types(installing, activated=False)
    assert demo.split()[-2:] == ["zooter", "demo"]
    assert "is ready" in one.types("zooter setup")
    return one


@pytest.mark.slow
def test_the_documented_light_install_answers(newcomer: Newcomer) -> None:
    assert "python -m build --wheel" in AS_PACKAGE
    assert "36" in newcomer.types('zooter ask "What is 15% of 240?"')
    newcomer.types("zooter check")
    assert newcomer.types("pip list").lower().split().count("torch") == 0


@pytest.mark.slow
def test_so_does_its_demo(newcomer: Newcomer) -> None:
    """Until it listens: what its pages show is tests/browser's."""
    port = free_port()
    program = newcomer.home / "zooter" / "bin" / "zooter"
    call = [program, "demo", "--no-browser", "--port", str(port)]
    with subprocess.Popen(call, cwd=newcomer.home, env=newcomer.variables, stderr=subprocess.PIPE) as demo:
        try:
            deadline = time.monotonic() + PATIENCE
            while demo.poll() is None and time.monotonic() < deadline:
                with suppress(OSError), urllib.request.urlopen(f"http://localhost:{port}/_stcore/health") as answer:
                    assert answer.status == 200
                    return
                time.sleep(0.2)
            pytest.fail(f"the demo does not listen: {demo.poll()}")
        finally:
            demo.terminate()


@pytest.mark.slow
def test_the_extras_of_the_page_can_be_installed(newcomer: Newcomer) -> None:
    """As the page says it, together, but for those with gigabytes."""
    extras = [name for name, size in EXTRAS.items() if "GB" not in size]
    call = re.search(r"`(pip install 'dist/zooter-\S+\[ray\]')`", INSTALL)[1]
    newcomer.types(call.replace("dist/", "/path/to/dist/").replace("[ray]", f"[{','.join(extras)}]"))
    packages = [line.split()[0].replace("_", "-") for line in newcomer.types("pip list").lower().splitlines()]
    for extra in extras:
        assert {re.split(r"[<>=;\[]", entry)[0] for entry in DEPENDENCIES[extra]} <= set(packages), extra


def test_the_page_names_extras_that_there_are() -> None:
    assert {"serve", "torch", "quant"} <= set(EXTRAS) <= set(DEPENDENCIES)


def test_every_pinned_version_but_that_of_pytorch_has_its_hashes():
    pins = {line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")}
    entries = (ROOT / "requirements-hashes.txt").read_text().replace("\\\n", " ").splitlines()
    hashed = {line.split()[0]: line.split()[1:] for line in entries if line and not line.startswith("#")}

    def pinned(line: str) -> str:
        return canonical(line.partition("==")[0]) + "==" + line.partition("==")[2]

    assert {pinned(line) for line in hashed} == {pinned(line) for line in pins if not line.startswith("torch==")}
    for files in hashed.values():
        assert files
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", file) for file in files)


def needed(requirements: list[str]) -> set[str]:
    """The packages that requirements bring to this machine, with all that these bring."""
    names: set[str] = set()
    waiting = [Requirement(entry) for entry in requirements]
    while waiting:
        requirement = waiting.pop()
        extras = {"", *requirement.extras}
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            more = [Requirement(entry) for entry in metadata.requires(requirement.name) or ()]
            for one in more:
                if one.marker and any(one.marker.evaluate({"extra": extra}) for extra in extras):
                    one.marker = None
            name = canonical(requirement.name)
            if name not in names or requirement.extras:
                waiting += more
            names.add(name)
    return names


def test_the_list_of_the_demo_is_what_the_base_package_needs() -> None:
    assert installing.demo_packages() == needed(PROJECT["dependencies"]) | {"uv"}


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment as `make demo` makes it, after a first try that was interrupted."""
    place = tmp_path_factory.mktemp("light") / "venv"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    listed = Path(sysconfig.get_path("purelib", vars={"base": str(place)})) / "tomlkit-0.15.2.dist-info"
    assert f"tomlkit=={listed.name.split('-')[1].removesuffix('.dist')}" in (ROOT / "requirements.txt").read_text()
    listed.mkdir()
    (listed / "METADATA").write_text("Metadata-Version: 2.1\nName: tomlkit\nVersion: 0.15.2\n")
    (place / installing.BEGUN.name).touch()
    python = place / "bin" / "python"
    limits = place / "limits.txt"  # uv refuses these beside hashes
    limits.write_text("torch<99\n")
    variables = os.environ | {"PIP_CONSTRAINT": str(limits)}
    call = [python, ROOT / "deploy" / "install.py", "demo"]
    ended = subprocess.run(call, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if ended.returncode and UNREACHABLE.search(ended.stdout):
        pytest.skip(f"no package registry answers: {ended.stdout.strip().splitlines()[-1]}")
    assert ended.returncode == 0, ended.stdout
    assert "pip tries" not in ended.stdout
    return python


EVERY_PAGE = """
import pkgutil, sys
from importlib import import_module
from pathlib import Path
from streamlit.testing.v1 import AppTest
import zooter_core.ui
for module in pkgutil.walk_packages(zooter_core.ui.__path__, "zooter_core.ui."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
for file in sorted(Path("pages").glob("*.py")):
    page = AppTest.from_file(str(file), default_timeout=600).run()
    assert not page.exception, (file, page.exception)
    print(file.stem)
"""


@pytest.mark.slow
def test_make_demo_installs_what_its_pages_need_and_no_more(light: Path, tmp_path: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--python", light, "list", "--format", "json"], text=True, capture_output=True
    )
    packages = {canonical(package["name"]) for package in json.loads(listed.stdout)}
    weights = {canonical(entry.partition("==")[0]) for entry in packages_in(WEIGHT_PACKAGES)}
    assert packages - {"pip", "setuptools"} == installing.demo_packages() | weights | {"zooter"}
    assert "torch" not in packages
    variables = os.environ | {"ZOOTER_HISTORY": "off", "ZOOTER_FLEET": str(EMBEDDED_FLEET)}
    variables.pop("PYTHONPATH", None)
    drawn = subprocess.run([light, "-c", EVERY_PAGE], cwd=ROOT, env=variables, text=True, capture_output=True)
    assert drawn.stdout.split() == sorted(path.stem for path in (ROOT / "pages").glob("*.py")), drawn.stderr
    ended = run(light.parent / "zooter", "ask", "What is 15% of 240?", cwd=tmp_path)
    assert "36" in ended.stdout, ended.stderr


def test_uv_installs_from_where_pip_is_configured_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that another index has alone, such as PyTorch's for processors, and one that lies in a folder."""
    pytest.importorskip("uv", reason="uv could not be had when this environment was made")
    for folder, name, version in (
        ("first/simple/torchlike", "torchlike", "1.0"),
        ("second/simple/torchlike", "torchlike", "1.0+cpu"),
        ("second/simple/torchlike", "torchlike", "1.1"),
        ("links", "rare", "2.0"),
    ):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        wheel = tmp_path / folder / f"{name}-{version}-py3-none-any.whl"
        about = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{about}/RECORD", "")
        page = "".join(f'<a href="{file.name}">{file.name}</a>\n' for file in (tmp_path / folder).glob("*.whl"))
        (tmp_path / folder / "index.html").write_text(page)
    (tmp_path / "limits.txt").write_text("torchlike<1.1\n")
    indexes = [(tmp_path / part / "simple").as_uri() for part in ("first", "second")]
    (tmp_path / "pip.conf").write_text(
        f"[global]\nindex-url = http://192.0.2.1/\nextra-index-url =\n    {indexes[1]}\n"
        f"[install]\nindex-url = {indexes[0]}\nconstraint = {tmp_path / 'limits.txt'}\n"
    )
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("PIP_TRUSTED_HOST", "one.example two.example")
    options = installing.pip_options()
    variables = installing.uv_variables(options)
    assert variables["SSL_CERT_FILE"] == str(tmp_path / "ca.pem")
    assert variables["UV_INSECURE_HOST"] == "one.example two.example"
    target = ["--target", str(tmp_path / "there"), "--dry-run", "--no-cache"]
    call = [*installing.UV, "install", *installing.uv_flags(options), *target, "torchlike", "rare"]
    del variables["SSL_CERT_FILE"]  # there is no such file
    ended = subprocess.run(call, env=os.environ | variables, text=True, capture_output=True)
    assert "torchlike==1.0+cpu" in ended.stderr, ended.stderr
    assert "rare==2.0" in ended.stderr

    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_ONLY_BINARY", ":all:")
    flags = installing.uv_flags(installing.pip_options())
    assert flags[2:] == ["--no-index", "--only-binary", ":all:"]


def test_pip_installs_where_uv_cannot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As where there is no wheel of uv, or a certificate that uv does not take."""
    monkeypatch.setattr(installing, "BEGUN", tmp_path / "begun")
    monkeypatch.setattr(installing, "hashed", lambda names: "")
    monkeypatch.setattr(installing, "PIP", [sys.executable, "-c", "import sys; print(sys.argv[1:])"])
    calls: list[list[str]] = []

    def install(installer: list[str], everything: bool, variables: dict[str, str]) -> int:
        calls.append(installer)
        return 2 if installer[: len(installing.UV)] == installing.UV else 0

    monkeypatch.setattr(installing, "install", install)
    assert installing.main() == 0
    assert [call[-1] for call in calls] == [sys.executable, "--quiet"]
    assert not installing.BEGUN.exists()
