"""The responses in score files: their rewards by a fleet's reward model, and their length in tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from zooter_core.base.errors import ZooterError, listed
from zooter_core.data.prices import TOKENS
from zooter_core.data.scores import Scores
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.metrics import Array
from zooter_core.method.mixture import chosen
from zooter_core.router.text_encoder import TextEncoder

Texts = Sequence[Mapping[str, str]]  # for each query, the response of each candidate


def check_complete(scores: Scores, texts: Texts) -> None:
    """Refuse score files that lack the response of a candidate, which --rmr needs."""
    for query, responses in zip(scores.queries, texts, strict=True):
        if missing := [name for name in scores.candidates if name not in responses]:
            raise ZooterError(
                f"the responses of all candidates to the query {query.id}, for --rmr",
                f"none of {listed(missing)}",
                'Add "responses" to every line, or leave --rmr out.',
            )


def rewards(
    ensemble: Ensemble, scores: Scores, texts: Texts, progress: Callable[[int], None]
) -> tuple[Array, dict[str, str]]:
    """Rewards of responses by a fleet's reward model, shape (n, N), -inf for a response that is empty or has no reward;
    and why queries are set aside, by their id. `progress` is called with the number of finished queries."""
    answered = [[column for column, name in enumerate(scores.candidates) if row[name]] for row in texts]
    queries = [
        (query.text, [row[scores.candidates[column]] for column in columns])
        for query, row, columns in zip(scores.queries, texts, answered, strict=True)
    ]
    table, reasons = np.full(scores.scores.shape, -np.inf), dict[str, str]()
    for row, result in enumerate(ensemble.score_responses(queries, progress)):
        table[row, answered[row]] = [-np.inf if reward is None else reward for reward in result.rewards]
        if result.reason:
            reasons[scores.queries[row].id] = result.reason
    progress(len(texts))
    return table, reasons


def best_scores(scores: Scores, rewards: Array) -> Array:
    """The score of the response with the highest reward (RMR), shape (n,); NaN where none has a reward."""
    return np.where(np.isfinite(rewards).any(axis=1), chosen(rewards, scores.scores), np.nan)


def token_counts(encoder: TextEncoder, scores: Scores, texts: Texts) -> Array:
    """Tokens of each response by the encoder's tokenizer, shape (n, N); TOKENS where there is no response."""
    places = [
        (row, column)
        for row, responses in enumerate(texts)
        for column, name in enumerate(scores.candidates)
        if name in responses
    ]
    table = np.full(scores.scores.shape, float(TOKENS))
    counts = encoder.count([texts[row][scores.candidates[column]] for row, column in places])
    for place, count in zip(places, counts, strict=True):
        table[place] = count
    return table
