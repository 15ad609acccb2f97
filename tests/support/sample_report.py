"""A small report and a small sweep, as their files hold them.

| data set | n | a | b | router | RMR | oracle | random |
|----------|---|---|---|--------|-----|--------|--------|
| x        | 3 | 1 | 2 | 2      | 3   | 4      | 1.5    |
| y        | 1 | 5 | 3 | 4      | 5   | 6      | 4      |
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter

from zooter_core.evaluation.figures import Evaluation, Sweep, SweepRow, Verdict

Kind = TypeVar("Kind")


def as_figures(kind: type[Kind], values: dict[str, Any]) -> Kind:
    """The content of a file as figures of a kind."""
    return TypeAdapter(kind).validate_python(values)


def held_back() -> dict[str, Any]:
    """The held-back part of a report."""
    seven = ("chosen", "regret", "regret_best_single", "regret_random")
    seven += ("chosen_minus_best_single", "chosen_minus_random", "chosen_minus_rmr")
    gain = {"area": 3.0, "area_random": 3.0, "gain": 0.0, "interval": [-0.5, 0.5], "beats_random": False}
    return {
        "n": 4,
        "datasets": {
            "x": {"n": 3, "chosen": 2, "regret": 2, "oracle": 4, "random": 1.5, "candidates": {"a": 1, "b": 2}}
            | {"rmr": 3, "best_single": {"candidate": "b", "score": 2}},
            "y": {"n": 1, "chosen": 4, "regret": 2, "oracle": 6, "random": 4, "candidates": {"a": 5, "b": 3}}
            | {"rmr": 5, "best_single": {"candidate": "a", "score": 5}},
        },
        "mtr": {"router": 3.75, "a": 3.75, "b": 4.25, "rmr": 2.25, "oracle": 1.0},
        "uplift": {"router": 0.0, "a": 0.0, "b": 0.0, "rmr": 0.0, "oracle": 1.0},
        "single": {"mtr": {"router": 1.75, "a": 2.0, "b": 2.25}, "uplift": {"router": 0.5, "a": 0.5, "b": 0.5}},
        "average": {"chosen": 3.0, "regret": 2.0, "oracle": 5.0, "random": 2.75, "rmr": 4.0}
        | {"best_single": {"candidate": "a", "score": 3.0}},
        "mean": {"chosen": 2.5, "oracle": 4.5, "best_single": 2.0, "random": 2.125, "rmr": 3.5}
        | {"regret": 2.0, "regret_best_single": 2.5, "regret_random": 2.375},
        "interval": {name: [1.5, 3.0] for name in seven},
        "gap_closed": None,
        "calibration": {"ece": 0.0, "bins": []},
        "best_choice": {"router": None, "best_single": None},
        "counts": {"chosen": 4, "candidates": {"a": 4, "b": 4}},
        "verdict": {"against": "a", "difference": 0.5, "interval": [0.2, 0.8], "n": 4, "differing": 4}
        | {"significant": False, "queries_needed": None, "source": "held-back", "hindsight": False, "points": False},
        "dollars": {"chosen": 3.0, "candidates": {"a": 1.0, "b": 5.0}, "random": 3.0, "all": 6.0},
        "selection": {
            "curves": [
                {"trigger": "margin", "k": 2, **gain, "points": [
                    {"calls": 1.0, "dollars": 3.0, "score": 2.5, "threshold": 0.9},
                    {"calls": 1.5, "dollars": 4.0, "score": 3.0, "threshold": 0.4},
                    {"calls": 2.0, "dollars": 6.0, "score": 3.5, "threshold": 0.1},
                ]},
                # of an earlier version
                {"trigger": "entropy", "k": 2, **gain, "points": [{"calls": 1.0, "score": 2.5, "threshold": 0.8}]},
            ],
        },
    }  # fmt: skip


def evaluation(**parts: Any) -> Evaluation:
    """The same as figures, with other parts; a dictionary changes those of its keys."""
    figures = held_back()
    for name, part in parts.items():
        changed = isinstance(part, dict) and isinstance(figures.get(name), dict)
        figures[name] = figures[name] | part if changed else part
    return as_figures(Evaluation, figures)


SWEEP = {
    "n": 10, "folds": 2, "seeds": 1, "normalise": "none",
    "rows": [
        {"beta": 0.0, "tau": 1.0, "mean": 1.0, "interval": [0.5, 1.5], "regret": 1.0, "minus_best": [-0.5, -0.1]},
        {"beta": 0.3, "tau": 1.0, "mean": 1.3, "interval": [0.8, 1.8], "regret": 0.7, "minus_best": [0.0, 0.0]},
        {"beta": 1.0, "tau": 1.0, "mean": 1.2, "interval": [0.7, 1.7], "regret": 0.8, "minus_best": [-0.3, 0.1]},
    ],
    "best": {"beta": 0.3, "tau": 1.0}, "differs": False,
}  # fmt: skip


def sweep(*differences: tuple[float, float], taus: int = 1, verdict: Verdict | None = None) -> Sweep:
    """A sweep in which beta = 0.3 is best, and 0 and 1 differ from it by these intervals."""
    pairs = list(zip((0.3, 0.0, 1.0), [(0.0, 0.0), *differences], strict=False))
    rows = [
        SweepRow(beta=beta, tau=float(tau), mean=1.5, interval=(1.25, 2.0), regret=0.5, minus_best=minus)
        for tau in range(1, taus + 1)
        for beta, minus in pairs
    ]
    best: dict[Literal["beta", "tau"], float] = {"beta": 0.3, "tau": 1.0}
    return Sweep(n=10, folds=2, seeds=1, normalise="none", rows=rows, best=best, differs=False, verdict=verdict)


def report() -> dict[str, Any]:
    """A whole report.json."""
    source = {"n": 4, "mean_reward": {"a": 1, "b": 2}, "share_of_wins": {"a": 0.25, "b": 0.75}, "reward_entropy": 0.5}
    return {"candidates": {"all": source}, "held_back": held_back()}
