"""Finds candidates that are the same model with and without thinking, and describes the cost and gain of thinking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from zooter_core.base.money import in_dollars
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import Fleet
from zooter_core.data.scores import OTHER, Scores
from zooter_core.method.thinking import AnswerTable, Thinking, worth_of_thinking


def twins(candidates: Iterable[CandidateConfig]) -> list[list[str]]:
    """Groups of candidates (by name) that are the same model of the same server with different thinking settings."""
    models: dict[tuple[str | None, ...], dict[object, str]] = {}
    for one in candidates:
        place = (one.backend, one.model, one.adapter, one.endpoint.base_url if one.endpoint else None)
        models.setdefault(place, {}).setdefault(one.thinking, one.name)
    return [list(names.values()) for names in models.values() if len(names) > 1]


def compare_thinking(answers: AnswerTable, scores: Scores, fleet: Fleet) -> list[Thinking]:
    """The gain and cost of thinking, by kind of query; empty if no candidate thinks."""
    if not np.nansum(answers.thoughts):
        return []
    kinds = [[name for name in names if name != OTHER] for names in scores.kinds]
    return worth_of_thinking(scores.candidates, answers, kinds, twins(fleet.candidates))


def sentences(rows: Sequence[Thinking]) -> list[str]:
    """Sentences on the gain and cost of thinking for each pair of candidates: on all queries, then by kind."""
    pairs: dict[tuple[str, str], list[Thinking]] = {}
    for row in rows:
        pairs.setdefault((row.thinker, row.other), []).append(row)
    lines = []
    for every, *kinds in pairs.values():
        lines.append(_headline(every))
        if kinds:
            first, *others = kinds
            earned = f"{_amount(first, ' reward per answer')}{_costs(first, ' tokens')}"
            parts = [f"on {row.kind}, {_amount(row)}{_costs(row)}" for row in others]
            lines.append(f"{'; '.join([f'On {first.kind}, thinking earned {earned}', *parts])}.")
    return lines


def _headline(row: Thinking) -> str:
    reward, low, high = row.reward, row.reward.low, row.reward.high
    if row.clear and reward.mean < 0:
        low, high = -high, -low
    mean = "" if row.clear else f"{reward.mean:+z.2f}, "
    subject = "Thinking" if row.twins else f"{row.thinker}, which thinks,"
    pair = f"{row.thinker} beside {row.other}" if row.twins else f"compared with {row.other}, which does not"
    return (
        f"{subject} earned {_amount(row, ' reward per answer')}{_costs(row, ' tokens', priced=True)}:"
        f" {pair} ({mean}95% CI {low:z.2f} to {high:z.2f}, {reward.n:,} queries)."
    )


def _amount(row: Thinking, unit: str = "") -> str:
    if not row.clear:
        return "nothing significant"
    return f"{abs(row.reward.mean):.2f} {'more' if row.reward.mean > 0 else 'less'}{unit}"


def _costs(row: Thinking, unit: str = "", priced: bool = False) -> str:
    """The additional tokens, with seconds and any dollars in parentheses; "" if tokens were not counted."""
    if row.tokens is None:
        return ""
    more, beside = row.tokens.mean, []
    if row.seconds is not None and abs(row.seconds.mean) >= 0.05:
        beside.append(f"{row.seconds.mean:.1f} s")
    if priced and row.dollars is not None and row.dollars.mean:
        beside.append(f"{in_dollars(1000 * row.dollars.mean)} dollars per 1,000")
    aside = f" ({', '.join(beside)})" if beside else ""
    return f" for {abs(more):,.0f} {'more' if more >= 0 else 'fewer'}{unit}{aside}"
