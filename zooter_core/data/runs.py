"""A pipeline's run: the queries, responses, rewards, tags and scores that its folder holds, as values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base import files
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.base.strict_json import dump_json, is_number, parse_json
from zooter_core.config.fleet import Fleet
from zooter_core.data import prices
from zooter_core.data.run_folder import QUERIES, RESPONSES, REWARDS, STATE, TAGS, RunFolder
from zooter_core.data.scores import Scores, score_line
from zooter_core.method.verified import scale_of, verified_rewards


class Run(RunFolder):
    """An open run folder, whose records can be read back as the values that they stand for.

    What is indexed by query in `scores`, `samples`, `of_responses` and `tags` has one order: that of the queries file,
    without the queries that are set aside. A candidate whose response is missing has NaN there.
    """

    def queries(self) -> list[Query]:
        """All queries of the run, in order."""
        return [Query.from_json(record) for record in self.records(QUERIES)]

    def responses(self) -> dict[str, dict[str, list[str]]]:
        """Query id -> candidate, in pool order -> the texts of its samples, in order."""
        texts: dict[str, dict[str, dict[int, str]]] = {}
        for record in self.records(RESPONSES):
            texts.setdefault(record["id"], {}).setdefault(record["candidate"], {})[record["sample"]] = record["text"]
        pool = self.setting("start", "pool")
        return {
            query: {name: [of[name][number] for number in sorted(of[name])] for name in pool if name in of}
            for query, of in texts.items()
        }

    def missing(self, texts: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, list[str]]:
        """The queries that lack responses: id -> the candidates that have not all samples, in pool order.

        Args:
            texts: what `responses` gave.
        """
        pool, samples = self.setting("start", "pool"), self.setting("collect", "samples")
        lacking = {
            query.id: [name for name in pool if len(texts.get(query.id, {}).get(name, ())) < samples]
            for query in self.queries()
        }
        return {id: names for id, names in lacking.items() if names}

    def refused(self) -> dict[str, str]:
        """The queries that a candidate refused, in order: id -> the first such candidate of the pool, and why."""
        places = {name: place for place, name in enumerate(self.setting("start", "pool"))}
        records = [r for r in self.records(RESPONSES) if r.get("error") is not None and r["candidate"] in places]
        records.sort(key=lambda r: (places[r["candidate"]], r["sample"]), reverse=True)  # the last of an id counts
        reasons = {r["id"]: f"no response of {r['candidate']}: {r['error']}" for r in records}
        return {query.id: reasons[query.id] for query in self.queries() if query.id in reasons}

    def set_aside(self) -> dict[str, str]:
        """The queries without rewards: id -> why."""
        return {record["id"]: record["set_aside"] for record in self.records(REWARDS) if "set_aside" in record}

    def scores(self) -> Scores:
        """The mean rewards in pool order, without the queries that are set aside.

        The queries carry the tags of the step `tag` once it is finished, and those of the queries file before. A
        missing reward is NaN.

        Raises:
            ZooterError: a query has not been scored yet, or every query is set aside.
        """
        rewarded = self._rewarded()
        means, rewards, outcomes = self._rewards(rewarded)
        if (rows := np.isfinite(outcomes).any(axis=(1, 2))).any():
            means[rows] = verified_rewards(rewards[rows], outcomes[rows], scale_of(means)).mean(axis=-1)
        scores = Scores(tuple(query for query, _ in rewarded), tuple(self.setting("start", "pool")), means)
        return scores.tagged(self.tags()) if self.is_finished("tag") else scores

    def samples(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Of every response the reward, the reward model's alone, and the verified outcome (NaN where nothing verifies
        it), each of the shape (queries, candidates, samples)."""
        means, rewards, outcomes = self._rewards(self._rewarded())
        return verified_rewards(rewards, outcomes, scale_of(means)), rewards, outcomes

    def dollars(self, fleet: Fleet, tokens: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The cost of a thousand queries like each one, in US dollars, shape (queries, candidates); None if the fleet
        does not price every candidate.

        Args:
            tokens: that each candidate writes for each query, as `of_responses` gives them.
        """
        pool = self.setting("start", "pool")
        priced = {candidate.name for candidate in fleet.candidates if candidate.usd_per_million_tokens is not None}
        if not priced.issuperset(pool):
            return None
        return prices.dollars(prices.prices_of(fleet, pool), tokens)

    def of_responses(self, *fields: str) -> list[NDArray[np.float64]]:
        """Some figures of the responses, means over samples, shape (queries, candidates) each; NaN without response."""
        figures: dict[tuple[str, str], list[list[float]]] = {}
        for record in self.records(RESPONSES):
            values = [value if is_number(value := record.get(field)) else 0 for field in fields]  # 0 may be left out
            figures.setdefault((record["id"], record["candidate"]), []).append(values)
        pool, none = self.setting("start", "pool"), [[math.nan] * len(fields)]
        rows = [[np.mean(figures.get((query.id, name), none), axis=0) for name in pool] for query in self._queries()]
        return list(np.moveaxis(np.array(rows), -1, 0))

    def tags(self) -> list[tuple[str, ...]]:
        """The tag names of each query, as the tagger gave them."""
        lines = self.lines(TAGS, [query.id for query in self._queries()])
        return [tuple(tag["name"] for tag in line["tags"]) for line in lines]

    def export_scores(self, path: Path) -> None:
        """Write the run as a score file: the reward model's mean rewards, the means of verified outcomes, the first
        response of each candidate, the tags and answer keys of the queries file.

        Raises:
            ZooterError: the file cannot be written, or every query is set aside.
        """
        texts, rewarded = self.responses(), self._rewarded()
        with files.open_atomic(path) as out:
            for query, rewards in rewarded:
                values = rewards["rewards"]
                outcomes = {name: sum(right) / len(right) for name, right in rewards.get("verified", {}).items()}
                line = score_line(query, values, {name: texts[query.id][name][0] for name in values}, outcomes)
                out.write(dump_json(line, ensure_ascii=False) + "\n")

    def _rewards(self, rewarded: Sequence[tuple[Query, Mapping[str, Any]]]) -> list[NDArray[np.float64]]:
        """Mean rewards, shape (queries, candidates), and the rewards and outcomes of samples; NaN for a missing one."""
        pool, none = self.setting("start", "pool"), [math.nan] * self.setting("collect", "samples")
        missing = {"rewards": math.nan, "samples": none, "verified": none}
        return [
            np.array([[line.get(field, {}).get(name, value) for name in pool] for _, line in rewarded], dtype=float)
            for field, value in missing.items()
        ]

    def _queries(self) -> list[Query]:
        """The queries that are not set aside, in order."""
        return [query for query, _ in self._rewarded()]

    def _rewarded(self) -> list[tuple[Query, dict[str, Any]]]:
        """The queries that are not set aside, in order, and their rewards. Raises ZooterError if there are none."""
        queries = self.queries()
        lines = self.lines(REWARDS, [query.id for query in queries])
        rewarded = [(query, line) for query, line in zip(queries, lines, strict=True) if "set_aside" not in line]
        if not rewarded:
            reason = next((line["set_aside"] for line in lines), "there is none")
            then = "start a new run" if self.is_finished("collect") else "start the same command again"
            instead = f"all {len(lines)} set aside; the first because: {reason}"
            step = f"Fix that cause (`zooter check` may name it), and {then}."
            raise ZooterError("at least one query with rewards", instead, step)
        return rewarded


@dataclass(frozen=True)
class RunSummary:
    """What the run.json of a run folder says, read without the lock."""

    pool: tuple[str, ...]  # the candidates that rewards, labels and router are for
    candidates: tuple[str, ...]  # all that responses were asked of, also those that left the pool
    finished: tuple[str, ...]  # the sealed steps, in order


def read_run(folder: Path) -> RunSummary | None:
    """The run in a folder; None if there is none that can be read."""
    path = folder / STATE
    try:
        state = parse_json(path.read_text(encoding="utf-8"))
        pool = state["steps"].get("start", {"pool": []})["pool"]
        hashes = state["steps"].get("collect", {}).get("candidates_sha256", ())
        return RunSummary(tuple(pool), tuple(hashes), tuple(state["seals"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
