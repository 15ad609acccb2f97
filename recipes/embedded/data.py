"""Training data of the embedded fleet, and the split between training and the pipeline's queries."""

from __future__ import annotations

import argparse
import ast
import gzip
import hashlib
import random
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zooter_core.backends.calculator import result
from zooter_core.base.strict_json import dump_json, parse_json

PIPELINE_SHARE = 0.35
STRONG_MODELS = ("gpt4", "gpt-3.5-turbo-1106", "claude-2", "tulu-2-dpo-13b", "text_davinci_003")
LONGEST = {"writing": 1100, "plain": 600}  # characters, so that a response ends within the demo's token limit
WRITING = re.compile(
    r"\b(write|compose|draft|poem|story|letter|e-?mail|essay|song|haiku|lyrics|speech|tweet|blog|slogan|summar|rewrite"
    r"|rephrase|paraphrase|joke|script|caption|headline|invitation)",
    re.IGNORECASE,
)
# A calculator mark of GSM8K and the number after it.
MARK = re.compile(r"<<(?P<sum>[^=<>]*)=(?P<value>[^=<>]*)>>(?P<shown>-?[\d,]*(?:\.\d+)?)")
HERE = Path(__file__).parent
FLEET = Path("models/embedded")
SETTINGS: dict[str, Any] = tomllib.loads((HERE / "settings.toml").read_text(encoding="utf-8"))
MIXED = ("everyday", "openers", "small_questions")  # kinds of terse.jsonl that belong to no single expert

Example = tuple[str, str]  # (query, response)


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options of every step: the folders of the data sets, of the fleet and of the output."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with gsm8k_train.jsonl.gz and the others")
    parser.add_argument("--fleet", type=Path, default=FLEET, help="fleet that is trained or measured")
    parser.add_argument("--work", type=Path, default=Path("runs/embedded"), help="folder for runs and figures")
    return parser


def keep(figures: Any, path: Path) -> None:
    """Write and print the figures of a step. The file marks the step as finished."""
    text = dump_json(figures, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    print(text)


def read(data: Path, name: str) -> Iterator[dict[str, Any]]:
    """The records of `data/name.jsonl.gz`."""
    with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield parse_json(line)


def in_pipeline(query: str) -> bool:
    """Whether a query is reserved for the pipeline, so that no expert or reward model is trained on it.

    The instruction is hashed without its input, so that variants of an instruction stay on one side.
    """
    instruction = query.split("\n\nInput:")[0].lower()
    text = re.sub(r"[^a-z0-9]", "", instruction)
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12 < PIPELINE_SHARE


def worked_solution(answer: str) -> str:
    """A GSM8K solution without calculator marks, with the final number in a last sentence."""
    return re.sub(r"<<.*?>>", "", answer).replace("\n#### ", "\nThe answer is ").strip() + "."


def calculated(answer: str) -> str:
    """A GSM8K solution with every marked sum written out, so that the candidate's calculator can finish it."""
    text, end = "", 0
    for mark in MARK.finditer(answer):
        text += answer[end : mark.start()]
        end = mark.end()
        value = result(mark["sum"])
        if value is None or value != result(f"{mark['value']} + 0"):
            text += mark["shown"].replace(",", "")
            continue
        unit = "$" if text.endswith("$") else ""
        head = re.sub(r"= ?$", "", text.removesuffix("$"))
        shown = re.search(r"[\d.,$()+\-*/x ]+$", head)
        if head != text and shown and result(shown.group()) == value:
            head = head[: shown.start()]
            if head and not head.endswith(("\n", " ")):
                head += " "
        elif head != text.removesuffix("$"):
            head += "= "
        spaced = re.sub(r"\s*([+*/-])\s*", r" \1 ", mark["sum"].strip())
        text = f"{head}{spaced} = {unit}{value}"
    text += answer[end:]
    return text.replace("\n#### ", "\nThe answer is ").strip() + "."


def gsm8k(data: Path, sums: int = 4) -> list[Example]:
    """Training problems with at most `sums` sums in the solution; longer ones are too hard for a small model."""
    return [
        (r["query"], calculated(r["answer"]))
        for r in read(data, "gsm8k_train")
        if not in_pipeline(r["query"]) and r["answer"].count("<<") <= sums
    ]


def codealpaca(data: Path) -> list[Example]:
    """Requests for code whose response is code, in a fence."""
    return [
        (r["query"], fenced(r["response"]))
        for r in read(data, "codealpaca")
        if not in_pipeline(r["query"]) and language(r["response"])
    ]


def python_fence(code: str) -> str:
    return f"```python\n{code}\n```"


def fenced(code: str) -> str:
    """Code in a Markdown fence with its language. Text that has a fence already, or is not code, stays unchanged."""
    name = language(code)
    return code if "```" in code or not name else f"```{name}\n{code}\n```"


def language(text: str) -> str:
    """The programming language of code without a fence; empty for prose."""
    if re.match(r"\s*(select|insert|update|delete|create|alter|with)\b", text, re.IGNORECASE) and not text.endswith(
        "."
    ):
        return "sql"
    if re.match(r"\s*(<!doctype|<[a-z]+[ >])", text, re.IGNORECASE):
        return "html"
    if re.search(r"\b(function\b.*\{|const |let |var |console\.log|=> )", text):
        return "javascript"
    if re.search(r"\b(public |private |System\.out|int main)|#include", text):
        return "java" if "System" in text or "public" in text else "cpp"
    return "python" if is_python(text) else ""


def is_python(text: str) -> bool:
    """Whether a text parses as Python and is more than a bare name, number or sentence."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call) for node in tree.body)


def alpaca_eval(data: Path, writing: bool) -> list[Example]:
    """Strong models' shorter responses to AlpacaEval's requests for writing, or to its other instructions."""
    longest = LONGEST["writing" if writing else "plain"]
    return [
        (r["query"], response)
        for r in read(data, "alpaca_eval")
        if not in_pipeline(r["query"]) and bool(WRITING.search(r["query"])) == writing
        for model in STRONG_MODELS
        if 0 < len(response := r["responses"].get(model, "").strip()) <= longest
    ]


def questions(held_back: bool) -> list[dict[str, str]]:
    """Plain questions written for this project, with `query`, `answer` and `kind`, from one side of the split."""
    return _written("questions", held_back)


def snippets(held_back: bool) -> list[dict[str, str]]:
    """Requests for shell commands, SQL and patterns written for this project, in the same form."""
    return _written("snippets", held_back)


def commands(held_back: bool) -> list[dict[str, str]]:
    """Requests for everyday commands and short code, several phrasings per answer. No router is trained on them."""
    return _written("commands", held_back)


def short_pieces(held_back: bool) -> list[dict[str, str]]:
    """Requests for a short piece of writing, with the piece, written for this project, in the same form."""
    return _written("short_pieces", held_back)


def terse() -> dict[str, list[str]]:
    """Terse and imperfect queries written for this project, by source. No expert is trained on them."""
    queries: dict[str, list[str]] = {}
    for line in _lines("terse"):
        source = line["kind"] if line["kind"] in MIXED else f"terse_{line['kind']}"
        queries.setdefault(source, []).append(line["query"])
    return queries


def _written(name: str, held_back: bool) -> list[dict[str, str]]:
    return [line for line in _lines(name) if in_pipeline(line["query"]) == held_back]


def _lines(name: str) -> list[dict[str, str]]:
    return [parse_json(line) for line in HERE.joinpath(f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def shuffled(examples: list[Example], seed: int) -> list[Example]:
    examples = list(examples)
    random.Random(seed).shuffle(examples)
    return examples
