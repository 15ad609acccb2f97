"""The steps tag and label: the tags of every query, and the labels that follow from rewards and tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.data.run_folder import LABELS, TAGS
from zooter_core.data.run_lines import same_check, tag_check
from zooter_core.data.runs import Run
from zooter_core.data.scores import Scores
from zooter_core.ensemble import Ensemble
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig, held_back
from zooter_core.pipeline import batches
from zooter_core.pipeline.batches import (
    Engine,
    Progress,
    append_lines,
    computed,
    quiet,
    require,
    unfinished_batches,
)
from zooter_core.records import Label, Query


def tag_lines(ensemble: Ensemble, queries: Sequence[Query]) -> dict[str, dict[str, Any]]:
    """The lines of tags.jsonl of a batch, by the id of the query."""
    tagger = ensemble.tagger
    # Not from stored vectors: their last digits depend on the batch that each text was first in.
    tags = tagger.tag([query.text for query in queries]) if tagger.quick else tagger.tag_all(queries)
    return {
        query.id: {"id": query.id, "tags": [asdict(tag) for tag in row]}
        for query, row in zip(queries, tags, strict=True)
    }


def tag(run: Run, ensemble: Ensemble, progress: Progress = quiet, engine: Engine | None = None) -> None:
    """Write the tags of every query, by the fleet's tagger."""
    run.begin("tag", {"tagger_sha256": ensemble.fleet.hash_of("tagger")})
    if run.sealed("tag"):
        return
    require(run, "start")
    unfinished = list(unfinished_batches(run, TAGS, tag_check))
    jobs = (batch for batch, *_ in unfinished)
    lines = computed("tag", jobs, lambda number, batch: tag_lines(ensemble, batch), engine)
    append_lines(run, TAGS, unfinished, lines, progress)
    run.seal("tag", TAGS)


def label(run: Run, config: LabelConfig, progress: Progress = quiet, allow_missing: bool = False) -> None:
    """Write labels from rewards and tags, of every query that is not set aside.

    Args:
        allow_missing: accept an unfinished step score (`labels.complete` fills the gaps); this step stays open, too.
    """
    require(run, "score", allow_missing)
    require(run, "tag")
    # Before `begin`, because wrong settings must not bind the run.
    records = {row.id: row.to_json() for row in make_labels(run.scores(allow_missing), run.tags(), config)}
    run.begin("label", asdict(config))
    if run.sealed("label"):
        return
    done = run.done(LABELS, records, check=same_check(records))
    ids = list(records)
    for first in range(0, len(ids), batches.BATCH):
        batch = ids[first : first + batches.BATCH]
        run.append(LABELS, [records[id] for id in batch if (id,) not in done])
        progress("label", first + len(batch), len(ids))
    if run.sealed("score"):
        run.seal("label", LABELS)


def make_labels(scores: Scores, tags: Sequence[Sequence[str]], config: LabelConfig) -> list[Label]:
    """The label of each query. Tag priors come from the training fold alone; held-back labels stay plain."""
    learned = training_fold(scores, config)
    table = labels.label(scores.scores, scores.datasets, tags, config, np.flatnonzero(learned))
    return [
        Label(
            query.id,
            "train" if learned[row] else "held_back",
            tuple(table.plain[row].tolist()),
            tuple(table.enhanced[row].tolist()),
            float(labels.entropy(table.plain[row])),
        )
        for row, query in enumerate(scores.queries)
    ]


def training_fold(scores: Scores, config: LabelConfig) -> NDArray[np.bool_]:
    """Which queries are not held back, shape (n,)."""
    if config.holdout == 0:
        return np.ones(len(scores.queries), dtype=bool)
    return np.array([not held_back(query.id, config) for query in scores.queries], dtype=bool)
