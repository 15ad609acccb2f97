"""Verifies responses by an answer key, and ranks verified responses.

A key has one or more of three fields: `answer`, for the final answer (`answers`); `check`, for the form (`form`); and
`tests`, for code (`code`). Keys are used by the benchmarks, the recipe of the embedded fleet, and queries files. No
judge is involved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zooter_core.base.records import Ranked
from zooter_core.data.evident_keys import asks_form_alone
from zooter_core.evaluation.verified import answers, code, form

# The penalty on the reward of a response without the required form. As a log-odds, it means that this response is
# preferred over an equally good one in 12% of comparisons.
FORM_LOSS = 2.0


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a response is right, and the reason, in one sentence."""

    right: bool
    reason: str = ""


def verify(text: str, key: Mapping[str, Any]) -> Verification:
    """Whether a response is right by a key: it must satisfy all parts of the key. An empty response is wrong.

    Raises:
        SandboxError: tests need a sandbox, and this system has none.
        ZooterError: a library of `zooter[verify]` is not installed, or the key cannot be used.
    """
    if not text.strip():
        return Verification(False, "The response is empty.")
    parts: list[tuple[form.Check, Any]] = [(answers.judged, key.get("answer"))]
    parts += [(form.CHECKS[name], value) for name, value in (key.get("check") or {}).items()]
    parts += [(code.judged, key.get("tests"))]  # last, since it takes longest
    reasons = []
    for judged, value in parts:
        if value is not None:
            right, reason = judged(text, value)
            if not right:
                return Verification(False, reason)
            reasons.append(reason)
    return Verification(True, reasons[0] if len(reasons) == 1 else f"All {len(reasons)} parts of the key hold.")


def check_verifiable(keys: Iterable[Mapping[str, Any]]) -> None:
    """Try one key of each kind, so that missing libraries or a missing sandbox are reported before the work starts.

    Raises:
        SandboxError, ZooterError: as in `verify`.
    """
    kinds: dict[tuple[str, str], Mapping[str, Any]] = {}
    for key in keys:
        for field, value in key.items():
            for kind in ("",) if field == "tests" else value:
                kinds.setdefault((field, kind), {field: {kind: value[kind]} if field == "check" else value})
    for part in kinds.values():
        verify("return None", part)


def verified_ranking(ranked: Sequence[Ranked], key: Mapping[str, Any]) -> list[Ranked]:
    """The responses with their outcomes, right responses first. Equally right responses keep their order.

    If the key checks only the form, a response with this form need not be right. Then the order is that of the rewards;
    a response without the form is wrong and loses FORM_LOSS of its reward. Failed responses have no outcome, and
    responses without a reward have no rank.

    Raises:
        ZooterError: the key cannot be used on this system, as in `verify`.
    """
    judged, form_alone = [], asks_form_alone(key)
    for item in ranked:
        if item.response.error is None:
            outcome = verify(item.response.text, key)
            missing = form.lacking(item.response.text, key["check"]) if form_alone and not outcome.right else ""
            right = None if form_alone and outcome.right else outcome.right
            item = replace(item, right=right, reason=outcome.reason, lacking=missing)
        judged.append(item)

    def order(item: Ranked) -> tuple[float, int]:
        if form_alone and item.reward is not None:
            return FORM_LOSS * (item.right is False) - item.reward, item.rank or 0
        return float(not item.right), item.rank or 0

    placed = sorted((item for item in judged if item.rank is not None), key=order)
    orders = [order(item) for item in placed]
    best_first = [replace(item, rank=1 + orders.index(order(item))) for item in placed]
    return best_first + [item for item in judged if item.rank is None]
