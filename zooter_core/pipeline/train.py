"""Trains a router and reports on it: from scores (`distill`), or as the last step of a run (`distill_run`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError, did_you_mean, listed
from zooter_core.base.files import atomic, check_folder, private_folder, remove, update_folder, writing
from zooter_core.base.progress import Progress, quiet
from zooter_core.base.weights import check_torch
from zooter_core.config.labelling import ENCODER
from zooter_core.data import prices as pricing
from zooter_core.data.run_folder import CHECKPOINT, LABELS, REPORT, ROUTER
from zooter_core.data.runs import Run
from zooter_core.data.scores import Scores, ScoreSource, as_scores
from zooter_core.evaluation.evaluate import Sampled, report
from zooter_core.evaluation.figures import Report, load_report
from zooter_core.evaluation.thinking import compare_thinking
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method import selection
from zooter_core.method.labels import LabelConfig, entropy, label
from zooter_core.method.mixture import chosen
from zooter_core.method.tags import TagIndex
from zooter_core.method.thinking import AnswerTable
from zooter_core.method.verified import verified_figures
from zooter_core.pipeline.label import draw_held_back
from zooter_core.pipeline.plan import distill_settings
from zooter_core.router.clusters import Vectors, cluster_tags, name_clusters
from zooter_core.router.distill import FEWEST, Scored, earned_by, learn, learn_auto_kind
from zooter_core.router.encoder import Encoder, TextEncoder, open_encoder
from zooter_core.router.head import CONFIG, RouterHead
from zooter_core.router.kinds import AUTO_KIND, LEARN_LABELS, PROFILE, DistillConfig, configure
from zooter_core.router.neighbours import LEARNED, Neighbours, sample_rows, text_hashes
from zooter_core.router.router import DistilledRouter

# The scale of scores differs from that of a reward model: with tau = 1, labels of accuracies would be too flat. So
# scores are normalised first. These values did best on folds and on left-out data sets (docs/results.md).
SCORE_LABELS = LabelConfig(beta=0.0, tau=0.3, normalise="spread", holdout=0.0)
TRAINING = configure(AUTO_KIND)


def distill(
    scores: ScoreSource,
    folder: str | Path | None = None,
    *,
    labels: LabelConfig = SCORE_LABELS,
    training: DistillConfig = TRAINING,
    encoder: TextEncoder | str = ENCODER,
    tags: str | Sequence[Sequence[str]] = "auto",
    vectors: Vectors | None = None,
    progress: Progress = quiet,
) -> DistilledRouter:
    """Distill a router from scores::

        router = distill("scores.jsonl", "my-router")

    Args:
        scores: one or more score files, or their contents.
        folder: the folder for the router and its report.json. If None, they are not saved. The folder's old contents
            are kept until everything is written, even if `progress` raises.
        labels: how scores become labels, and the share of queries to hold back for the report. By default, none.
        training: the router's kind, seed and hyperparameters.
        encoder: the encoder of the queries, or its reference.
        tags: the tags of each query, or their source: see `choose_tags`.
        vectors: the encoder's vectors of the queries, shape (n, 2 * width), if they are already computed.
        progress: called with the step (`embed`, `compare`, `distill`), the number done and the total.

    Raises:
        ZooterError: a file or a setting is wrong, or there are no queries to learn from.
        WorkError: the encoder does not load, the training does not converge, or the disk is full.
    """
    scores = as_scores(scores)
    scores.check_choice()
    if folder is not None:
        check_folder(Path(folder))
    if isinstance(encoder, str):
        encoder = open_encoder(encoder)
    if vectors is None:
        texts = [query.text for query in scores.queries]
        vectors = encoder.embed_all(texts, lambda done: progress("embed", done, len(texts)))
    index = TagIndex.of(choose_tags(scores, tags, vectors, training.seed) if isinstance(tags, str) else tags)
    for name, count in (("tags", len(index)), ("vectors", len(vectors))):
        if count != len(scores.queries):
            raise ZooterError(f"{name} of {len(scores.queries)} queries", str(count), "Give one for each query.")
    labelled = Labelled.of(scores, index, labels)
    checkpoint = None if folder is None else Path(folder) / CHECKPOINT
    trained = train(labelled, vectors, encoder, training, progress, checkpoint=checkpoint)
    if checkpoint is not None:
        with update_folder(checkpoint.parent, CONFIG) as partial:
            trained.save(partial, partial / REPORT)
        remove(checkpoint)
    return trained.router


TAG_SOURCES = ("given", "clusters", "none", "auto")


def choose_tags(scores: Scores, source: str, vectors: Vectors, seed: int = 0) -> Sequence[Sequence[str]]:
    """The tags of each query.

    Args:
        source: `given` for the tags in the scores, `clusters` for clusters of similar queries, `none`, or `auto`, which
            is `given` if any query has tags, otherwise `clusters`.
        vectors: the vectors of the queries for clusters, shape (n, width).
    """
    if source not in TAG_SOURCES:
        raise ZooterError(f"tags as one of {listed(TAG_SOURCES)}", f'"{source}"', did_you_mean(source, TAG_SOURCES))
    query_tags = [query.tags for query in scores.queries]
    if source == "clusters" or (source == "auto" and not any(query_tags)):
        return name_clusters(cluster_tags(vectors, seed), [query.text for query in scores.queries])
    return [()] * len(query_tags) if source == "none" else query_tags


def distill_run(
    run: Run, ensemble: Ensemble, encoder: str, config: DistillConfig, progress: Progress = quiet
) -> Report:
    """Train a router on the labels of the training fold, and evaluate it on the held-back queries.

    `router/` and `report.json` are written elsewhere first, and renamed when they are complete. If the step is already
    finished, its report is returned. If responses are missing, the step stays open.
    """
    run.begin("distill", distill_settings(encoder, config))
    if run.is_finished("distill"):
        return load_report(run.folder / REPORT)
    labelled, model = Labelled.read(run), ensemble.encoders(encoder)
    scores, checkpoint = labelled.scores, run.folder / CHECKPOINT
    vectors = model.embed_all([query.text for query in scores.queries])
    tokens, thoughts, seconds = run.of_responses("tokens", "thought_tokens", "seconds")
    prices = pricing.known_prices(ensemble.fleet, run.pool)
    dollars = None if prices is None else pricing.dollars(prices, tokens)
    rewards, *outcomes = run.samples()
    trained = train(labelled, vectors, model, config, progress, Sampled(rewards, dollars, tokens), checkpoint)
    per_answer = np.full(tokens.shape, np.nan) if dollars is None else dollars / 1000
    answers = AnswerTable(scores.scores, tokens, thoughts, seconds, per_answer)
    complete = replace(
        trained.report,
        set_aside=run.set_aside(),
        verified=verified_figures(scores.candidates, *outcomes),
        thinking=compare_thinking(answers, scores, ensemble.fleet),
    )
    trained = replace(trained, report=complete)
    with writing(run.folder), atomic(run.folder / ROUTER) as router, atomic(run.folder / REPORT) as written:
        trained.save(router, written)
    remove(checkpoint)
    if run.is_finished("label"):
        run.finish("distill")
    return trained.report


def fair_choices(
    run: Run, ensemble: Ensemble, encoder: str, config: DistillConfig
) -> tuple[Scores, NDArray[np.float64], NDArray[np.float64]]:
    """The scores of choices in a finished run, made by routers that have not learned from the query.

    On held-back queries, the run's router chooses. On training queries, routers from cross-validation choose.

    Returns:
        The scores of n queries; the score of each choice, shape (n,), NaN where there is none; and the number of each
        query's fold, shape (n,), where held-back queries have their own fold.
    """
    labelled = Labelled.read(run)
    scores = labelled.scores.without_barely_scored()
    vectors = ensemble.encoders(encoder).embed_all([query.text for query in scores.queries])
    head = RouterHead.load(run.folder / ROUTER)
    earned = chosen(head.probabilities(vectors), scores.scores)
    folds, rows = np.zeros(len(earned)), labelled.rows
    earned[rows] = np.nan
    if len(rows) >= FEWEST:
        crossed, _, parts = earned_by(labelled.training_fold(vectors), config)
        earned[rows], folds[rows] = crossed, parts + 1
    return scores, earned, folds


@dataclass(frozen=True)
class Trained:
    """A router, its report, and its training queries: a part of them in full, and hashes of the texts of all."""

    router: DistilledRouter
    neighbours: Neighbours
    learned: NDArray[np.uint64]
    report: Report

    def save(self, folder: Path, report: Path) -> None:
        """Write the router's folder and report.json."""
        with writing(folder):
            private_folder(folder)  # it may hold the queries' texts
            self.router.save(folder)
            self.neighbours.save(folder)
            np.save(folder / LEARNED, self.learned, allow_pickle=False)
            self.report.write(report)


