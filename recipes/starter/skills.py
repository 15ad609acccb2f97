"""Trains the skill classifier of models/starter, and measures it on queries that it has not seen.

    python -m recipes.starter.skills              train, write models/starter/skills.safetensors, measure
    python -m recipes.starter.skills --measure    measure the existing weights

The classifier learns from models/starter/queries.jsonl and from queries of the embedded fleet's recipe whose kind gives
their skill. The weight of these, the weight decay and the temperature are chosen by cross-validation on the starter
queries only.
"""

from __future__ import annotations

import argparse
import random
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recipes.embedded import data
from recipes.embedded.functions import tasks
from recipes.embedded.problems import ALGEBRA, CHAINS, SHORT, SIMPLE, problems
from zooter_core.base.jsonl import read_records
from zooter_core.base.skills import GROUPS, SKILLS
from zooter_core.base.strict_json import dump_json
from zooter_core.config.labelling import ENCODER
from zooter_core.data.curate import Benchmarks, normalise
from zooter_core.labelling.skills import WEIGHTS, WIDTH, SkillHead
from zooter_core.method.calibration import fit_temperature, log_loss, reliability
from zooter_core.method.metrics import Array
from zooter_core.router.encoder import Encoder

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "models" / "starter" / "queries.jsonl"
TESTS = ROOT / "tests" / "data"
REQUESTS = Path(__file__).with_name("requests.toml")
HELD_BACK = TESTS / "skill_queries.jsonl"
EVIDENT = ("evident_queries", "more_evident_queries", "terse_queries")
EXPERT_OF_GROUP = {"math": "math", "code": "code", "writing": "writer"}  # in the embedded fleet; the others go to chat
SEED, FOLDS, STEPS = 0, 5, 60
MOST = 120  # queries of the embedded recipe per skill
SHARES = (0.0, 0.1, 0.3, 1.0)  # weights of such a query, relative to a starter query
DECAYS = (1e-5, 3e-5, 1e-4, 3e-4)
KINDS = {  # kind of the embedded recipe's files -> skill; other kinds have no single skill
    **dict.fromkeys(("fact",), "facts"),
    **dict.fromkeys(("advice", "howto"), "advice"),
    **dict.fromkeys(("poem", "lyrics", "haiku", "limerick"), "verse"),
    **dict.fromkeys(("story", "opening", "dialogue"), "story"),
    **dict.fromkeys(("email", "letter", "message"), "letters"),
    **dict.fromkeys(("rewrite",), "rewriting"),
    **dict.fromkeys(("summary",), "summary"),
    **dict.fromkeys(("shell", "sql", "git", "powershell"), "sql-and-shell"),
    **dict.fromkeys(("javascript", "html", "css", "java", "regex", "python_script", "python_function"), "programming"),
}
PASSAGES = ("fact", "advice", "howto", "story", "email", "letter", "post", "review", "advert", "diary")
SUMS = (  # families of problems/arithmetic.toml without words around the sum
    *("plus", "minus", "three", "compare", "times", "divide", "rest", "double", "square", "power", "order"),
    *("percent", "percent_change", "part", "fraction_of", "average", "mean_four", "units"),
)
Example = tuple[str, str]  # (query, skill)


def starter() -> list[Example]:
    """The starter queries in their order, in which nearly every run of sixteen has each skill once."""
    return [(record["query"], record["dataset"]) for record in read_records(STARTER)]


def about_texts(lines: Sequence[Mapping[str, str]], programs: Sequence[str]) -> list[Example]:
    """Requests about a text or a program that they contain, MOST per skill."""
    dice = random.Random(SEED)
    sentences = [line["query"] for line in lines if line["kind"] == "talk"]
    passages = [line["answer"] for line in lines if line["kind"] in PASSAGES]
    texts_of = {"translation": sentences, "debugging": [*programs]}
    return [
        (dice.choice(requests).format(text=dice.choice(texts_of.get(skill, passages))), skill)
        for skill, requests in tomllib.loads(REQUESTS.read_text(encoding="utf-8")).items()
        for _ in range(MOST)
    ]


