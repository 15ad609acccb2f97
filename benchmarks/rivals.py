"""Routers from the literature, in another benchmark: python benchmarks/rivals.py heads.py FILE --kinds zooter knn mf

Runs a script of this folder with five more kinds of router, on the same frozen encoder and the same scores: `knn`,
`ridge`, `cosine`, `routerdc` and `mf`. PyTorch trains the last three by gradient descent.
"""

from __future__ import annotations

import math
import runpy
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch.nn import functional

from zooter_core.evaluation import baselines
from zooter_core.method.evidence import scored_alike
from zooter_core.method.metrics import win_shares
from zooter_core.router.clusters import clusterings
from zooter_core.router.kinds import KINDS, DistillConfig, Progress
from zooter_core.router.kinds.arrays import Array
from zooter_core.router.kinds.arrays import unit as unit_array
from zooter_core.router.kinds.base import Head, Lessons, Rows, sums, uniform, zeros
from zooter_core.router.kinds.linear import LinearHead

RIVALS = {
    "knn": "rivals:NearestHead",
    "ridge": "rivals:RidgeHead",
    "cosine": "rivals:CosineHead",
    "routerdc": "rivals:ContrastiveHead",
    "mf": "rivals:FactorHead",
}
Tensor = torch.Tensor
unit = partial(functional.normalize, dim=-1)


# In closed form


class NearestHead(Head):
    """The scores on the most similar training queries (RouterBench, arXiv 2403.12031; as good as learned routers,
    according to arXiv 2505.12601).

    With k = 1 the logits are the nearest query's scores; a high temperature makes the mean unweighted.
    """

    TRAINED = False
    EXTRA: ClassVar[Mapping[str, float]] = {"k": baselines.NEIGHBOURS, "temperature": baselines.TEMPERATURE}

    def __init__(self, width: int, candidates: int, k: int, temperature: float, rows: int) -> None:
        self.k, self.temperature = k, temperature
        self.state = {"vectors": zeros(rows, width), "scores": zeros(rows, candidates)}

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        return {name: cls.setting(config, name) for name in cls.EXTRA} | {"rows": len(lessons.vectors)}

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        vectors = unit_array(lessons.batch(slice(None)))
        scores = baselines.completed(vectors, lessons.scores, self.k, self.temperature)
        self.state = {"vectors": vectors, "scores": scores}

    def logits(self, vectors: Array) -> Array:
        return baselines.predicted(vectors, self.state["vectors"], self.state["scores"], self.k, self.temperature)


class RidgeHead(LinearHead):
    """Each candidate's score as a linear function of the vector (arXiv 2505.12601).

        W = (X'X + penalty I)^-1 X'Y,   logits(q) = (q - mean x) W + mean y

    X and Y are the training vectors and scores minus their means: the intercept is a weight without a penalty. A large
    penalty leaves only the mean scores.
    """

    EXTRA: ClassVar[Mapping[str, float]] = {"penalty": 30.0}

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        width, scores = lessons.vectors.shape[1], lessons.scores.astype(np.float64)
        penalties = np.diag([0.0, *[self.setting(config, "penalty")] * width])
        weights = np.zeros((1 + width, scores.shape[1]))
        for scored, columns in scored_alike(scores):  # each candidate from the queries that have its score
            gram, product = sums(
                lessons, np.flatnonzero(scored), scores[:, columns], lambda vectors: np.insert(vectors, 0, 1.0, axis=1)
            )
            weights[:, columns] = np.linalg.solve(gram + penalties, product)
        self.state = {"weight": weights[1:].astype(np.float32), "bias": weights[0].astype(np.float32)}


# By gradient descent


