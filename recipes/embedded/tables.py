"""The tables of the embedded fleet's docs as Markdown, from the figures of a finished recipe.

python -m recipes.embedded.tables [--work runs/embedded]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zooter_core.base.strict_json import parse_json
from zooter_core.data.run_folder import REPORT

Row = tuple[str, ...]
TARGETS = {"problems": "70% (under 15%)", "gsm8k": "clearly above", "functions": "3 times the base", "python": "90%"}
ITEMS = {
    "problems": "maths expert, exact on {n} held-back problems, greedy (base)",
    "simple": "maths expert, exact on {n} held-back problems of small numbers, greedy (base)",
    "chains": "maths expert, exact on {n} held-back chains of two to five steps, greedy (base)",
    "algebra": "maths expert, exact on {n} held-back problems of school algebra, greedy (base)",
    "gsm8k": "maths expert, exact on {n} held-back GSM8K problems, greedy (base)",
    "first": "maths expert, exact on {n} held-back sums of kinds that people type first, greedy (base)",
    "functions": "code expert, {n} held-back function tasks passed (base)",
    "python": "code expert, {n} requests for Python whose code parses (base)",
    "commands": "code expert, {n} everyday commands in held-back phrasings, answered as taught (base)",
    "itself": "chat, {n} questions about itself: it names Zooter or its size (base)",
    "unknown": "chat, {n} questions that it cannot know: it says that it is too small (base)",
    "beyond_phrases": "chat, {n} translations beyond common phrases: the same (base)",
    "known": "chat, {n} easy facts: it answers (base)",
    "plain": "chat, {n} plain questions: it answers (base)",
    "reading": "chat, {n} questions about a text: it names what the text says (base)",
}
PAIRS = {
    "like": ("preferences of like length", "0.62"),
    "mismatched": ("against a response to another query", "0.95"),
    "wrong_number": ("against a wrong GSM8K solution", "0.58"),
}

KINDS = {
    "like": "GPT-4 preferences, lengths within a fifth",
    "mismatched": "against a response to another query of the field",
    "refused": "a plain question's answer, against saying that one is too small to know",
    "flask_short": "GPT-4's answers to FLASK's queries under 200 characters, against one to another query",
    "flask_long": "the same, to its longer queries",
    "human_eval": "a solution to one of HumanEval's tasks, against one to another task (no such pairs were trained on)",
    "broken": "against itself cut off, looping or shuffled",
    "wrong_number": "against a GSM8K solution with wrong numbers",
}


def table(head: Sequence[str], rows: Iterator[Row], right: int = 1) -> str:
    """A Markdown table; columns from `right` on are right-aligned."""
    line = ["---" if n < right else "---:" for n in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, line, *rows)) + "\n"


def share(value: float, places: int = 1) -> str:
    return f"{value * 100:.{places}f}%"


def bars(workspace: Path) -> Iterator[Row]:
    """Every target with its figure and command."""
    for field in ("math", "code", "chat"):
        yield from skill_bars(field, figures_of(workspace, f"skills-{field}"))
    figures = figures_of(workspace, "figures")
    yield from expert_bars(figures)
    yield from reward_bars(figures, figures_of(workspace, "reward-accuracy")["held_back"])
    yield from router_bars(figures["router"])


def figures_of(workspace: Path, name: str) -> Any:
    return parse_json((workspace / f"{name}.json").read_text(encoding="utf-8"))


def command(name: str) -> str:
    return f"`python -m recipes.embedded.{name} --data $DATA`"


def skill_bars(field: str, figures: Mapping[str, Any]) -> Iterator[Row]:
    """How many held-back problems of its field an expert solves, beside the base."""
    for item, of in figures.items():
        name = ITEMS[item].format(n=of["n"])
        yield name, TARGETS.get(item, ""), f"{share(of[field])} ({share(of['base'])})", command("skills")


def expert_bars(figures: Mapping[str, Any]) -> Iterator[Row]:
    """How often each expert is the best, and how close its responses are to references."""
    for expert in ("math", "code", "writer", "chat"):
        wins_in_field = figures["wins"][expert]
        name = f"`{expert}` best in its field, by mean reward (n = {wins_in_field['n']})"
        yield name, "60%", share(wins_in_field["best"]), command("figures")
    names = list(figures["wins"]["all"])
    wins = ", ".join(share(figures["wins"]["all"][name], 0) for name in names)
    yield f"wins over all: {', '.join(names)}", "10% each", wins, command("figures")
    for field in ("writer", "chat"):
        near = ", ".join(f"{figures['closeness'][field][name]:.2f}" for name in names)
        name = f"closeness to references in `{field}`'s field: {', '.join(names)}"
        yield name, f"`{field}` first", near, command("figures")


def reward_bars(figures: Mapping[str, Any], accuracy: Mapping[str, Any]) -> Iterator[Row]:
    """How well the reward model tells better responses from worse ones, and whether it prefers long ones."""
    for kind, (name, target) in PAIRS.items():
        yield f"reward model, {name}", target, f"{accuracy[kind]['accuracy']:.3f}", command("reward accuracy")
    agreed = figures["agreement"]
    kinds = ", ".join(f"{name} ({value['pairs']} pairs)" for name, value in agreed.items())
    values = ", ".join(share(value["agree"], 0) for value in agreed.values())
    yield f"reward model, right above wrong among the fleet's own: {kinds}", "75%", values, command("figures")
    for key, name, target in (
        ("all", "correlation of reward and length inside a field, over all responses", "under .2"),
        ("inside_a_candidate", "the same inside a candidate's responses", ""),
    ):
        lengths = figures["length_correlation"]
        values = ", ".join(f"{field[key]:+.2f}" for field in lengths.values())
        yield f"{name}: {', '.join(lengths)}", target, values, command("figures")


def router_bars(router: Mapping[str, Any]) -> Iterator[Row]:
    """What the router gains over the best single candidate."""
    low, high = router["minus_best_single"]
    best = f"regret of the router, best single ({router['best_single']}), n = {router['n']}"
    yield best, "half", f"{router['regret']:.3f}, {router['regret_best_single']:.3f}", command("figures")
    yield "reward of the router minus the best single's, 95%", "above 0", f"{low:.3f} to {high:.3f}", command("figures")
    yield "gap from the best single to the oracle closed", "40%", share(router["gap_closed"], 0), command("figures")


def task_ranks(held_back: Mapping[str, Any]) -> Iterator[Row]:
    """MTR and %Uplift of each method over the sources of held-back queries, as in the paper's Table 1."""
    single = held_back["single"]
    for name in held_back["mtr"]:
        cells = [f"{held_back['mtr'][name]:.2f}", share(held_back["uplift"][name], 0)]
        more = [f"{single['mtr'][name]:.2f}", share(single["uplift"][name], 0)] if name in single["mtr"] else ["", ""]
        yield name, *cells, *more