def generated() -> list[Example]:
    """Up to MOST queries per skill from the embedded fleet's recipe, without a sequence of words of a test query."""
    files = (data.questions, data.short_pieces, data.snippets)
    lines = [line for read in files for held_back in (False, True) for line in read(held_back)]
    examples = [(line["query"], KINDS[line["kind"]]) for line in lines if line["kind"] in KINDS]
    sums = [family for family in SHORT if family.name in SUMS]
    for skill, templates in {"arithmetic": sums, "algebra": ALGEBRA, "word-problems": (*CHAINS, *SIMPLE)}.items():
        examples += [(query, skill) for query, _ in problems(MOST, SEED, templates=templates)]
    functions = tasks(MOST, SEED, held_back=False)
    examples += [(task.query, "programming") for task in functions[: MOST // 2]]
    examples += about_texts(lines, [task.solution for task in functions[MOST // 2 :]])
    random.Random(SEED).shuffle(examples)
    tests = Benchmarks.read([HELD_BACK, *(TESTS / f"{name}.jsonl" for name in EVIDENT)])
    of_skill: dict[str, list[str]] = {skill: [] for skill in SKILLS}
    for query, skill in examples:
        if len(of_skill[skill]) < MOST and not tests.overlap(normalise(query)):
            of_skill[skill].append(query)
    return [(query, skill) for skill, queries in of_skill.items() for query in queries]


def sentence_vectors(texts: Sequence[str], encoder: Encoder) -> Array:
    """Unit sentence embeddings, shape (n, 384)."""
    return np.asarray(encoder.sentence(encoder.embed_all(texts)), dtype=np.float64)


def fit(vectors: Array, skills: Array, counts: Array, decay: float) -> SkillHead:
    """The head with the least weighted log loss plus decay times the sum of squared weights.

    Args:
        skills: the number of each query's skill, shape (n,).
        counts: the weight of each query, shape (n,).
    """
    rows, counted = torch.tensor(vectors, dtype=torch.float32), torch.tensor(counts / counts.sum(), dtype=torch.float32)
    wanted = torch.tensor(skills)
    weights, bias = torch.zeros(WIDTH, len(SKILLS), requires_grad=True), torch.zeros(len(SKILLS), requires_grad=True)
    descent = torch.optim.LBFGS([weights, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        descent.zero_grad()
        losses = torch.nn.functional.cross_entropy(rows @ weights + bias, wanted, reduction="none")
        total = (losses * counted).sum() + decay * (weights**2).sum()
        total.backward()
        return total

    descent.step(loss)
    return SkillHead(weights.detach().numpy().astype(np.float64), bias.detach().numpy().astype(np.float64))


class Trials:
    """Trains heads on starter queries and on generated queries with a given weight."""

    def __init__(self, encoder: Encoder) -> None:
        first, more = starter(), generated()
        self.size, examples = len(first), first + more
        self.vectors = sentence_vectors([query for query, _ in examples], encoder)
        self.skills = np.array([SKILLS.index(skill) for _, skill in examples])

    def head(self, share: float, decay: float, left_out: NDArray[np.intp] | None = None) -> SkillHead:
        """A head that learns from all rows except those left out; generated queries have the weight `share`."""
        counts = np.where(np.arange(len(self.skills)) < self.size, 1.0, share)
        if left_out is not None:
            counts[left_out] = 0
        used = counts > 0
        return fit(self.vectors[used], self.skills[used], counts[used], decay)

    def unseen_logits(self, share: float, decay: float) -> Array:
        """Logits of the starter queries, each from a head that has not learned from it; shape (n, 16)."""
        folds = np.arange(self.size) // len(SKILLS) % FOLDS
        logits = np.empty((self.size, len(SKILLS)))
        for fold in range(FOLDS):
            rows = np.flatnonzero(folds == fold)
            logits[rows] = self.head(share, decay, rows).logits(self.vectors[rows])
        return logits

    def best(self) -> tuple[SkillHead, dict[str, Any]]:
        """The head with the settings that have the least cross-validated log loss, and these settings."""
        wins = one_hot(self.skills[: self.size])
        trials = []
        for share in SHARES:
            for decay in DECAYS:
                logits = self.unseen_logits(share, decay)
                temperature = fit_temperature(logits, wins)
                accuracy = float((logits.argmax(axis=1) == wins.argmax(axis=1)).mean())
                loss = log_loss(logits, wins, temperature)
                trials.append(
                    {"share": share, "decay": decay, "temperature": temperature, "loss": loss} | {"accuracy": accuracy}
                )
        chosen = min(trials, key=lambda trial: trial["loss"])
        head = self.head(chosen["share"], chosen["decay"])
        figures = {"starter": self.size, "generated": len(self.skills) - self.size, "chosen": chosen, "trials": trials}
        return SkillHead(head.weights, head.bias, chosen["temperature"]), figures


def one_hot(skills: Array) -> Array:
    return np.eye(len(SKILLS))[skills]


def measure(head: SkillHead, encoder: Encoder) -> dict[str, Any]:
    """Shares of right skills and groups on the held-back queries, and of right experts on the evident ones."""
    records = list(read_records(HELD_BACK))
    skills = np.array([SKILLS.index(record["skill"]) for record in records])
    probabilities = head.probabilities(sentence_vectors([record["query"] for record in records], encoder))
    groups, chosen = group_probabilities(probabilities), probabilities.argmax(axis=1)
    group_of = group_probabilities(one_hot(skills)).argmax(axis=1)
    wins = one_hot(skills)
    figures: dict[str, Any] = {
        "held_back": len(records),
        "skill": float((chosen == skills).mean()),
        "group": float((groups.argmax(axis=1) == group_of).mean()),
        "ece": reliability(probabilities, wins).ece,
        "right_of_skill": {skill: int((chosen[skills == n] == n).sum()) for n, skill in enumerate(SKILLS)},
    }
    for name in EVIDENT:
        lines = list(read_records(TESTS / f"{name}.jsonl"))
        experts = experts_of(head.probabilities(sentence_vectors([line["query"] for line in lines], encoder)))
        figures[name] = {"n": len(lines), "right": right(experts, (line["candidate"] for line in lines))}
    return figures


def group_probabilities(probabilities: Array) -> Array:
    """The probability of each group, shape (n, groups) in the order of GROUPS, from those of skills, (n, skills)."""
    columns = [[SKILLS.index(skill) for skill in skills] for skills in GROUPS.values()]
    return np.stack([probabilities[:, numbers].sum(axis=1) for numbers in columns], axis=1)


def experts_of(probabilities: Array) -> list[str]:
    """The embedded fleet's expert for the most probable group of groups: math, code, writer, or chat for all others."""
    experts = [EXPERT_OF_GROUP.get(group, "chat") for group in GROUPS]
    names = list(dict.fromkeys(experts))
    member = np.array([[expert == name for name in names] for expert in experts], dtype=float)
    return [names[number] for number in (group_probabilities(probabilities) @ member).argmax(axis=1)]


def right(chosen: Iterable[str], wanted: Iterable[str]) -> float:
    """The share of choices that are the wanted ones."""
    return float(np.mean([one == other for one, other in zip(chosen, wanted, strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="do not train")
    call = parser.parse_args()
    torch.set_num_threads(1)
    encoder = Encoder(ENCODER)
    figures: dict[str, Any] = {}
    if not call.measure:
        head, figures = Trials(encoder).best()
        head.save(WEIGHTS)
    figures["measured"] = measure(SkillHead.load(), encoder)
    print(dump_json(figures, indent=2))


if __name__ == "__main__":
    main()
