"""Runs sandboxes as this process's own user, and as an ordinary one, and makes attempts to get out of them.

As a program it is the other end of `Ordinary`: it reads a job a line, and writes its verdict.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zooter_core.evaluation.sandbox.runner import CheckResult, Limits, missing, run

# Runs a program with no further user namespaces: what a system administrator or a container forbids.
WITHOUT_NAMESPACES = ["unshare", "--user", "--map-root-user", "sh", "-c"]
WITHOUT_NAMESPACES += ['echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"', "-"]
AS_NOBODY: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []}
# What attempts may use: `call` runs a system call by its number, as code with ctypes can.
BEFORE = """
import ctypes, os, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)

def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def call(number, *arguments):
    return checked(libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)))

def f(number, given):
    return globals()[f"f{number}"](given)
"""
# Makes one attempt after the other; of each must come an error.
REFUSAL = """
wrong = []
for number in range({count}):
    try:
        result = f(number, {argument!r})
    except Exception as problem:
        result = type(problem).__name__
        if result in {names!r}:
            continue
    wrong.append((number, result))
assert not wrong, wrong
"""


class ThisUser:
    """This user: root, where the tests run as root."""

    user = 61184 if os.geteuid() == 0 else 65534  # inside

    def run(self, code: str, check: str, function: str = "f", setup: str = "", **limits: float) -> CheckResult:
        return run(code, check, function, setup=setup, limits=Limits(**limits))  # type: ignore[arg-type]

    def passes(self, code: str, check: str, **limits: float) -> None:
        verdict = self.run(code, check, **limits)
        assert verdict.passed, verdict.reason

    def refuses(self, bodies: list[str], names: str, argument: object = None) -> None:
        """Every body of a function that knows `given` fails, with one of the exceptions that are named."""
        functions = (
            f"def f{number}(given):\n    " + body.replace("\n", "\n    ") for number, body in enumerate(bodies)
        )
        check = REFUSAL.format(count=len(bodies), argument=argument, names=names.split())
        self.passes("\n".join([BEFORE, *functions]), check, seconds=60)


class Ordinary(ThisUser):
    """The user `nobody`, with an interpreter that it can execute and a package that it can read."""

    user = 65534

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="zooter-ordinary-"))
        source, core = Path(__file__).resolve().parents[2] / "zooter_core", self.folder / "zooter_core"
        shutil.copytree(source / "evaluation" / "sandbox", core / "evaluation" / "sandbox")
        for name in ("__init__.py", "base/__init__.py", "base/errors.py", "evaluation/__init__.py"):
            (core / name).parent.mkdir(exist_ok=True)
            shutil.copy(source / name, core / name)
        shutil.copy(__file__, self.folder)
        subprocess.run(["chmod", "-R", "a+rX", str(self.folder)], check=True)
        self._process = subprocess.Popen(
            [_interpreter(), "-c", "from sandboxes import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **AS_NOBODY,
            env={"PYTHONPATH": str(self.folder), "PATH": os.defpath},
            cwd="/",
        )

    def ask(self, job: dict[str, object]) -> dict[str, object]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def run(self, code: str, check: str, function: str = "f", setup: str = "", **limits: float) -> CheckResult:
        job = {"code": code, "check": check, "function": function, "setup": setup, "limits": limits}
        return CheckResult(**self.ask(job))  # type: ignore[arg-type]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        shutil.rmtree(self.folder)


def _interpreter() -> str:
    """A Python that an ordinary user can execute: this one may lie in a folder of root's."""
    test = ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    for path in (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"):
        with suppress(OSError):
            if not subprocess.run([path, *test], env={}, cwd="/", **AS_NOBODY).returncode:
                return path
    raise RuntimeError("no Python of version 3.11 that the user nobody can execute; python3 of the system will do")


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        if "code" in job:
            answer = asdict(ThisUser().run(job["code"], job["check"], job["function"], job["setup"], **job["limits"]))
        else:
            answer = {"user": os.getresuid(), "groups": os.getgroups(), "missing": missing()}
        print(json.dumps(answer), flush=True)