def sources(figures: Mapping[str, Any]) -> Iterator[Row]:
    """Mean reward and share of wins of each candidate, by source."""
    for source, of in figures.items():
        cells = [f"{mean:.2f} ({share(of['share_of_wins'][name], 0)})" for name, mean in of["mean_reward"].items()]
        yield source, str(of["n"]), *cells, f"{of['reward_entropy']:.2f}"


def regrets(held_back: Mapping[str, Any]) -> Iterator[Row]:
    """Regret of the router, the best single candidate and chance, with intervals."""
    best = f"{held_back['average']['best_single']['candidate']}, the best single candidate"
    for name, key in (("router", "regret"), (best, "regret_best_single"), ("random", "regret_random")):
        low, high = held_back["interval"][key]
        yield name, f"{held_back['mean'][key]:.3f} ({low:.3f} to {high:.3f})"


def accuracies(figures: Mapping[str, Any]) -> Iterator[Row]:
    for kind, of in figures.items():
        yield KINDS[kind], str(of["pairs"]), f"{of['accuracy']:.3f}", f"{of['longer_is_chosen']:.3f}"


def losses(folder: Path) -> Iterator[Row]:
    for path in sorted(folder.glob("*.json")):
        of = parse_json(path.read_text(encoding="utf-8"))
        before, after = f"{of['loss_before']:.3f}", f"{of['loss_after']:.3f}"
        yield path.stem.replace("-", ", turn "), str(of["examples"]), f"{of['tokens']:,}", before, after


def betas(sweep: Mapping[str, Any]) -> Iterator[Row]:
    for row in sweep["rows"]:
        minus = "" if row["minus_best"] == [0.0, 0.0] else "{:.3f} to {:.3f}".format(*row["minus_best"])
        interval = "{:.3f} to {:.3f}".format(*row["interval"])
        yield f"{row['beta']:g}", f"{row['mean']:.3f}", interval, f"{row['regret']:.3f}", minus


def tables(workspace: Path) -> Iterator[str]:
    """Every table, in the order of the docs."""
    report = parse_json((workspace / "run" / REPORT).read_text(encoding="utf-8"))
    held_back, pool = report["held_back"], list(report["candidates"]["all"]["mean_reward"])
    accuracy = figures_of(workspace, "reward-accuracy")["held_back"]
    sweep = figures_of(workspace, "sweep")
    yield table(("bar", "asked", "figure", "command"), bars(workspace), 2)
    yield table(("method", "MTR", "%Uplift", "MTR, one call a query", "%Uplift, one call"), task_ranks(held_back))
    yield table(("beta", "mean reward", "95% interval", "regret", "minus the best beta, 95%"), betas(sweep), 0)
    yield table(("expert", "examples", "tokens", "loss before", "after"), losses(workspace / "experts"))
    head = ("held-back pairs", "pairs", "the better one has the higher reward", "the better one is the longer")
    yield table(head, accuracies(accuracy))
    yield table(("source", "queries", *pool, "reward entropy"), sources(report["candidates"]))
    yield table(("choice", "regret, mean a query (95% bootstrap interval)"), regrets(held_back))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/embedded"))
    call = parser.parse_args()
    try:
        print("\n".join(tables(call.work)))
    except FileNotFoundError as problem:
        missing = f"Expected the figures of a finished recipe in {call.work}, but found no {problem.filename}."
        sys.exit(f"{missing} Run `python -m recipes.embedded.make` first.")


if __name__ == "__main__":
    main()