@dataclass(frozen=True)
class Labelled:
    """The scores of n queries, and the labels computed from them."""

    scores: Scores
    config: LabelConfig
    learned: NDArray[np.bool_]  # a mask of the queries in the training fold, shape (n,)
    # The labels, shape (n, N).
    plain: NDArray[np.float64]
    enhanced: NDArray[np.float64]
    tags: TagIndex

    @classmethod
    def of(cls, scores: Scores, tags: TagIndex, config: LabelConfig) -> Labelled:
        """The labels from scores. Tag priors come from the training fold only; held-back queries have plain labels."""
        learned = ~draw_held_back(scores.queries, config)
        rows = None if learned.all() else np.flatnonzero(learned)
        table = label(scores.scores, scores.datasets, tags, config, rows)
        return cls(scores, config, learned, table.plain, table.enhanced, tags)

    @classmethod
    def read(cls, run: Run) -> Labelled:
        """The scores and labels of a run after the step label."""
        scores, config = run.scores(), LabelConfig(**run.state["steps"]["label"])
        lines = run.lines(LABELS, [query.id for query in scores.queries])
        plain, enhanced = (np.array([line[name] for line in lines]) for name in ("plain", "enhanced"))
        learned = np.array([line["fold"] == "train" for line in lines])
        return cls(scores, config, learned, plain, enhanced, TagIndex.of(run.tags()))

    @property
    def rows(self) -> NDArray[np.intp]:
        """The row numbers of the queries in the training fold."""
        return np.flatnonzero(self.learned)

    @property
    def part(self) -> slice | NDArray[np.intp]:
        """The training fold as an index. If it has all queries, this is a slice, which avoids copies."""
        return slice(None) if self.learned.all() else self.rows

    def training_fold(self, vectors: Vectors) -> Scored:
        """The training data in the training fold. `vectors` are the vectors of all queries, shape (n, width)."""
        rows, scores, datasets = self.rows, self.scores.without_barely_scored(), self.scores.datasets
        groups = [datasets[row] for row in rows]
        return Scored.of(scores.scores[rows], groups, self.tags.rows(rows), vectors[self.part], self.config)


