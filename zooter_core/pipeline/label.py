"""The steps tag and label: the tags of every query, and the labels that follow from rewards and tags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import numpy as np

from zooter_core.base.records import Query
from zooter_core.data.run_folder import LABELS, TAGS
from zooter_core.data.run_lines import same_check, tag_check
from zooter_core.data.run_table import RunTable
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method import labels
from zooter_core.method.labels import Enhancement, LabelConfig
from zooter_core.method.scales import normalise
from zooter_core.pipeline import batches
from zooter_core.pipeline.batches import Engine, Progress, quiet

Line = dict[str, Any]
LINES = 1 << 14  # computed at once: as Python's numbers they take a kilobyte each


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
    batches.require(run, "start")
    unfinished = list(batches.unfinished_batches(run, TAGS, tag_check))
    jobs = (batch for batch, *_ in unfinished)
    lines = batches.computed("tag", jobs, lambda number, batch: tag_lines(ensemble, batch), engine)
    batches.append_lines(run, TAGS, unfinished, lines, progress)
    run.seal("tag", TAGS)


def label(run: Run, config: LabelConfig, progress: Progress = quiet, allow_missing: bool = False) -> None:
    """Write labels from rewards and tags, of every query that is not set aside.

    Args:
        allow_missing: accept an unfinished step score (`labels.complete` fills the gaps); this step stays open, too.
    """
    batches.require(run, "score", allow_missing)
    batches.require(run, "tag")
    if run.sealed("label"):
        run.begin("label", asdict(config))  # refuses other settings
        return
    table = RunTable.read(run, config, allow_missing)
    # Before `begin`, because wrong settings must not bind the run.
    every = enhancement(table, config)
    run.begin("label", asdict(config))
    done, total = 0, len(table.rows)
    with run.appending(LABELS) as out:
        for done, batch in _missing_lines(run, lambda: label_lines(table.ids(run), every)):
            out.append(batch)
            progress("label", done, total)
    if done < total:  # all were there
        progress("label", total, total)
    if run.sealed("score"):
        run.seal("label", LABELS)


def enhancement(table: RunTable, config: LabelConfig) -> Enhancement:
    """What the labels follow from. Tag priors come from the training fold alone; held-back labels stay plain.

    The rewards of the table are changed.
    """
    rewards = normalise(table.rewards, config.normalise, table.datasets)
    return Enhancement.of(rewards, table.tags, config, np.flatnonzero(~table.held_back))


def label_lines(ids: Iterable[str], every: Enhancement) -> Iterator[Line]:
    """The lines of labels.jsonl."""
    left = iter(ids)
    for first in range(0, len(every.plain), LINES):
        plain, _, enhanced = every.rows(first, min(first + LINES, len(every.plain)))
        folds = np.where(every.learned[first : first + LINES], "train", "held_back").tolist()
        columns = (folds, plain.tolist(), enhanced.tolist(), labels.entropy(plain).tolist())
        for fold, s, mixed, entropy in zip(*columns, strict=True):
            yield {"id": next(left), "fold": fold, "plain": s, "enhanced": mixed, "entropy": entropy}


def _missing_lines(run: Run, lines: Callable[[], Iterator[Line]]) -> Iterator[tuple[int, list[Line]]]:
    """The lines that labels.jsonl lacks, in batches, each with the number of lines after it. Refuses altered lines."""
    left, done = lines(), 0
    for record in run.records(LABELS):
        done += 1
        if record != next(left, None):  # an earlier line was removed, or this one is wrong
            wanted = {line["id"]: line for line in lines()}
            present = run.done(LABELS, wanted, check=same_check(wanted))
            left, done = (line for id, line in wanted.items() if (id,) not in present), len(present)
            break
    while batch := list(islice(left, batches.BATCH)):
        done += len(batch)
        yield done, batch
