"""What the embedded fleet is trained on, and the split that keeps training off the pipeline's queries."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PIPELINE_SHARE = 0.35
STRONG_MODELS = ("gpt4", "claude-2", "gpt4_1106_preview")

Example = tuple[str, str]  # (query, response)


def read(data: Path, name: str) -> Iterator[dict[str, Any]]:
    """The records of `data/name.jsonl.gz`."""
    with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def in_pipeline(query: str) -> bool:
    """Whether a query belongs to the part that only the pipeline sees (no expert or reward model is trained on it).

    The hash is of the instruction without its input, so that variants of one instruction stay on one side.
    """
    instruction = query.split("\n\nInput:")[0].lower()
    text = re.sub(r"[^a-z0-9]", "", instruction)
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12 < PIPELINE_SHARE


def worked_solution(answer: str) -> str:
    """A GSM8K solution without calculator marks, ended by a sentence with the final number."""
    return re.sub(r"<<.*?>>", "", answer).replace("\n#### ", "\nThe answer is ").strip() + "."


def gsm8k(data: Path) -> list[Example]:
    return [
        (r["query"], worked_solution(r["answer"])) for r in read(data, "gsm8k_train") if not in_pipeline(r["query"])
    ]


def codealpaca(data: Path) -> list[Example]:
    return [(r["query"], r["response"]) for r in read(data, "codealpaca") if not in_pipeline(r["query"])]


def alpaca_eval(data: Path) -> list[Example]:
    """Responses of strong models to AlpacaEval instructions."""
    return [
        (r["query"], r["responses"][model].strip())
        for r in read(data, "alpaca_eval")
        if not in_pipeline(r["query"])
        for model in STRONG_MODELS
        if r["responses"].get(model, "").strip()
    ]


def shuffled(examples: list[Example], seed: int) -> list[Example]:
    examples = list(examples)
    random.Random(seed).shuffle(examples)
    return examples
