"""Router kind `bayes`: a Bayesian regression of each candidate's score on a query's skills and text.

    logits(q)_i = w_i (1, P(s | q) for sixteen skills, q / |q|)

Scores are taken relative to their mean over the candidates. The evidence (marginal likelihood) chooses three prior
variances: for the candidates' levels, for skills, and for the text (method/evidence.py). If the scores depend little on
skills and text, the router is close to the best single candidate, so `auto` uses it as its fallback. The skills come
from the classifier of `profile`. With an encoder of another width, they are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.skills import SKILLS
from zooter_core.labelling.skills import WIDTH
from zooter_core.method import evidence, mixture
from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.arrays import Array, softmax, unit
from zooter_core.router.kinds.base import Head, Lessons, sums, zeros
from zooter_core.router.kinds.profile import classifier_state

TRIED = 200  # queries whose evidence is computed; the time grows with the cube of their number
AVERAGED = 10  # the number of most probable ratios over which the weights are averaged
# The prior variances to compare, as ratios to the variance of the noise. The ratio 0 leaves out the skills or the text.
# Each ratio of the text has a log prior probability. Without it, if one candidate is best on nearly all queries, the
# varied scores of the others would favour large ratios.
LEVELS, OF_SKILLS, OF_TEXT = (0.3, 1.0), (0.0, 0.03, 0.1, 0.3), {0.0: 0.0, 0.03: 0.0, 0.1: 0.0, 0.3: -5.0, 1.0: -10.0}


class BayesHead(Head):
    """A head without settings. The evidence decides how much it differs from the best single candidate."""

    TRAINED = False

    def __init__(self, width: int, candidates: int) -> None:
        self.state = {}
        if width == 2 * WIDTH:
            self.state = {"skills.weight": zeros(WIDTH, len(SKILLS)), "skills.bias": zeros(len(SKILLS))}
        self.state["weight"] = zeros(1 + len(self.state.get("skills.bias", ())) + width, candidates)

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        if "skills.weight" in self.state:
            self.state["skills.weight"], self.state["skills.bias"] = classifier_state(WIDTH)
        scores = mixture.relative(lessons.scores.astype(np.float64))
        self.state["weight"] = self._weights(lessons, scores, config.seed)

    def features(self, vectors: Array) -> Array:
        """Shape (batch, d)."""
        parts = [np.ones((len(vectors), 1), dtype=vectors.dtype), unit(vectors)]
        if "skills.weight" in self.state:
            weight = self.state["skills.weight"]
            parts.insert(1, softmax(vectors[:, -len(weight) :] @ weight + self.state["skills.bias"]))
        return np.concatenate(parts, axis=1)

    def logits(self, vectors: Array) -> Array:
        return self.features(vectors) @ self.state["weight"]

    def _weights(self, lessons: Lessons, scores: NDArray[np.float64], seed: int = 0) -> NDArray[np.float32]:
        weights = np.zeros((len(self.state["weight"]), scores.shape[1]))
        size = mixture.size(scores)
        if size:
            tried = np.sort(np.random.default_rng(seed).permutation(len(scores))[:TRIED])
            skills = len(self.state.get("skills.bias", ()))
            groups = np.repeat([0, 1, 2], [1, skills, len(weights) - 1 - skills])
            grid = np.array(list(itertools.product(LEVELS, OF_SKILLS if skills else (0.0,), OF_TEXT)))
            features = self.features(lessons.batch(tried)).astype(np.float64)
            before = np.array([OF_TEXT[ratio] for ratio in grid[:, 2].tolist()])
            probable = evidence.shares(features, groups, scores[tried] / size, grid, before)
            best = np.argsort(-probable, kind="stable")[:AVERAGED]
            for scored, columns in evidence.scored_alike(scores):
                mean = self._posterior(lessons, np.flatnonzero(scored), scores[:, columns])
                for share, ratios in zip(probable[best] / probable[best].sum(), grid[best], strict=True):
                    weights[:, columns] += share * mean(ratios[groups])
        return weights.astype(np.float32)

    def _posterior(
        self, lessons: Lessons, rows: NDArray[np.intp], scores: NDArray[np.float64]
    ) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        """The posterior mean of the weights, given some queries, as a function of the ratios."""
        if len(rows) <= len(self.state["weight"]):
            return partial(evidence.posterior, self.features(lessons.batch(rows)).astype(np.float64), scores[rows])
        return partial(evidence.posterior_of_sums, *sums(lessons, rows, scores, self.features))