class EmbeddedHead(Head):
    """A head with a learned vector for each candidate, which projects the query into their space.

    It computes with tensors, even if its inputs and outputs are arrays.
    """

    drop: Callable[[Tensor], Tensor] | None = None
    TRAINING: ClassVar[Mapping[str, float]] = {"hidden": 128, "dropout": 0.1, "epochs": 30}

    def __init__(self, width: int, candidates: int, hidden: int, dropout: float) -> None:
        self.dropout = dropout
        self.state = {"candidates": zeros(candidates, hidden)}
        self.state |= {"project.weight": zeros(hidden, width), "project.bias": zeros(hidden)}

    def logits(self, vectors: Array) -> Array:
        with torch.no_grad():
            weights: Any = {name: torch.as_tensor(value) for name, value in self.state.items()}
            head = self.on(weights)
            return head.compare(head.query(torch.as_tensor(vectors))).numpy()

    def query(self, vectors: Tensor) -> Tensor:
        """Vectors (batch, width) -> (batch, hidden)."""
        states = vectors @ self.state["project.weight"].T + self.state["project.bias"]
        return self.drop(states) if self.drop else states

    def compare(self, query: Tensor) -> Tensor:
        """Projected queries, as returned by `query` -> logits (batch, m)."""
        raise NotImplementedError

    def objective(self, lessons: Lessons, config: DistillConfig) -> Callable[[Self, Rows], Tensor]:
        """The loss of a head of tensors on a batch of queries, by their row numbers."""
        raise NotImplementedError

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        """Minimise the mean of the objective over the batches by AdamW."""
        self.start(config.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            loss_of = self.objective(lessons, config)
            weights = {name: torch.from_numpy(value).requires_grad_() for name, value in self.state.items()}
            learning = self.on(weights)
            learning.drop = lambda states: functional.dropout(states, self.dropout)
            optimizer = torch.optim.AdamW(weights.values(), lr=config.rate, weight_decay=config.decay, fused=True)
            for epoch in range(1, config.epochs + 1):
                total = 0.0
                for rows in torch.randperm(len(lessons.vectors)).split(config.batch):
                    loss = loss_of(learning, rows.numpy())
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    total += loss.item() * len(rows)
                progress(epoch, total / len(lessons.vectors))  # the tensors share the state's memory

    def start(self, seed: int) -> None:
        """Set the first weights at random."""
        rng, (hidden, width) = np.random.default_rng(seed), self.state["project.weight"].shape
        for name in ("project.weight", "project.bias"):
            self.state[name] = uniform(rng, width**-0.5, self.state[name].shape)
        first = rng.standard_normal(self.state["candidates"].shape, dtype=np.float32)
        self.state["candidates"] = first * np.float32(hidden**-0.5)


class CosineHead(EmbeddedHead):
    """A cosine classifier of the best candidate (a baseline of RouterDC, arXiv 2409.19886).

        logits(q) = scale * cos(P q, e_i),   loss = cross-entropy with the best candidates

    P, the candidates' vectors e_i and the logarithm of the scale are learned (Gidaris & Komodakis, arXiv 1804.09501).
    Candidates that share the highest score share the query. A query on which all scores are equal is ignored.
    """

    UNSCORED = -1e9  # logit of a candidate without a score on a query, so that only the others can win

    def __init__(self, width: int, candidates: int, hidden: int, dropout: float) -> None:
        super().__init__(width, candidates, hidden, dropout)
        self.state["log_scale"] = np.full((), math.log(5.0), dtype=np.float32)

    def objective(self, lessons: Lessons, config: DistillConfig) -> Callable[[Self, Rows], Tensor]:
        targets, missing = torch.from_numpy(best_shares(lessons.scores)), torch.from_numpy(np.isnan(lessons.scores))

        def loss_of(head: Self, rows: Rows) -> Tensor:
            logits = head.compare(head.query(torch.from_numpy(lessons.batch(rows))))
            return best_loss(logits.masked_fill(missing[rows], self.UNSCORED), targets[rows])

        return loss_of

    def compare(self, query: Tensor) -> Tensor:
        return self.state["log_scale"].exp() * (unit(query) @ unit(self.state["candidates"]).T)


def best_shares(scores: np.ndarray) -> np.ndarray:
    """Equal shares for each query's best candidates, shape (n, m); a row of zeros if all scores are equal."""
    decided = np.fmax.reduce(scores, axis=1, keepdims=True) > np.fmin.reduce(scores, axis=1, keepdims=True)
    return (np.nan_to_num(win_shares(scores.astype(np.float64))) * decided).astype(np.float32)


def best_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy in nats over the queries with a best candidate; zero if there are none."""
    return -(targets * torch.log_softmax(logits, dim=-1)).sum() / targets.sum().clamp(min=1)


class FactorHead(EmbeddedHead):
    """Matrix factorisation on pairwise wins (RouteLLM, arXiv 2406.18665, section 4.2).

        logits(q)_i = v_i . (P q + b),   P(i beats j on q) = sigmoid(logits_i - logits_j)

    RouteLLM compares two candidates at a time by human preferences; here, each pair with different scores is a win.
    RouteLLM's weight vector after the product is absorbed into v_i.
    """

    def objective(self, lessons: Lessons, config: DistillConfig) -> Callable[[Self, Rows], Tensor]:
        scores = torch.from_numpy(lessons.scores)
        return lambda head, rows: wins_loss(
            head.compare(head.query(torch.from_numpy(lessons.batch(rows)))), scores[rows]
        )

    def compare(self, query: Tensor) -> Tensor:
        return query @ self.state["candidates"].T


def wins_loss(logits: Tensor, scores: Tensor) -> Tensor:
    """The mean of -log sigmoid(logits_i - logits_j) over the pairs in which i scores higher. Shapes (batch, m)."""
    wins = scores.unsqueeze(2) > scores.unsqueeze(1)
    margins = logits.unsqueeze(2) - logits.unsqueeze(1)
    return -functional.logsigmoid(margins)[wins].sum() / wins.sum().clamp(min=1)


class ContrastiveHead(EmbeddedHead):
    """Dual contrastive learning (RouterDC, arXiv 2409.19886), on the frozen encoder.

        logits(q) = cos(P q, k_i) / temperature
        loss = sample-LLM loss + spread * sample-sample loss

    Differences from the paper: the encoder stays frozen and a projection P is learned instead; a candidate counts as
    good on a query if it is above the query's mean score, not above 0.5, so that any scale of scores works (on 0/1
    scores it is the same); clusters are k-means on the encoder's vectors, without t-SNE first. The settings are the
    paper's.
    """

    TRAINING: ClassVar[Mapping[str, float]] = {**EmbeddedHead.TRAINING, "batch": 64}
    EXTRA: ClassVar[Mapping[str, float]] = {
        "positives": 3,
        "negatives": 3,
        "strangers": 3,
        "clusters": 5,
        "spread": 1.0,
        "temperature": 1.0,
    }

    def __init__(self, width: int, candidates: int, hidden: int, dropout: float, temperature: float = 1.0) -> None:
        super().__init__(width, candidates, hidden, dropout)
        self.temperature = temperature

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, float]:
        return {**super().plan(lessons, config), "temperature": cls.setting(config, "temperature")}

    def objective(self, lessons: Lessons, config: DistillConfig) -> Callable[[Self, Rows], Tensor]:
        settings = {name: self.setting(config, name) for name in self.EXTRA}
        most, rng = min(settings["clusters"], len(lessons.vectors)), np.random.default_rng(config.seed)
        _, (owners,) = clusterings(lessons.vectors, most, rng)
        clusters, scores = torch.from_numpy(owners), torch.from_numpy(lessons.scores)

        def loss_of(head: Self, rows: Rows) -> Tensor:
            query = head.query(torch.from_numpy(lessons.batch(rows)))
            good, bad = settings["positives"], settings["negatives"]
            loss = sample_llm_loss(head.compare(query), scores[rows], good, bad)
            similarities = query @ query.T / self.temperature
            return loss + settings["spread"] * sample_sample_loss(similarities, clusters[rows], settings["strangers"])

        return loss_of

    def query(self, vectors: Tensor) -> Tensor:
        return unit(super().query(vectors))

    def compare(self, query: Tensor) -> Tensor:
        return query @ unit(self.state["candidates"]).T / self.temperature


def sample_llm_loss(logits: Tensor, scores: Tensor, positives: int, negatives: int) -> Tensor:
    """The loss of equation 2, which pulls each of the best candidates to the query, away from the worst ones.

    It is the cross-entropy of each of the `positives` best candidates above the query's mean score against the
    `negatives` worst ones below it, summed over the positives and averaged over the batch. Shapes (batch, m).
    """
    level = scores.nanmean(dim=-1, keepdim=True)  # a missing score is neither good nor bad
    high, best = scores.nan_to_num(-torch.inf).topk(min(positives, scores.shape[1]), dim=-1)
    low, worst = scores.nan_to_num(torch.inf).topk(min(negatives, scores.shape[1]), dim=-1, largest=False)
    against = logits.gather(1, worst).masked_fill(low >= level, -torch.inf)
    loss = logits.new_zeros(len(logits))
    for place in range(best.shape[1]):
        good = logits.gather(1, best[:, place : place + 1])
        losses = torch.logsumexp(torch.cat([good, against], dim=-1), dim=-1) - good.squeeze(-1)
        loss = loss + torch.where(high[:, place] > level.squeeze(-1), losses, 0.0)
    return loss.mean()


def sample_sample_loss(similarities: Tensor, clusters: Tensor, strangers: int) -> Tensor:
    """The loss of equation 4, which pulls a query to one of its cluster in the batch, away from some of other clusters.

    It is the mean over the queries with another query of their cluster and one of another cluster in the batch; zero if
    there are none.

    Args:
        similarities: shape (batch, batch).
        clusters: shape (batch,).
        strangers: the number of queries that are drawn from other clusters; all if there are fewer.
    """
    same = clusters.unsqueeze(0) == clusters.unsqueeze(1)
    mates = same & ~torch.eye(len(clusters), dtype=torch.bool)
    rows = mates.any(dim=-1) & (~same).any(dim=-1)
    if not rows.any():
        return similarities.sum() * 0
    mate = torch.multinomial(mates[rows].float(), 1)
    drawn, others = (
        torch.rand(similarities.shape).masked_fill(same, -1.0)[rows].topk(min(strangers, len(clusters)), dim=-1)
    )
    together = similarities[rows].gather(1, mate)
    against = similarities[rows].gather(1, others).masked_fill(drawn < 0, -torch.inf)
    return (torch.logsumexp(torch.cat([together, against], dim=-1), dim=-1) - together.squeeze(-1)).mean()


def main() -> None:
    folder = Path(__file__).parent
    if len(sys.argv) < 2 or not (folder / sys.argv[1]).is_file():
        sys.exit("Name a script of this folder that trains routers: python benchmarks/rivals.py heads.py --help")
    KINDS.update(RIVALS)
    del sys.argv[0]
    runpy.run_path(str(folder / sys.argv[0]), run_name="__main__")


if __name__ == "__main__":
    main()
