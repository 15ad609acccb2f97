"""A package `vllm` that answers by rules, in the place of the real one, and a Python that has it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

RUN = """\
import runpy, sys
del sys.argv[:2]  # "-c" and the flag -I
sys.path.insert(0, {place!r})
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class ScriptedVllm:
    """A Python in a folder, whose `vllm` is the scripted one.

    Args:
        rules: those of vllm/__init__.py.
    """

    def __init__(self, folder: Path, **rules: Any) -> None:
        self.log = folder / "events.jsonl"
        self.rules = folder / "rules.json"
        self.python = folder / "python"
        self.set(**rules)
        code = shlex.quote(RUN.format(place=str(Path(__file__).parent)))
        self.python.write_text(f'#!/bin/sh\nSCRIPTED_VLLM={folder} exec {sys.executable} -c {code} "$@"\n')
        self.python.chmod(0o700)

    def set(self, **rules: Any) -> None:
        """Replace the rules, for engines that start from now on."""
        self.rules.write_text(json.dumps(rules))

    def events(self, kind: str) -> list[Any]:
        """What the engines noted of one kind, such as `start` or `add`."""
        if not self.log.exists():
            return []
        return [event[kind] for event in map(json.loads, self.log.read_text().splitlines()) if kind in event]
