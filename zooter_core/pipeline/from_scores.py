"""Without a run folder: a router from score files alone, and rewards for responses that exist already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zooter_core.data.run_lines import has_scores
from zooter_core.data.runs import ROUTER
from zooter_core.data.scores import Scores, no_repeats, read_lines, read_query, read_responses, score_line
from zooter_core.ensemble import Ensemble
from zooter_core.errors import WorkError, ZooterError
from zooter_core.evaluation.report import Report
from zooter_core.files import check_file, locked, update_folder, writing
from zooter_core.jsonl import append_records, read_records
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline import BATCH, make_labels, quiet
from zooter_core.pipeline.train import Progress, fit_router
from zooter_core.records import Query
from zooter_core.router.clusters import cluster_tags
from zooter_core.router.config import CONFIG
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import DEFAULT, DistillConfig
from zooter_core.router.router import keep_label_settings

# What tau = 1 is on the scale of a reward model is too flat for accuracies: scores are brought to one scale first, and
# the values are those that did best on folds and left-out data sets (docs/results.md).
LABELS = LabelConfig(beta=0.0, tau=0.3, normalise="spread", holdout=0.0)


def distill_scores(
    scores: Scores,
    folder: Path,
    settings: tuple[LabelConfig, DistillConfig],
    encoder: Encoder,
    tags: Sequence[Sequence[str]],
    progress: Progress = quiet,
) -> Report:
    """Train a router on score files alone, into `folder` itself, which then holds report.json too. Returns the report.

    An exception that `progress` raises ends the work and leaves the folder as it was.
    """
    made = make_labels(scores, tags, settings[0])
    texts = [query.text for query in scores.queries]
    encoder = encoder.knowing(
        texts, encoder.embed_all(texts, lambda done: progress("embed", done, len(texts)))
    )  # fmt: skip
    with update_folder(folder, CONFIG) as work:
        report = fit_router(scores.tagged(tags), made, work, encoder, settings[1], progress)
        with writing(folder):
            if settings[1].kind == DEFAULT:  # the others learn from the scores
                keep_label_settings(work / ROUTER, vars(settings[0]))
            for file in (work / ROUTER).iterdir():
                file.rename(work / file.name)
    return report


def tags_of(scores: Scores, source: str, encoder: Encoder, seed: int = 0) -> Sequence[Sequence[str]]:
    """The tags of each query: `given` in the file, `none`, `clusters` of like queries, or what `auto` finds.

    `auto` takes the given ones where any query has one, else clusters.
    """
    given = [query.tags for query in scores.queries]
    if source == "clusters" or (source == "auto" and not any(given)):
        return cluster_tags(encoder.embed_all([query.text for query in scores.queries]), seed)
    return [()] * len(given) if source == "none" else given


def score_responses(
    source: Path, out: Path, ensemble: Ensemble, progress: Progress = quiet
) -> tuple[int, dict[str, str]]:
    """Rewards for the responses of a score file without `scores`; started again it goes on after the lines it has.

    A query of which any response has no finite reward is set aside: it has no line, and is tried again by the next
    start.

    Returns the number of lines in `out`, and the queries set aside: id -> why.
    """
    lines = [
        (read_query(place, record, str(number)), read_responses(place, record))
        for number, (place, record) in enumerate(read_lines(source), 1)
    ]
    no_repeats([query for query, _ in lines], str(source))
    if out.suffix == ".gz":
        raise ZooterError("--out as a file that lines can be added to", f"{out}, a packed one", "Leave .gz out.")
    check_file(out)
    lock = locked(out.with_name(f".{out.name}.lock"), f"the file {out}")
    try:
        return _score_missing(lines, out, ensemble, progress)
    finally:
        lock.release()


def _score_missing(
    lines: Sequence[tuple[Query, dict[str, str]]], out: Path, ensemble: Ensemble, progress: Progress
) -> tuple[int, dict[str, str]]:
    """Append the lines that `out` lacks; what `score_responses` returns."""
    given = {query.id: (query.text, texts) for query, texts in lines}
    done: set[str] = set()
    for number, record in enumerate(read_records(out), 1):
        id = record.get("id")
        text, texts = given.get(id, ("", {})) if isinstance(id, str) else ("", {})
        if not text or text != record.get("query"):
            raise ZooterError(
                f"a new file for --out, or one that these responses were scored into before, at {out}",
                f"a line of another query, {str(record.get('query'))[:60]!r}",
                "Give another --out.",
            )
        if id in done or not has_scores(record, texts):
            raise WorkError(
                f"one line with a finite score of each of {', '.join(texts)} for {id!r} in {out}",
                f"another one in line {number}",
                "Take that line out and start again; the others are kept.",
            )
        done.add(str(id))
    aside: dict[str, str] = {}
    for first in range(0, len(lines), BATCH):
        batch = [(query, texts) for query, texts in lines[first : first + BATCH] if query.id not in done]
        scored = ensemble.score_responses(
            [(query.text, list(texts.values())) for query, texts in batch],
            lambda done, first=first: progress("score", first + done, len(lines)),  # type: ignore[misc]
        )
        found = list(zip(batch, scored, strict=True))
        aside |= {query.id: str(rewards.reason) for (query, _), rewards in found if rewards.complete is None}
        append_records(
            out,
            [
                score_line(query, dict(zip(texts, rewards.complete, strict=True)), texts)
                for (query, texts), rewards in found
                if rewards.complete is not None
            ],
        )
        progress("score", min(first + BATCH, len(lines)), len(lines))
    return len(lines) - len(aside), aside
