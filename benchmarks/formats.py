"""Public benchmarks as score files, and how many choices survive harmless edits.

    python benchmarks/formats.py alpacaeval results/MODEL... --out FILE [--annotator JUDGE]
    python benchmarks/formats.py routerdc FILE... --out FILE
    python benchmarks/formats.py llmrouterbench DIR... --out FILE
    python benchmarks/formats.py routerbench FILE.csv... --out FILE
    python benchmarks/formats.py robustness SCORES [--router DIR] [--queries 300] [--seeds 2]

The first four write score files, without queries for which a model has no score. `robustness` tests the router in a
folder on all queries. Without a folder, it trains routers of the kind `zooter` on four fifths of the queries and tests
them on a sample of the last fifth; `score` is then the mean score over the whole last fifth.
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
import math
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from score_file import ENCODER, trained

from zooter_core.base.errors import ZooterError
from zooter_core.base.files import open_atomic
from zooter_core.base.strict_json import dump_json
from zooter_core.base.weights import quiet_libraries
from zooter_core.data.json_records import each_record, json_files, open_text
from zooter_core.data.scores import paraphrases, read_scores
from zooter_core.router.clusters import cluster_tags
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import DistillConfig
from zooter_core.router.router import DistilledRouter, Router

Line = dict[str, Any]  # a line of a score file


class Table:
    """The figures of each model on each query. Only queries with a score of every model become lines of the file."""

    def __init__(self, pool: Sequence[str] = ()) -> None:
        self.pool = list(pool)
        self.rows: dict[str, tuple[str, str | None, dict[str, Line]]] = {}  # id -> query, data set, model -> figures

    def add(self, id: str, query: str, dataset: str | None, model: str, **figures: Any) -> None:
        """Add a model's `score` on a query and other figures, such as `responses`."""
        if model not in self.pool:
            self.pool.append(model)
        text, _, cells = self.rows.setdefault(id, (query, dataset, {}))
        if text != query or model in cells:
            raise ValueError(f"two records of {model} for {id}, or two queries with that id")
        cells[model] = figures

    def lines(self) -> Iterator[Line]:
        for id, (query, dataset, cells) in self.rows.items():
            if not query.strip() or any(missing(cells.get(name, {}).get("score")) for name in self.pool):
                continue
            line: Line = {"id": id, "query": query, "scores": {name: float(cells[name]["score"]) for name in self.pool}}
            line |= {"dataset": dataset} if dataset else {}
            if all(isinstance(cells[name].get("responses"), str) for name in self.pool):
                line["responses"] = {name: cells[name]["responses"] for name in self.pool}
            for name in self.pool:
                for figure, value in cells[name].items():
                    if figure not in ("score", "responses") and not missing(value):
                        line.setdefault(figure, {})[name] = float(value)
            yield line


def missing(value: Any) -> bool:
    return value is None or math.isnan(value)


# AlpacaEval: MODEL/model_outputs.json and MODEL/JUDGE/annotations.json. A preference is 1 if the reference wins, 2 if
# the model wins.


def alpacaeval(paths: Sequence[Path], annotator: str | None) -> Iterator[Line]:
    """Lines whose score is the judge's preference minus 1. By default, the judge is the one that judged every model."""
    folders = [
        f for path in paths for f in ([path] if (path / "model_outputs.json").exists() else sorted(path.iterdir()))
    ]
    judges = set.intersection(*({path.parent.name for path in f.glob("*/annotations.json")} for f in folders))
    if len(judges) != 1 and annotator is None:
        raise ValueError(f"name one of the judges of every model with --annotator: {', '.join(sorted(judges))}")
    judge, table = annotator or judges.pop(), Table()
    for folder in folders:
        scores = {
            id: (None if missing(record["preference"]) else round(record["preference"] - 1, 10), record["generator_2"])
            for id, record in _by_instruction(folder / judge / "annotations.json")
        }
        for id, record in _by_instruction(folder / "model_outputs.json"):
            score, generator = scores.get(id, (None, None))
            if generator != record.get("generator", generator):
                score = None  # the judge saw another model's output
            dataset = f"alpaca_eval/{record['dataset']}" if record.get("dataset") else "alpaca_eval"
            model = folder.resolve().name
            table.add(id, record["instruction"], dataset, model, score=score, responses=record["output"])
    yield from table.lines()


def _by_instruction(path: Path) -> Iterator[tuple[str, Line]]:
    """The records of a file by an id, which is numbered if an instruction occurs again."""
    repeats: Counter[str] = Counter()
    for _, record in each_record(path):
        text = record["instruction"]
        repeats[text] += 1
        repeat = f"-{repeats[text]}" if repeats[text] > 1 else ""
        yield f"alpaca_eval/{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:12]}{repeat}", record


# RouterDC: arrays of {question, scores: {model: number}}. In the data sets of PROBABILITY, the score of a right answer
# is its probability, and that of a wrong one is 0; as in RouterDC's evaluation, a score above 0 counts as 1.

