"""First queries of visitors: 150 queries of this project (first_clicks.jsonl), the models to which the embedded router
sends them, and whether the chosen model's answer is right, or fair for its size.

    python benchmarks/first_clicks.py [--answers] [--unjudged FILE]

A choice is right if a person would accept it (`models`). A tag that a page shows is wrong if a person said so
(`wrong_tags`). `--answers` lets the chosen models answer. An answer is right if it passes the query's rule (`answer`,
`check`). Otherwise the verdict of one reader counts, which is in first_clicks_verdicts.jsonl: right, fair or wrong. A
verdict is about one text: another answer to the same query is wrong by its rule or, without a rule, not judged.
`--unjudged` writes the answers without a verdict to a file, for a reader.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from zooter_core import Ensemble, load_fleet
from zooter_core.base.jsonl import read_records
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.data.answer_keys import read_key
from zooter_core.evaluation.verified import verify
from zooter_core.ui.charts import shown_tags

QUERIES = Path(__file__).with_suffix(".jsonl")
VERDICTS = QUERIES.with_name("first_clicks_verdicts.jsonl")
TOO_SMALL = "too small"  # in the answer of a model that does not know


def verdicts() -> dict[tuple[str, str], str]:
    """A reader's verdicts, by query and answer."""
    return {(line["query"], line["answer"]): line["verdict"] for line in read_records(VERDICTS)}


def judged(entry: dict[str, Any], answer: str, read: dict[tuple[str, str], str]) -> str:
    """`right` by the query's rule, else the reader's verdict on this text, else `wrong` or `not judged`."""
    key = read_key("first_clicks.jsonl", entry)
    if key and verify(answer, key).right:
        return "right"
    return read.get((entry["query"], answer), "wrong" if key else "not judged")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", action="store_true")
    parser.add_argument("--unjudged", type=Path, help="file for the answers without a verdict; needs --answers")
    options = parser.parse_args()
    ensemble = Ensemble(load_fleet(EMBEDDED_FLEET))
    entries, read = list(read_records(QUERIES)), verdicts()
    counts: Counter[str] = Counter()
    results = []
    for entry in entries:
        decision = ensemble.route(entry["query"])
        tags = [tag.name for tag in shown_tags(decision.tags)[:1]]
        routed = decision.candidate in entry["models"]
        counts["routed right"] += routed
        counts["tag wrong"] += bool(set(tags) & set(entry.get("wrong_tags", ())))
        counts["tag not judged"] += bool(
            set(tags) - set(entry.get("wrong_tags", ())) - set(entry.get("right_tags", ()))
        )
        counts["no tag"] += not tags
        result = {"query": entry["query"], "candidate": decision.candidate, "right": routed}
        if options.answers:
            answer = "".join(ensemble.stream(entry["query"], decision.candidate))
            result |= {"answer": answer, "verdict": judged(entry, answer, read)}
            counts[f"answer {result['verdict']}"] += 1
            counts["says that it is too small"] += TOO_SMALL in answer
        results.append(result)
    if options.unjudged:
        unjudged = [
            json.dumps({"query": line["query"], "answer": line["answer"], "verdict": ""}, ensure_ascii=False)
            for line in results
            if line["verdict"] == "not judged"
        ]
        options.unjudged.write_text("".join(f"{line}\n" for line in unjudged), encoding="utf-8")
    for result in results:
        if not result["right"]:
            print(f"routed to {result['candidate']}: {result['query']}")
    print(f"{len(entries)} queries:", ", ".join(f"{name} {count}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
