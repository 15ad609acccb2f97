"""Verify a response by an answer key: is its final answer right, does its code pass the tests, has it the form?

A key has one or more of three fields: `answer` (`answers`), `check` (`form`) and `tests` (`code`). The benchmarks, the
recipe of the embedded fleet, and queries files with keys all use it. No judge takes part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zooter_core.evaluation.verified import answers, code, form


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a response is right, and why, in one sentence."""

    right: bool
    reason: str = ""


def verify(text: str, key: Mapping[str, Any]) -> Outcome:
    """Whether a response is right by a key: all parts of the key must hold. An empty response is wrong.

    Raises:
        SandboxError: tests need a sandbox, and this system has none.
        ZooterError: a library of `zooter[verify]` is not installed, or the key cannot be used.
    """
    if not text.strip():
        return Outcome(False, "The response is empty.")
    parts: list[tuple[form.Check, Any]] = [(answers.judged, key.get("answer"))]
    parts += [(form.CHECKS[name], value) for name, value in (key.get("check") or {}).items()]
    parts += [(code.judged, key.get("tests"))]  # last: it takes longest
    reasons = []
    for judged, value in parts:
        if value is not None:
            right, reason = judged(text, value)
            if not right:
                return Outcome(False, reason)
            reasons.append(reason)
    return Outcome(True, reasons[0] if len(reasons) == 1 else f"All {len(reasons)} parts of the key hold.")


def check_verifiable(keys: Iterable[Mapping[str, Any]]) -> None:
    """Use one key of each kind, so that what is missing here shows before the work.

    Raises:
        SandboxError, ZooterError: as `verify`.
    """
    kinds: dict[tuple[str, str], Mapping[str, Any]] = {}
    for key in keys:
        for field, value in key.items():
            for kind in ("",) if field == "tests" else value:
                kinds.setdefault((field, kind), {field: {kind: value[kind]} if field == "check" else value})
    for part in kinds.values():
        verify("return None", part)
