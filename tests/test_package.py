"""The wheel, what `make demo` installs into a clone, and the documented installation from the wheel.

One environment is made, by uv and from its cache where it has one. The wheel comes into it last, outside the clone.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import urllib.request
import zipfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from support.patience import wait_until
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
UNREACHABLE = re.compile(
    "No matching distribution|Could not find a version|connection broken|Temporary failure|Failed to fetch"
)


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


def test_extras_want_the_packages_of_the_base_as_the_base_does():
    """Also on the same systems: Windows gets no llama.cpp, which could not be asked there."""
    names = {re.split("[<>=;]", entry)[0]: entry for entry in PROJECT["dependencies"]}
    shared = [entry for extra in DEPENDENCIES.values() for entry in extra if re.split("[<>=;]", entry)[0] in names]
    assert len(shared) >= 3
    assert set(shared) <= set(names.values())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with an environment as `make demo` makes it, after a first try that was interrupted."""
    home = tmp_path_factory.mktemp("home")
    place = home / "zooter"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    listed = Path(sysconfig.get_path("purelib", vars={"base": str(place)})) / "tomlkit-0.15.2.dist-info"
    assert f"tomlkit=={listed.name.split('-')[1].removesuffix('.dist')}" in (ROOT / "requirements.txt").read_text()
    listed.mkdir()
    (listed / "METADATA").write_text("Metadata-Version: 2.1\nName: tomlkit\nVersion: 0.15.2\n")
    (place / installing.BEGUN.name).touch()
    limits = place / "limits.txt"  # uv refuses these beside hashes
    limits.write_text("torch<99\n")
    variables = os.environ | {"PIP_CONSTRAINT": str(limits)}
    call = [place / "bin" / "python", ROOT / "deploy" / "install.py", "demo"]
    ended = subprocess.run(call, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    skip_if_unreachable(ended)
    assert ended.returncode == 0, ended.stdout
    assert "pip tries" not in ended.stdout
    return home


def skip_if_unreachable(ended: subprocess.CompletedProcess[str]) -> None:
    if ended.returncode and UNREACHABLE.search(ended.stdout):
        pytest.skip(f"no package registry answers: {ended.stdout.strip().splitlines()[-1]}")


BORROWED = ("PYTHONPATH", "VIRTUAL_ENV", "ZOOTER_CACHE", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZOOTER_HISTORY")


def in_terminal(home: Path, lines: str) -> subprocess.Popen[str]:
    """Lines of a page, run by somebody who has nothing of this environment but what is in `home`."""
    variables = {name: value for name, value in os.environ.items() if name not in BORROWED} | {"HOME": str(home)}
    call = ["bash", "-ec", f". ~/zooter/bin/activate\n{lines}"]
    return subprocess.Popen(call, cwd=home, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def printed(home: Path, lines: str) -> str:
    """What they print."""
    with in_terminal(home, lines) as process:
        out, _ = process.communicate()
    assert process.returncode == 0, out
    return out


def listens(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://localhost:{port}/_stcore/health") as answer:
        return answer.status == 200
    return False


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


def test_an_installation_without_pytorch_shows_every_page_and_answers(home: Path, wheel: Path) -> None:
    """First that of `make demo`, then, in the same environment, docs/install.md with the wheel."""
    python = home / "zooter" / "bin" / "python"
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "list", "--format", "json"], text=True, capture_output=True
    )
    packages = {canonical(package["name"]) for package in json.loads(listed.stdout)}
    weights = {canonical(entry.partition("==")[0]) for entry in packages_in(WEIGHT_PACKAGES)}
    assert packages - {"pip", "setuptools"} == installing.demo_packages() | weights | {"zooter"}
    assert "torch" not in packages
    variables = os.environ | {"ZOOTER_HISTORY": "off", "ZOOTER_FLEET": str(EMBEDDED_FLEET)}
    variables.pop("PYTHONPATH", None)
    drawn = subprocess.run([python, "-c", EVERY_PAGE], cwd=ROOT, env=variables, text=True, capture_output=True)
    assert drawn.stdout.split() == sorted(path.stem for path in (ROOT / "pages").glob("*.py")), drawn.stderr

    make, install, setup, demo = AS_PACKAGE[AS_PACKAGE.index("python3 -m venv") :].splitlines()
    assert make == "python3 -m venv ~/zooter && . ~/zooter/bin/activate"
    assert "python -m build --wheel" in AS_PACKAGE
    installed = printed(home, install.replace("/path/to/dist", str(wheel.parent)))
    assert "Downloading" not in installed, "what the wheel needs is what `make demo` has installed"
    assert "is ready" in printed(home, setup)
    assert "36" in printed(home, 'zooter ask "What is 15% of 240?"')
    assert Path(printed(home, "python -c 'import zooter_core as z; print(z.__file__)'")).is_relative_to(home)
    port = free_port()
    with in_terminal(home, f"exec {demo} --no-browser --port {port}") as process:  # its pages: tests/browser
        wait_until(lambda: listens(port) or process.poll() is not None)
        running = process.poll() is None
        process.terminate()
    assert running


def test_the_extras_of_the_page_can_be_installed(wheel: Path) -> None:
    """As the page says it, together, but for those with gigabytes: uv finds a version of each package."""
    assert {"serve", "torch", "quant"} <= set(EXTRAS) <= set(DEPENDENCIES)
    pytest.importorskip("uv", reason="uv could not be had when this environment was made")
    extras = [name for name, size in EXTRAS.items() if "GB" not in size]
    assert "`pip install 'zooter[serve]'`" in INSTALL
    options = installing.pip_options()
    target = ["--target", str(wheel.parent / "there"), "--dry-run", f"{wheel}[{','.join(extras)}]"]
    ended = subprocess.run(
        [*installing.UV, "install", *installing.uv_flags(options), *target],
        env=os.environ | installing.uv_variables(options), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    skip_if_unreachable(ended)
    assert ended.returncode == 0, ended.stdout
    packages = {
        canonical(line.split()[1].partition("==")[0]) for line in ended.stdout.splitlines() if line[:3] == " + "
    }
    for extra in extras:
        assert {canonical(Requirement(entry).name) for entry in DEPENDENCIES[extra]} <= packages, extra


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
