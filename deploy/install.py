"""Install the pinned versions into an environment, with its Python: deploy/install.py demo, or all (as `make` calls it)

uv installs them, which pip puts there first; pip itself does where there is no uv for this machine, or uv fails. What
pip is configured with holds for both. Only the standard library is used: the environment has nothing else yet.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS, HASHES, WEIGHTS = (ROOT / f"requirements{kind}.txt" for kind in ("", "-hashes", "-weights"))
PIP = [sys.executable, "-m", "pip"]
UV = [sys.executable, "-m", "uv", "pip"]
BEGUN = Path(sys.prefix) / ".installing"  # there while an installation is under way, and after one that was interrupted
SECTIONS = ("global", "install", ":env:")  # of pip's configuration: a later one wins
VARIABLES = {  # an option of pip -> a variable of uv, and what stands there between several values
    "index-url": ("UV_DEFAULT_INDEX", ""),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", ""),
    "client-cert": ("SSL_CLIENT_CERT", ""),
    "proxy": ("ALL_PROXY", ""),
}
FORMATS = ("only-binary", "no-binary")  # options of both


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def demo_packages() -> set[str]:
    """The names in the first list of requirements.txt, which a blank line ends."""
    lines = VERSIONS.read_text(encoding="utf-8").split("\n\n")[1].splitlines()
    return {canonical(line.partition("==")[0]) for line in lines if not line.startswith("#")}


def hashed(names: Iterable[str]) -> str:
    """The versions of some packages, with the hashes of their files."""
    entries = re.findall(r"^[^#\s].*(?:\n .*)*\n", HASHES.read_text(encoding="utf-8"), re.MULTILINE)
    return "".join(entry for entry in entries if canonical(entry.partition("==")[0]) in names)


def pip_options() -> dict[str, str]:
    """What pip's files and variables set for an installation."""
    listed = subprocess.run([*PIP, "config", "list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    options: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in options:
            options[section][name] = ast.literal_eval(value)
    return options["global"] | options["install"] | options[":env:"]


def uv_variables(options: dict[str, str]) -> dict[str, str]:
    """The same for uv, which does not read it. As pip does, it takes the best version of all indexes."""
    variables = {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_SYSTEM_CERTS": "true"}
    for name, (variable, separator) in VARIABLES.items():
        if values := [os.path.expanduser(value) for value in options.get(name, "").split()]:
            variables[variable] = separator.join(values)
    if "ALL_PROXY" in variables:  # weaker than these, where the machine has them
        variables |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), variables["ALL_PROXY"])
    return variables


def uv_flags(options: dict[str, str]) -> list[str]:
    """Options for which uv has no variable."""
    flags = ["--python", sys.executable]
    if options.get("no-index", "").lower() in ("1", "true", "yes", "on", "y", "t"):
        flags.append("--no-index")
    for name in FORMATS:
        for package in options.get(name, "").replace(",", " ").split():
            flags += [f"--{name}", package]
    return flags


def install(installer: Sequence[str], everything: bool, variables: dict[str, str]) -> int:
    """The demo's packages and Zooter itself, to be edited in place; then, in another call, everything else.

    Returns:
        the exit status.
    """
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder, "demo.txt")
        demo.write_text(hashed(demo_packages()), encoding="utf-8")
        listed = [word for file in (HASHES if everything else demo, WEIGHTS) for word in ("--requirement", str(file))]
        # With the versions: PyTorch, and what comes with it on this machine.
        last = ["--requirement", str(VERSIONS)] if everything else ["--no-deps", "--editable", str(ROOT)]
        for step in (["--require-hashes", "--no-deps", *listed], last):
            environment = os.environ | variables
            if "--require-hashes" in step:  # of pinned versions: uv takes no constraints for these
                environment.pop("UV_CONSTRAINT", None)
            if status := subprocess.run([*installer, *step], env=environment, check=False).returncode:
                return status
    return 0


def main() -> int:
    everything, interrupted = sys.argv[1:] == ["all"], BEGUN.exists()
    BEGUN.touch()
    pip, uv = [*PIP, "install", "--quiet"], [*UV, "install"]
    if interrupted:  # a package may lack files, although it is listed
        pip.append("--force-reinstall")
        uv.append("--reinstall")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "uv.txt")
        file.write_text(hashed({"uv"}), encoding="utf-8")
        words = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement", str(file)]
        status = subprocess.run([*pip, *words], check=False).returncode
    if not status:
        options = pip_options()
        status = install([*uv, *uv_flags(options)], everything, uv_variables(options))
    if status:
        print("uv did not install the packages: pip tries, which takes some minutes.", file=sys.stderr)
        status = install(pip, everything, {})
    if not status:
        BEGUN.unlink()
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