PROBABILITY = ("arc_", "math_prealgebra", "ceval", "mmlu", "cmmlu")  # beginnings of file names


def routerdc(paths: Sequence[Path], annotator: str | None) -> Iterator[Line]:
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.iterdir()))]
    tables = sorted(file for file in files if ".csv" in file.suffixes)
    for file in (file for file in files if file not in tables):
        dataset = file.name.split(".")[0]
        for number, (_, record) in enumerate(each_record(file)):
            scores = record["scores"]
            if any(map(missing, scores.values())):
                continue
            if dataset.lower().startswith(PROBABILITY):
                scores = {name: score > 0 for name, score in scores.items()}
            scores = {name: float(score) for name, score in scores.items()}
            yield {"id": f"{dataset}/{number:05d}", "query": record["question"], "scores": scores, "dataset": dataset}
    if tables:
        yield from routerbench(tables, annotator)


# LLMRouterBench: a folder with a file {model_name, dataset_name, split, records} per run.


def llmrouterbench(paths: Sequence[Path], annotator: str | None) -> Iterator[Line]:
    """Lines from the latest run (by the file's name) of each model on each split; trial runs (`demo`) are left out."""
    latest: dict[tuple[str, str, str], tuple[tuple[str, str], list[Line]]] = {}
    for file in dict.fromkeys(file for path in paths for file in json_files(path)):
        ((_, run),) = each_record(file)
        key = (run["dataset_name"], run.get("split", ""), run["model_name"])
        time = re.search(r"(\d{8}_\d{6})\.json", file.name)
        newest = (time[1] if time else "", file.name), run["records"]
        if run.get("demo") is not True and (key not in latest or latest[key][0] < newest[0]):
            latest[key] = newest
    table = Table()
    for (dataset, split, model), (_, records) in sorted(latest.items()):
        for record in records:
            id = "/".join(part for part in (dataset, split, str(record["index"])) if part)
            query = record["origin_query"] if (record.get("origin_query") or "").strip() else record["prompt"]
            figures = {name: record.get(name) for name in ("score", "prompt_tokens", "completion_tokens", "cost")}
            table.add(id, query, dataset, model, responses=record.get("prediction"), **figures)
    yield from table.lines()


# RouterBench: CSV of sample_id, prompt, eval_name, a column per model, MODEL|model_response and MODEL|total_cost.

NO_MODEL = ("", "sample_id", "prompt", "eval_name", "oracle_model_to_route_to", "cluster_id")
BLANK = ("", "nan", "none", "null", "<na>")


def routerbench(paths: Sequence[Path], annotator: str | None) -> Iterator[Line]:
    """Lines per id. The rows of an id, one per wording of a prompt, have the scores of different models.

    The prompt of a line is that of the row with the most scores.
    """
    csv.field_size_limit(1 << 24)  # a response can be long
    queries: dict[str, tuple[int, Line, dict[str, Line]]] = {}  # id -> most scores of a row, that row, model -> figures
    for file in (file for path in paths for file in ([path] if path.is_file() else sorted(path.glob("*.csv*")))):
        with open_text(file) as source:
            for row in csv.DictReader(source, strict=True):
                pool = _models(tuple(row))
                cells = {name: _cell(row, name) for name in pool if row[name].strip().lower() not in BLANK}
                most, best, merged = queries.setdefault(row["sample_id"].strip(), (len(cells), row, {}))
                if any(merged.get(name, cell)["score"] != cell["score"] for name, cell in cells.items()):
                    raise ValueError(f"two scores of one model for the sample_id {row['sample_id']} in {file}")
                merged |= {name: cell for name, cell in cells.items() if name not in merged}
                if len(cells) > most:
                    most, best = len(cells), row
                queries[row["sample_id"].strip()] = (most, best, merged)
    table = Table(pool)
    for id, (_, row, cells) in queries.items():
        for name, figures in cells.items():
            table.add(id, _joined(row["prompt"]), row["eval_name"].strip() or "routerbench", name, **figures)
    yield from table.lines()


def _models(columns: Sequence[str]) -> list[str]:
    """The columns of models: those with a column of costs or responses, if there are any."""
    plain = [name for name in columns if "|" not in name and name not in NO_MODEL and not name.startswith("Unnamed")]
    return [name for name in plain if {f"{name}|model_response", f"{name}|total_cost"} & set(columns)] or plain


def _cell(row: Mapping[str, str], name: str) -> Line:
    response, cost = row.get(f"{name}|model_response"), row.get(f"{name}|total_cost", "")
    score = float({"true": "1", "false": "0"}.get(row[name].strip().lower(), row[name]))
    figures: Line = {"score": score, "responses": None if response is None else _joined(response)}
    return figures | ({} if cost.strip().lower() in BLANK else {"cost": float(cost)})


