"""Runs sandboxes as this process's own user, and as an ordinary one.

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

from zooter_core.evaluation.sandbox.runner import Limits, Verdict, missing, run

AS_NOBODY: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []}


class ThisUser:
    """This user: root, where the tests run as root."""

    def run(self, code: str, check: str, function: str = "f", setup: str = "", **limits: float) -> Verdict:
        return run(code, check, function, setup=setup, limits=Limits(**limits))  # type: ignore[arg-type]


class Ordinary:
    """The user `nobody`, with an interpreter that it can execute and a package that it can read."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="zooter-ordinary-"))
        self.folder.chmod(0o755)
        _copy_package(self.folder)
        self._process = subprocess.Popen(
            [_interpreter(), "-c", "from sandbox_accounts import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **AS_NOBODY,
            env={"PYTHONPATH": str(self.folder)},
            cwd="/",
        )

    def ask(self, job: dict[str, object]) -> dict[str, object]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def run(self, code: str, check: str, function: str = "f", setup: str = "", **limits: float) -> Verdict:
        job = {"code": code, "check": check, "function": function, "setup": setup, "limits": limits}
        return Verdict(**self.ask(job))  # type: ignore[arg-type]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        shutil.rmtree(self.folder)


def _interpreter() -> str:
    """A Python that an ordinary user can execute: this one may lie in a folder of root's."""
    test = ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    for path in (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"):
        with suppress(OSError):
            if not subprocess.run([path, *test], env={}, cwd="/", **AS_NOBODY).returncode:
                return path
    raise RuntimeError("no Python of version 3.11 that the user nobody can execute; python3 of the system will do")


def _copy_package(folder: Path) -> None:
    source = Path(__file__).resolve().parents[2] / "zooter_core"  # here: its copy lies elsewhere
    core = folder / "zooter_core"
    (core / "evaluation").mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "evaluation/__init__.py"):
        shutil.copy(source / name, core / name)
    shutil.copytree(source / "evaluation" / "sandbox", core / "evaluation" / "sandbox")
    shutil.copy(__file__, folder / "sandbox_accounts.py")
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        if "code" in job:
            answer = asdict(ThisUser().run(job["code"], job["check"], job["function"], job["setup"], **job["limits"]))
        else:
            answer = {"user": os.getresuid(), "groups": os.getgroups(), "missing": missing()}
        print(json.dumps(answer), flush=True)