def train(
    labelled: Labelled,
    vectors: Vectors,
    encoder: TextEncoder,
    config: DistillConfig,
    progress: Progress,
    sampled: Sampled | None = None,
    checkpoint: Path | None = None,
) -> Trained:
    """Train a router on the training fold, and compute the report on the held-back queries.

    Scores of candidates with hardly any scores (`Scores.barely_scored`) are ignored.

    Args:
        vectors: the encoder's vectors of the queries, shape (n, 2 * width).
        sampled: the individual responses, for the report.
        checkpoint: the file for checkpoints of fine-tuning (router/finetune.py).
    """
    scores, rows = labelled.scores.without_barely_scored(), labelled.rows
    if not len(rows):
        step = "Lower the share that is held back, or give more queries."
        raise ZooterError("a query to learn from", f"none: all {len(scores.queries)} are held back", step)
    fold, labels = labelled.training_fold(vectors), labelled.enhanced[labelled.part]
    losses: list[float] = []
    cross_validated = None

    def after_epoch(epoch: int, loss: float) -> None:
        losses.append(loss)
        progress("distill", epoch, config.epochs)

    if config.finetune == "none":
        head, cross_validated = _head(fold, labels, scores.candidates, encoder, config, after_epoch, progress)
        router = DistilledRouter(head, encoder)
        progress("distill", config.epochs, config.epochs)  # training may have stopped earlier
    else:
        check_torch("--finetune")
        from zooter_core.router.finetune import Training

        encoder = encoder if isinstance(encoder, Encoder) else Encoder(encoder.reference)
        texts = [scores.queries[row].text for row in rows]
        training = Training(texts, fold.vectors, labels, fold.scores, scores.candidates, encoder, config, checkpoint)
        router = training.run(lambda done, total: progress("distill", done, total))
        losses = training.losses
        vectors = router.encoder.embed_all([query.text for query in scores.queries])
    if config.kind in LEARN_LABELS:
        router.head.config.labels = {name: getattr(labelled.config, name) for name in ("beta", "tau", "normalise")}
    neighbours = _neighbours(router, labelled, vectors, config)
    held_back = ~labelled.learned
    outputs = _outputs(router, neighbours, vectors[held_back]) if held_back.any() else None
    entropies = entropy(labelled.plain).tolist()
    corrected = config.kind == PROFILE  # its means depend on the noise of each fold
    figures = report(labelled.scores, entropies, held_back, outputs, sampled, cross_validated, corrected)
    learned = np.unique(text_hashes(scores.queries[row].text for row in rows))
    return Trained(router, neighbours, learned, replace(figures, losses=losses))


