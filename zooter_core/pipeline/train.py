"""Train a router on the training fold of labelled queries and report on the held-back fold, into a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from zooter_core.data.runs import REPORT, ROUTER
from zooter_core.data.scores import Scores
from zooter_core.evaluation.evaluate import Sampled, report
from zooter_core.evaluation.report import Report
from zooter_core.files import private_folder, writing
from zooter_core.records import Label
from zooter_core.router import distill as distillation
from zooter_core.router.encoder import Encoder
from zooter_core.router.finetune import finetune
from zooter_core.router.kinds import DistillConfig
from zooter_core.router.neighbours import Neighbours

Progress = Callable[[str, int, int], None]  # step, done, of how many


def fit_router(
    scores: Scores,
    made: Sequence[Label],
    folder: Path,
    encoder: Encoder,
    config: DistillConfig,
    progress: Progress,
    sampled: Sampled | None = None,
    set_aside: Mapping[str, str] | None = None,
) -> Report:
    """Train on the training fold and report on the held-back one, into `router/` and `report.json` of an empty folder.

    The training queries stay in the router's folder as neighbours, with the tags that they have in `scores`, their
    rewards, the finished router's probabilities, and a map of them.

    Args:
        set_aside: queries without rewards for the report: id -> why.
    """
    train = [row for row, label in enumerate(made) if label.fold == "train"]
    make = finetune if config.finetune != "none" else distillation.distill
    losses: list[float] = []

    def tell(epoch: int, loss: float) -> None:
        losses.append(loss)
        progress("distill", epoch, config.epochs)

    router = make(
        [scores.queries[row].text for row in train],
        np.array([made[row].enhanced for row in train]),
        scores.candidates,
        encoder,
        config,
        tell,
        scores.scores[train],
    )
    progress("distill", config.epochs, config.epochs)  # it may have stopped earlier
    plain = np.array([made[row].plain for row in train])
    learned = scores.subset(train)
    vectors = router.encoder.embed_all([query.text for query in learned.queries])
    said = router.of_vectors(vectors)
    near = Neighbours.of(learned, router.encoder.sentence(vectors), plain, config.keep_texts, said)
    kept = [label.fold == "held_back" for label in made]
    figures = report(router, scores, kept, [label.entropy for label in made], sampled)
    written = Report(**figures, losses=losses, set_aside=dict(set_aside or {}))
    with writing(folder):
        private_folder(folder / ROUTER)  # it may hold the queries' texts
        router.save(folder / ROUTER)
        near.save(folder / ROUTER)
        written.write(folder / REPORT)
    return written
