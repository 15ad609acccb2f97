"""Well-known families of open models: what a model's name tells about it, and its published benchmark figures.

`models/families.toml` has the table and explains its keys. A name may be Ollama's (`qwen2.5:7b-instruct-q4_K_M`), the
hub's (`Qwen/Qwen2.5-7B-Instruct`, also as vLLM serves it), or a GGUF file's (`qwen2.5-7b-instruct-q4_k_m.gguf`). A
model derived from one of them (`Hermes-3-Llama-3.1-8B`) is not recognised, since its quality differs.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from zooter_core.base.paths import FAMILIES

OF_SKILLS = {  # skill -> the benchmark that measures it
    **dict.fromkeys(("arithmetic", "word-problems"), "gsm8k"),
    "algebra": "math",
    **dict.fromkeys(("programming", "sql-and-shell", "debugging"), "humaneval"),
    **dict.fromkeys(("facts", "reasoning"), "mmlu"),
    **dict.fromkeys(("summary", "rewriting", "story", "verse", "letters", "advice"), "ifeval"),
    **dict.fromkeys(("translation", "other-languages"), "mgsm"),
}
MMLU_CHANCE, PRO_CHANCE, PRO_POWER = 0.25, 0.1, 0.61  # the power fits the models of the table that have both

ALIKE = 1.35  # sizes within this ratio count as equal: CodeGemma 7B has 8.5 billion parameters
MAKERS = "meta|meta-llama|c4ai|google|qwen|mistralai|microsoft|nvidia|ibm-granite|allenai|deepseek-ai|openai|tiiuae"
ENDING = re.compile(r"(?i)(\.gguf|-gguf)+$")
SIZE = re.compile(r"(\d+(?:\.\d+)?)([bm])", re.ASCII)
BASE = {"base", "pt", "text", "code"}
PLAIN = re.compile(  # parts of a name that do not mean a different model
    r"|a\d+(\.\d+)?b|instruct|chat|it|latest|hf|base|pt|text|code|python|reasoning|thinking|preview|tools|free|turbo"
    r"|instant|versatile|gguf|ggml|mlx|awq|gptq|exl2|bnb|onnx|qat|imat|imatrix|dynamic|unsloth|ud|quantized"
    r"|i?q\d(\.\d)*|[ksmlp0]|xs|xxs|xl|nl|(int|fp|nf|mxfp|bf|f)\d+|w\d+a\d+|\d+bit|gs?\d+"
    r"|v\d+(\.\d+)*|\d+(\.\d+)?k?|of",
    re.ASCII,
)


THINKS = re.compile(  # in names of models that think before they answer by default
    r"thinking|reason|deepseek-(r\d|v3\.[1-9]|v[4-9])|gpt-oss|gpt-[5-9]|(?<![a-z0-9])o[1-9](?![a-z0-9.])|magistral|qwq"
    r"|qwen-?3(?!.*(instruct|coder))|glm-?(4\.[5-9]|[5-9])|kimi-k2\.[5-9]|minimax-m\d|gemini-(2\.5|[3-9])|grok-(3-mini|[4-9])"
    r"|smollm-?3|seed-oss|nemotron-(super|nano|ultra|3)|exaone-deep|ernie.*thinking|step-?3"
)


@dataclass(frozen=True)
class Family:
    """What a name tells about a model of a family."""

    name: str  # a short name of the family, such as "qwen2.5-coder"
    parameters: float | None = None  # in billions, as makers round them; None if the name does not say
    routed_as: str | None = None  # its name in the router of models/open-models; None if the router does not know it
    # Published figures: benchmark -> share from 0 to 1; empty if there are none for this size.
    skills: Mapping[str, float] = field(default_factory=dict, hash=False)


def recognise(name: str, billions: float | None = None) -> Family | None:
    """The family and the size of the model with this name; None if the name is unknown.

    Args:
        billions: the parameters that the server reports, for names without a size such as `llama3.1:latest`.
    """
    plain = _plain(name)
    for entry, pattern in _table():
        if match := pattern.match(plain):
            parts = [part for part in plain[match.end() :].split("-") if part]
            words = entry.get("words", {})
            others = [part for part in parts if part not in words and not SIZE.fullmatch(part)]
            return _family(entry, parts, billions) if all(map(PLAIN.fullmatch, others)) else None
    return None


def thinks(name: str) -> bool:
    """Whether the model with this name is known to think before it answers."""
    return THINKS.search(_plain(name)) is not None


def published(family: Family) -> dict[str, float]:
    """Skill -> share from 0 to 1, from the published figures. A skill whose benchmark was not published is absent.

    OF_SKILLS maps skills to benchmarks. If MMLU was not published, it is computed from MMLU-Pro, so that chance becomes
    chance and 1 becomes 1 (16 models of the table have both; the result is within 0.08 of their MMLU).
    """
    figures = dict(family.skills)
    if "mmlu" not in figures and "mmlu-pro" in figures:
        above = max(0.0, (figures["mmlu-pro"] - PRO_CHANCE) / (1 - PRO_CHANCE))
        figures["mmlu"] = MMLU_CHANCE + (1 - MMLU_CHANCE) * above**PRO_POWER
    return {skill: figures[benchmark] for skill, benchmark in OF_SKILLS.items() if benchmark in figures}


def _plain(name: str) -> str:
    """The last part of a path in lower case, with dashes as its only separators: `Llama-3_1-8B` is llama-3.1-8b."""
    last = re.split(r"[/\\]", name.strip().rstrip("/\\"))[-1].lower()
    last = re.sub(r"(?<=\d)_(?=\d)", ".", ENDING.sub("", last))
    return re.sub(r"(?:[\s_:@-]|\.(?!\d))+", "-", last)


@cache
def _table() -> list[tuple[dict[str, Any], re.Pattern[str]]]:
    """The families of the table, each with the pattern that matches its names."""
    entries: list[dict[str, Any]] = tomllib.loads(FAMILIES.read_text(encoding="utf-8"))["family"]
    return [
        (entry, re.compile(rf"(?:(?:{MAKERS})-)?(?:{entry['pattern']})(?![a-z0-9]|\.\d)", re.ASCII))
        for entry in entries
    ]


def _family(entry: Mapping[str, Any], parts: list[str], billions: float | None) -> Family:
    size = _parameters(entry, parts) or _rounded(entry, billions)
    other = bool(re.search(entry.get("unless", r"(?!)"), "-".join(parts)))
    other = other or (not entry.get("base") and not BASE.isdisjoint(parts))
    key = "" if size is None or other else f"{size:g}"
    figures = entry.get("figures", {}).get(key, {})
    routed_as = entry.get("routed_as", {}).get(key)
    return Family(entry["name"], size, routed_as, figures)


def _parameters(entry: Mapping[str, Any], parts: list[str]) -> float | None:
    words = entry.get("words", {})
    for part in parts:  # before sizes: 17B in Llama-4-Scout-17B-16E counts active parameters
        if part in words:
            return float(words[part])
    for part in parts:
        if match := SIZE.fullmatch(part):
            return float(match[1]) / (1000 if match[2] == "m" else 1)
    return float(entry["only"]) if "only" in entry else None


def _rounded(entry: Mapping[str, Any], billions: float | None) -> float | None:
    """The table's size for a number of parameters, since makers round the sizes in names."""
    if not billions:
        return None
    sizes = map(float, {*entry.get("figures", {}), *entry.get("routed_as", {})})
    ratios = {size: max(size, billions) / min(size, billions) for size in sizes}
    near = [size for size, ratio in ratios.items() if ratio < ALIKE]
    return min(near, key=lambda size: ratios[size]) if near else billions
