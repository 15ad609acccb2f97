"""Titles of data sets on the Benchmark page. Reports keep the data sets' names."""

from __future__ import annotations

from dataclasses import replace

from zooter_core.evaluation.figures import Verdict

TITLES = {
    "problems": "word problems",
    "simple": "short sums in words",
    "algebra": "equations",
    "gsm8k": "GSM8K: school problems",
    "functions": "Python functions",
    "snippets": "code snippets",
    "codealpaca": "CodeAlpaca: coding tasks",
    "human_eval": "HumanEval: Python",
    "writing": "writing to a form",
    "short_pieces": "short pieces",
    "alpaca_eval": "AlpacaEval: instructions",
    "flask": "FLASK: mixed tasks",
    "questions": "plain questions",
    "routerdc_arc_challenge": "ARC: science quiz",
    "routerdc_mmlu": "MMLU: exam questions",
    "terse_chat": "questions in a few words",
    "terse_math": "sums in a few words",
    "terse_code": "code in a few words",
    "terse_writer": "texts in a few words",
    "everyday": "everyday requests",
    "openers": "what people try first",
    "verse": "poems",
    "talk": "small talk",
    "small_questions": "questions with one exact answer",
}


def title(name: str) -> str:
    """The title of one of this project's data sets; any other name is returned unchanged."""
    return TITLES.get(name, name)


def titled(verdict: Verdict) -> Verdict:
    """A verdict whose kinds of queries have their titles."""
    gains, loses = (
        [replace(kind, name=title(kind.name)) for kind in kinds] for kinds in (verdict.gains, verdict.loses)
    )
    return replace(verdict, gains=gains, loses=loses)
