"""Suite `mt-bench`: conversations of two questions (arXiv 2306.05685), whose answers a judge rates.

The release has JSON lines with `question_id`, `category`, `turns` and, for questions with a right answer, `reference`.
"""

from __future__ import annotations

from collections.abc import Sequence

from zooter_core.evaluation.suites import OPENING, RATE, Answered, Problem, Record, Suite, framed
from zooter_core.labelling.rewards import Unscored
from zooter_core.labelling.rewards.judge import read_rating

COMPARE = "Compare the answer with the reference answer, and name its mistakes. "
LAST = "What counts is the assistant's last answer. "
NAMES = ("first", "second", "third", "fourth")


class MtBench(Suite):
    """The score is the mean rating of the turns, from 1 to 10."""

    judged = True
    scale = "mean rating of the turns, 1 to 10"

    def problem(self, record: Record) -> Problem:
        turns = record.texts("turns")
        if len(turns) > len(NAMES):
            raise record.wrong(["turns"], f"at most {len(NAMES)} texts")
        references = record.get("reference") or []  # "" for a turn without one
        if not isinstance(references, list) or not all(isinstance(text, str) for text in references):
            raise record.wrong(["reference"], "a list of texts")
        about = record.text_or_none("category") or "mt-bench"
        return Problem(record.id, tuple(turns), references[: len(turns)], (about,))

    def score(self, answered: Sequence[Answered]) -> list[float]:
        places = [(row, turn) for row, (problem, _) in enumerate(answered) for turn in range(len(problem.turns))]
        prompts = [judge_prompt(*answered[row], turn) for row, turn in places]
        verdicts = self.judge.verdicts(prompts, [read_rating] * len(prompts))
        ratings: list[list[float]] = [[] for _ in answered]
        for (row, _), verdict in zip(places, verdicts, strict=True):
            ratings[row].append(verdict)
        return [_mean(row) for row in ratings]


def judge_prompt(problem: Problem, texts: Sequence[str], turn: int) -> str:
    """The judge's prompt for a turn: the conversation up to its answer, with the references."""
    several, compared = turn > 0, False
    parts = {}
    for number in range(turn + 1):
        name = f"{NAMES[number]} " if several else ""
        parts[f"The user's {name}question:"] = problem.turns[number]
        compared = any(problem.key[number : number + 1])
        if compared:
            parts[f"A reference answer to the {name}question:"] = problem.key[number]
        parts[f"The assistant's {name}answer:"] = texts[number]
    focus = (LAST if several else "") + (COMPARE if compared else "")
    return framed(OPENING, parts, RATE.replace("{focus}", focus))


def _mean(verdicts: Sequence[float]) -> float:
    for verdict in verdicts:
        if isinstance(verdict, Unscored):
            return verdict
    return sum(verdicts) / len(verdicts)
