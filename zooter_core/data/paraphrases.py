"""Pairs of queries that ask the same in different words, written for this project."""

from __future__ import annotations

from pathlib import Path

from zooter_core.base.strict_json import parse_json

FILE = Path(__file__).with_name("paraphrases.jsonl")


def paraphrases() -> list[tuple[str, str]]:
    """The pairs, in the order of the file."""
    lines = map(parse_json, FILE.read_text(encoding="utf-8").splitlines())
    return [(line["query"], line["paraphrase"]) for line in lines]
