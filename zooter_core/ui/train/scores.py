"""The scores that the Train page trains on: the fleet's sample, or score files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from zooter_core.base.errors import ZooterError, listed
from zooter_core.data.scores import Scores, read_scores
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline.train import SCORE_LABELS
from zooter_core.ui.text import plain
from zooter_core.ui.train.session import LoadedScores, Session, Task, draw_until_result
from zooter_core.ui.widgets import draw_way_to_exam, persistent

SOURCES = {
    "sample": ":material/inventory_2: The fleet's sample",
    "file": ":material/upload_file: A score file",
}
ONLY_HELP = "A router that chooses among exactly these can be used with this fleet. One for other models gets its own."
MANY = 6_000  # queries whose embeddings take about a minute
MOST = 20_000  # queries


def draw(session: Session, ensemble: Ensemble) -> LoadedScores | None:
    """Draw the choice of a source. Return its scores, or the part to train on; None until they are read."""
    st.header("Scores", anchor=False, help="A score is a reward model's reward, or a benchmark's points.")
    loaded = _read_source(session, ensemble)
    if loaded is None:
        return None
    models = plain(listed(loaded.scores.candidates))
    st.markdown(f"**{describe_size(loaded.scores)}** from {plain(loaded.name)}: {models}")
    if loaded.note:
        st.caption(loaded.note)
    if count := loaded.scores.left_out:
        st.caption(f"{count:,} {'is' if count == 1 else 'are'} left out, without scores of two models.")
    return _choose_part(loaded, ensemble)


def _read_source(session: Session, ensemble: Ensemble) -> LoadedScores | None:
    """The scores of the source that the visitor chooses; None until they are read."""
    kind = "file"
    if ensemble.fleet.router is None or _has_sample(ensemble):
        kind = st.segmented_control(
            "Scores to train on", SOURCES, default="sample", required=True, format_func=SOURCES.__getitem__,
            label_visibility="collapsed", **persistent("train-source"),
        )  # fmt: skip
    return _read_sample(session, ensemble) if kind == "sample" else _read_file(session)


def _has_sample(ensemble: Ensemble) -> bool:
    """Whether the router's folder has texts of its training queries; `zooter run` and `distill` store none."""
    with suppress(ZooterError):
        return ensemble.neighbours is not None and any(query.text for query in ensemble.neighbours.queries)
    return False


def _read_sample(session: Session, ensemble: Ensemble) -> LoadedScores | None:
    neighbours = ensemble.neighbours
    if neighbours is None:
        draw_way_to_exam(
            "This fleet has no trained router yet, and so no sample of what one has learned from. The exam on the page "
            "Models makes both. Or take a score file."
        )
        return None
    if session.sample is None or session.sample[0] is not neighbours:  # the fleet has another router
        scores, name = neighbours.scores(), ensemble.fleet.name
        total, shipped = len(neighbours.queries), len(scores.queries)
        part = f"all {total:,} queries" if shipped == total else f"{shipped:,} of the {total:,} queries"
        note = f"These are {part} that the router of **{plain(name)}** trained on, with each model's reward."
        title, config = f"the sample of the fleet {name}", LabelConfig(**ensemble.router.labels)
        session.sample = neighbours, LoadedScores(f"sample {id(neighbours)}", title, scores, config, note)
    return session.sample[1]


def _read_file(session: Session) -> LoadedScores | None:
    uploads = st.file_uploader(  # of any type, so that the page and not Streamlit says what is wrong with a file
        "Score files",
        accept_multiple_files=True,
        key=f"train-upload-{session.uploads}",
        help="JSON (.jsonl, .json) or tables (.csv, .parquet), also gzipped; all that you choose at once are read "
        "together, such as one for each model. They stay on this machine and are deleted once they are read.",
    )
    if uploads:
        _read_uploads(session, uploads)
        st.rerun()
    if session.reading is None or session.reading.problem:
        st.caption(
            "One query per line, with the scores of at least two models; `id`, `dataset` and `tags` are optional. Or a "
            "table of `query`, `model` and `score`, of `query` and a column of scores for each model, or of votes "
            "(`query`, `model_a`, `model_b`, `winner`). A file "
            "with `query` and `score` alone is about the model that it is named after. `zooter run --scores FILE` "
            "writes a run's."
        )
        st.code(
            '{"query": "What is 15% of 240?", "scores": {"small": 0.2, "large": 0.9}, "tags": ["percentage"]}',
            language="json",
            wrap_lines=True,
        )
    return draw_until_result(session.reading, "train-read", "Reading") if session.reading else None


def _read_uploads(session: Session, uploads: Sequence[UploadedFile]) -> None:
    """Copy uploads into the session's folder, start to read them, and let Streamlit drop its copies."""
    if session.reading:
        session.reading.stop()
    session.uploads += 1  # a new key empties the uploader
    folder = session.path / f"upload-{session.uploads}"
    names = [Path(upload.name).name[-60:] or "scores.jsonl" for upload in uploads]
    # The file's name is a model's.
    paths = [folder / str(number) / Path(name).stem / name for number, name in enumerate(names)]
    for path, upload in zip(paths, uploads, strict=True):
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            shutil.copyfileobj(upload, file, 1 << 20)
    source = f"file {session.uploads}"
    session.reading = Task(lambda task: _read_uploads_in_task(task, source, folder, paths))


def _read_uploads_in_task(task: Task[LoadedScores], source: str, folder: Path, paths: Sequence[Path]) -> LoadedScores:
    """The scores in uploaded files, which are deleted afterwards.

    Raises:
        ZooterError: a line is wrong. The message gives the line's number and the file's original name.
    """
    names = tuple(path.name for path in paths)
    try:
        scores = read_scores(paths, lambda lines: task.report("read", lines))
        scores.check_choice()
    except ZooterError as problem:
        parts = asdict(problem.failure)
        for path in paths:
            parts = {field: text.replace(str(path), path.name) for field, text in parts.items()}
        raise ZooterError(**parts) from problem
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    title = f"the file{'s' * (len(names) > 1)} {listed(names)}"
    return LoadedScores(source, title, replace(scores, files=names), SCORE_LABELS)


def describe_size(scores: Scores) -> str:
    sets = len(set(scores.datasets))
    queries = "1 query" if len(scores.queries) == 1 else f"{len(scores.queries):,} queries"
    return f"{queries}, {sets} data set{'s' * (sets != 1)}, {len(scores.candidates)} models"


def _choose_part(loaded: LoadedScores, ensemble: Ensemble) -> LoadedScores:
    scores, pool, count = loaded.scores, ensemble.fleet.pool, len(loaded.scores.queries)
    label = f"Only the models of the fleet: {plain(', '.join(pool))}"
    if set(pool) < set(scores.candidates) and st.checkbox(label, True, **persistent("train-only", ONLY_HELP)):
        scores = scores.only(pool)
    if count > MANY:
        note = f"A sample of the {count:,}. Embedding {MANY:,} queries takes about a minute, the first time only."
        options = persistent(f"train-most-{loaded.source}", note)
        scores = scores.sample(st.slider("Queries to use", 500, min(count, MOST), MANY, 500, **options))
    return replace(loaded, scores=scores)