def _head(
    scored: Scored,
    labels: NDArray[np.float64],
    candidates: Sequence[str],
    encoder: TextEncoder,
    config: DistillConfig,
    after_epoch: Callable[[int, float], None],
    progress: Progress,
) -> tuple[RouterHead, NDArray[np.float64] | None]:
    """A head for the frozen encoder, and its results in cross-validation (`Chosen.earned`) if the kind has some."""
    if config.kind == AUTO_KIND:
        return learn_auto_kind(
            scored, candidates, encoder.reference, config, after_epoch,
            lambda done, total: progress("compare", done, total),
        )  # fmt: skip
    head = learn(scored.vectors, labels, candidates, encoder.reference, config, after_epoch, scored.scores)
    judged = config.kind == PROFILE and len(labels) >= FEWEST
    return head, earned_by(scored, config) if judged else None


def _outputs(router: DistilledRouter, neighbours: Neighbours, vectors: Vectors) -> selection.Outputs:
    """The router's outputs for queries, given by their vectors, with the expected gain of a second answer."""
    vectors = np.asarray(vectors, dtype=np.float32)
    probabilities = router.head.probabilities(vectors)
    return selection.Outputs(probabilities, neighbours.gain_ranks(vectors, selection.ranking(probabilities)[:, :2]))


def _neighbours(router: DistilledRouter, labelled: Labelled, vectors: Vectors, config: DistillConfig) -> Neighbours:
    """The training queries to store in the router's folder, a sample that includes rare tags."""
    scores, rows = labelled.scores.without_barely_scored(), labelled.rows
    rows = rows[sample_rows(labelled.tags.rows(rows), seed=config.seed)]
    near = np.asarray(vectors[rows], dtype=np.float32)
    examples = scores.subset(rows.tolist()).tagged(labelled.tags.rows(rows))
    sentences = router.encoder.sentence(near)
    return Neighbours.of(
        examples,
        sentences,
        labelled.plain[rows],
        router.head.probabilities(near),
        config.keep_texts,
        near[:, : near.shape[1] - sentences.shape[1]],
    )
