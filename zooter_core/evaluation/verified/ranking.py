"""What verified outcomes change: the order of ranked responses; and whether all keys of a file can be used here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from zooter_core.base.records import Ranked
from zooter_core.evaluation.verified import verify


def verified_ranking(ranked: Sequence[Ranked], key: Mapping[str, Any]) -> list[Ranked]:
    """Responses with their outcomes: the right ones first, and those that are equally right as they were ranked.

    Responses that failed have no outcome, and those without a reward still no rank.

    Raises:
        ZooterError: the key cannot be used here, as `verify` says.
    """
    judged = []
    for item in ranked:
        if item.response.error is None:
            outcome = verify(item.response.text, key)
            item = replace(item, right=outcome.right, reason=outcome.reason)
        judged.append(item)
    placed = sorted((item for item in judged if item.rank is not None), key=lambda item: not item.right)
    places = {id(item): replace(item, rank=rank) for rank, item in enumerate(placed, 1)}
    return [*places.values(), *(item for item in judged if id(item) not in places)]


def check_verifiable(keys: Iterable[Mapping[str, Any]]) -> None:
    """Use one key of each kind, so that what is missing here shows before the work.

    Raises:
        ZooterError: a library or the sandbox is missing.
    """
    kinds: dict[Any, Mapping[str, Any]] = {}
    for key in keys:
        kinds.setdefault((tuple(key), tuple(key.get("check", ()))), key)
    for key in kinds.values():
        for field, value in key.items():
            for part in [{name: content} for name, content in value.items()] if field == "check" else [value]:
                verify("return None", {field: part})
