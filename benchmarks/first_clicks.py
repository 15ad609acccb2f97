"""What visitors type first: 150 queries of this project (first_clicks.jsonl), and where the embedded router sends them.

    python benchmarks/first_clicks.py [--answers] [--json]

A choice is right if a person would accept it (`models`); a tag that a page shows is wrong if a person said so
(`wrong_tags`), and a query without a shown tag has none that is wrong. `--answers` lets the chosen models answer the
queries that have an `answer`, and checks them by rule. The verdicts are those of one reader.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from zooter_core import Ensemble, load_fleet
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.data.answer_keys import read_key
from zooter_core.evaluation.verified import verify
from zooter_core.ui.answer_view import shown_tags

QUERIES = Path(__file__).with_suffix(".jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ensemble = Ensemble(load_fleet(EMBEDDED_FLEET))
    entries = [json.loads(line) for line in QUERIES.read_text(encoding="utf-8").splitlines()]
    counts: Counter[str] = Counter()
    lines = []
    for entry in entries:
        decision = ensemble.route(entry["query"])
        tags = shown_tags(decision.tags)[:1]
        routed = decision.candidate in entry["models"]
        counts["routed right"] += routed
        counts["tag wrong"] += bool(set(tags) & set(entry.get("wrong_tags", ())))
        counts["tag not judged"] += bool(
            set(tags) - set(entry.get("wrong_tags", ())) - set(entry.get("right_tags", ()))
        )
        counts["no tag"] += not tags
        line = {"query": entry["query"], "candidate": decision.candidate, "right": routed, "tags": tags}
        if options.answers and "answer" in entry:
            key = read_key("answer", {"answer": entry["answer"]})
            right = verify("".join(ensemble.stream(entry["query"], decision.candidate)), key).right
            counts["with a key"] += 1
            counts["answered right"] += right
            line["answered_right"] = right
        lines.append(line)
    if options.json:
        print(json.dumps({"n": len(entries), **counts, "queries": lines}, ensure_ascii=False))
        return
    for line in lines:
        if not line["right"]:
            print(f"routed to {line['candidate']}: {line['query']}")
    print(f"{len(entries)} queries:", ", ".join(f"{name} {count}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