def _joined(cell: str) -> str:
    """The cell, or the joined texts of the list if the cell is a Python list."""
    if cell.lstrip().startswith(("['", '["')) and cell.rstrip().endswith("]"):
        try:
            return "\n".join(ast.literal_eval(cell.strip()))
        except (ValueError, SyntaxError, TypeError):
            return cell
    return cell


# Robustness as in RouterArena (arXiv 2510.00202): the share of queries whose candidate stays the same after an edit
# that does not change the meaning.

POLITE = ("Hello! ", "Please help me with this: ", "Hi there, could you do something for me? ", "Dear assistant, ")
TYPOS = 75  # characters per misspelt word; at least one word is misspelt
FOLDS = 5


def _dice(text: str) -> random.Random:
    """Random numbers that depend only on the text, so that figures are reproducible."""
    return random.Random(hashlib.sha256(text.encode("utf-8", "replace")).digest())


def typos(text: str) -> str:
    """Swap two neighbouring letters inside some words."""
    dice = _dice(text)
    words = [match.span() for match in re.finditer(r"[^\W\d_]{4,}", text)]
    letters = list(text)
    for start, end in dice.sample(words, min(len(words), max(1, len(text) // TYPOS))):
        place = dice.randrange(start + 1, end - 2) if end - start > 4 else start + 1
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


EDITS: dict[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "upper case": str.upper,
    "spaces": lambda text: "  " + re.sub(r" ", "  ", text) + " \n",
    "no final mark": lambda text: text.rstrip().rstrip(".?!"),
    "polite prefix": lambda text: _dice(text).choice(POLITE) + text,
    "typos": typos,
}


def robustness(router: Router, queries: Sequence[str]) -> dict[str, Any]:
    """The share of queries that keep their candidate after each edit, and of paraphrases with the same candidate."""

    def choices(texts: Sequence[str]) -> np.ndarray:
        return router.probabilities(texts).argmax(axis=1)

    before = choices(queries)
    edits = {name: float((choices([edit(q) or q for q in queries]) == before).mean()) for name, edit in EDITS.items()}
    pairs = paraphrases()
    one, other = (choices([pair[side] for pair in pairs]) for side in (0, 1))
    shares = {"edits": edits, "mean": sum(edits.values()) / len(edits), "pairs": len(pairs)}
    return {"n": len(queries), **shares, "paraphrases": float((one == other).mean())}


def robustness_rows(call: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The figures of the router in --router, else of routers trained on four fifths of the queries, one per seed."""
    scores = read_scores(call.paths)
    texts = [query.text for query in scores.queries]
    if call.router:
        yield robustness(Router.load(call.router), texts)
        return
    encoder = Encoder(ENCODER)
    for seed in range(call.seeds):
        aside = np.random.default_rng(seed).permutation(len(texts)) % FOLDS == 0
        train, judged = np.flatnonzero(~aside), np.flatnonzero(aside)
        sample = np.random.default_rng(seed).choice(judged, min(call.queries, len(judged)), replace=False)
        vectors = encoder.embed_all(texts)
        tags: list[tuple[str, ...]] = [()] * len(texts)
        for row, carried in zip(train, cluster_tags(vectors[train], seed), strict=True):
            tags[row] = carried
        head = trained(scores, vectors, tags, DistillConfig(seed=seed), train)
        earned = scores.scores[judged, head.logits(vectors[judged]).argmax(axis=1)]
        figures = robustness(DistilledRouter(head, encoder), [texts[row] for row in sample])
        yield {"seed": seed, "score": float(earned.mean())} | figures


FORMATS = {"alpacaeval": alpacaeval, "routerdc": routerdc, "llmrouterbench": llmrouterbench, "routerbench": routerbench}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*FORMATS, "robustness"])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--annotator", metavar="JUDGE")
    parser.add_argument("--router", metavar="DIR")
    parser.add_argument("--queries", type=int, default=300, help="number of queries that are edited")
    parser.add_argument("--seeds", type=int, default=2)
    call = parser.parse_args()
    if call.what != "robustness" and call.out is None:
        parser.error("--out is missing")
    return call


def main() -> None:
    call = parsed()
    quiet_libraries()
    if call.what == "robustness":
        for row in robustness_rows(call):
            begin = f"seed {row['seed']}: score {100 * row['score']:.2f}; " if "seed" in row else ""
            edits = ", ".join(f"{name} {100 * share:.1f}" for name, share in row["edits"].items())
            print(f"{begin}of {row['n']} queries survive {100 * row['mean']:.1f}% ({edits});", end=" ")
            print(f"paraphrases {100 * row['paraphrases']:.1f}")
    else:
        try:
            lines = list(FORMATS[call.what](call.paths, call.annotator))
        except (KeyError, TypeError, ValueError, OSError, csv.Error, ZooterError) as problem:
            sys.exit(f"not files of {call.what}: {type(problem).__name__}: {problem}")
        with open_atomic(call.out) as file:
            file.writelines(dump_json(line, ensure_ascii=False) + "\n" for line in lines)
        print(f"{len(lines)} lines in {call.out}")


if __name__ == "__main__":
    main()
