"""Suite `flask`: instructions with the skills that they need (arXiv 2307.10928), which a judge rates one by one.

The release has JSON lines with `text` (or `instruction`), `answer` (a reference, may be null) and `metrics`, the
skills. The judge ends with a Python or JSON dictionary of skill and score, as the paper's prompt asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from zooter_core.evaluation.suites import OPENING, Answered, Problem, Record, Suite, framed

SKILLS = {
    "logical robustness": "does the reasoning hold in every case, without steps that contradict each other?",
    "logical correctness": "is the final answer right, where there is one right answer?",
    "logical efficiency": "is the reasoning free of steps that are not needed?",
    "factuality": "are the facts right, and backed where they need it?",
    "commonsense understanding": "does it fit how the world and people are?",
    "comprehension": "does it do all that was asked, also what is asked between the lines?",
    "insightfulness": "is there something new or original in it?",
    "completeness": "does it explain enough, in breadth and in depth?",
    "metacognition": "does it say what it is not sure of, or cannot do?",
    "readability": "is it well ordered and easy to read?",
    "conciseness": "is it short, without what the reader does not need?",
    "harmlessness": "is it free of harm, bias and danger?",
}
ENDING = """\
Rate the answer in each of these skills, by itself, with a whole number from 1 (very poor) to 5 (excellent), or "N/A" \
where the skill does not apply:
{skills}

First explain in a sentence or two a skill. Then end with one line that holds a dictionary of skill and score, in \
exactly this form:
{form}"""
ENTRY = re.compile(
    r"""(?<![A-Za-z_ ])([A-Za-z_ ]++)["']?\s*+:\s*+["']?([1-5](?:\.\d+)?(?![\d.])|n/?a\b|not applicable)""", re.I
)
MOST = 5


class Flask(Suite):
    """The score is the mean over a record's skills, from 1 to 5."""

    judged = True
    scale = "mean over skills, 1 to 5"

    def problem(self, record: Record) -> Problem:
        skills = record.texts("metrics", "skill")
        query, reference = record.text("text", "instruction", "query"), record.text_or_none("answer", "reference")
        return Problem(record.id, (query,), {"reference": reference, "skills": skills}, tuple(skills))

    def score(self, answered: Sequence[Answered]) -> list[float]:
        prompts = [judge_prompt(problem, texts[0]) for problem, texts in answered]
        readers = [partial(mean_of, skills=problem.key["skills"]) for problem, _ in answered]
        return self.judge.verdicts(prompts, readers)


def judge_prompt(problem: Problem, response: str) -> str:
    """The judge's prompt, with the reference if the file has one."""
    skills = problem.key["skills"]
    lines = [f"- {name}: {SKILLS.get(_plain(name), 'as the word says.')}" for name in skills]
    parts = {"The user wrote:": problem.turns[0]}
    if problem.key["reference"]:
        parts["A good answer, for reference, is:"] = problem.key["reference"]
    parts["The assistant answered:"] = response
    form = "{" + ", ".join(f'"{name}": 3' for name in skills) + "}"
    return framed(OPENING, parts, ENDING.replace("{skills}", "\n".join(lines)).replace("{form}", form))


def mean_of(text: str, skills: Sequence[str]) -> float | None:
    """The mean of the scores in the last dictionary of a judge's text, without skills that do not apply.

    None if there is no dictionary, a skill is missing in it, or none applies.
    """
    dictionaries = re.findall(r"\{[^{}]*\}", text)
    entries = {_plain(name): value for name, value in ENTRY.findall(dictionaries[-1])} if dictionaries else {}
    if any(_plain(name) not in entries for name in skills):
        return None
    scores = [float(entries[_plain(name)]) for name in skills if entries[_plain(name)][0].isdigit()]
    return sum(scores) / len(scores) if scores and max(scores) <= MOST else None


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").lower().split())
