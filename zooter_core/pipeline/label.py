"""The steps tag and label: each query's tags, and its label from rewards and tags."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.progress import Progress, quiet
from zooter_core.base.records import Query
from zooter_core.data.run_folder import LABELS
from zooter_core.data.runs import Run
from zooter_core.data.scores import NO_DATASET
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig, Labels
from zooter_core.pipeline import batches
from zooter_core.pipeline.batches import Line
from zooter_core.pipeline.on_ray import RayWorkers


def tag_lines(
    ensemble: Ensemble, queries: Sequence[Query], progress: Callable[[int], None] = lambda done: None
) -> list[Line]:
    """The lines of tags.jsonl for a batch, in order."""
    tagger = ensemble.tagger
    # Stored vectors are not used, because their last digits depend on the batch in which a text was first embedded.
    tags = tagger.tag([query.text for query in queries]) if tagger.quick else tagger.tag_all(queries)
    return [{"id": query.id, "tags": [asdict(tag) for tag in row]} for query, row in zip(queries, tags, strict=True)]


def tag(run: Run, ensemble: Ensemble, progress: Progress = quiet, workers: RayWorkers | None = None) -> None:
    """Write the tags of each query from the fleet's tagger."""
    run.begin("tag", {"tagger_sha256": ensemble.fleet.hash_part("tagger")})
    if run.is_finished("tag"):
        return
    run.require("start")
    batches.fill(run, ensemble, "tag", run.queries(), tag_lines, progress, workers)
    run.finish("tag")


def label(run: Run, config: LabelConfig, progress: Progress = quiet) -> None:
    """Write the labels of all queries that are not set aside, from rewards and tags.

    If rewards are missing, `labels.complete` fills the gaps, and the step stays open, so that it is repeated later.
    """
    run.require("tag")
    if run.is_finished("label"):
        run.begin("label", asdict(config))  # raises if the settings differ
        return
    scores = run.scores()
    # Drawn from all queries of the run, whether or not they already have rewards.
    queries = run.queries()
    held_back = {queries[row].id for row in np.flatnonzero(draw_held_back(queries, config))}
    learned = np.array([query.id not in held_back for query in scores.queries])
    tags = [query.tags for query in scores.queries]
    # Before `begin`, because wrong settings must not bind the run. Tag priors come from the training fold alone.
    computed = labels.label(scores.scores, scores.datasets, tags, config, np.flatnonzero(learned))
    run.begin("label", asdict(config))
    run.replace(LABELS, _label_lines(scores.queries, learned, computed, progress))
    if run.is_finished("score"):
        run.finish("label")


def draw_held_back(queries: Sequence[Query], config: LabelConfig) -> NDArray[np.bool_]:
    """A mask of the queries that are held back, shape (n,), which are a share of each data set."""
    lots = [labels.lot(query.id, config.seed) for query in queries]
    return labels.held_back(lots, [query.dataset or NO_DATASET for query in queries], config.holdout)


def _label_lines(
    queries: Sequence[Query], learned: NDArray[np.bool_], computed: Labels, progress: Progress
) -> Iterator[Line]:
    rows = zip(queries, learned, computed.plain, computed.enhanced, labels.entropy(computed.plain), strict=True)
    for done, (query, is_learned, plain, enhanced, entropy) in enumerate(rows, 1):
        yield {
            "id": query.id,
            "fold": "train" if is_learned else "held_back",
            "plain": plain.tolist(),
            "enhanced": enhanced.tolist(),
            "entropy": float(entropy),
        }
        if not done % batches.BATCH or done == len(queries):
            progress("label", done, len(queries))
