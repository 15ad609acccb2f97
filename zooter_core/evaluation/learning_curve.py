"""How an extended router improves with the number of scored queries, compared with the old one and new ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError
from zooter_core.data.scores import Scores
from zooter_core.evaluation.verdicts import verdict_of
from zooter_core.method import metrics
from zooter_core.method.metrics import Array, mean
from zooter_core.router.distill import learn
from zooter_core.router.distilled import RouterHead
from zooter_core.router.extend import FEWEST, Examples, extend
from zooter_core.router.kinds import settings_of

Progress = Callable[[str, int, int], None]
SIZES, SEEDS = (50, 200, 1000), 3
MOST = 100_000  # queries to learn from and to judge by
JUDGED = 5  # one query in five is held back to judge by


def sizes_of(queries: int, sizes: Sequence[int] | None = None) -> tuple[int, ...]:
    """The numbers of queries to learn from: `sizes`, or those of SIZES that leave a fifth to judge by, as all must."""
    most = queries - -(-queries // JUDGED)
    if sizes is None:
        return tuple(size for size in SIZES if size <= most)
    for size in sizes:
        if not FEWEST <= size <= most:
            raise ZooterError(
                f"--curve as numbers from {FEWEST} to {most}, which leaves a fifth of the queries to judge by",
                str(size),
                "Correct it, or score more queries.",
            )
    return tuple(sizes)


def learning_curve(
    head: RouterHead,
    examples: Examples,
    sizes: Sequence[int],
    seed: int = 0,
    progress: Progress = lambda step, done, of: None,
) -> dict[str, Any] | None:
    """The mean scores of routers over the wider pool on a fifth of the queries, averaged over SEEDS such fifths.

    Routers are judged on queries that the old one has not learned from, if its folder says which those are (`unseen`);
    with fewer than FEWEST of them, there is no curve. Of more than MOST queries a random sample is used, as large as
    the sizes need.

    Returns:
        `rows`, for each size `n`: the score of a router extended with n random ones of the other queries (`extended`),
        the 95% interval of that minus the old router's (`extended_minus_old`, over queries; None where the two choose
        alike), how often it chooses the new candidate (`chosen`), and the score of a router distilled from the same n
        queries alone (`scratch`).
        `all` is a router distilled from all of the other queries, `single` the candidate that is best on those, `old`
        the old router, `oracle` the best score of each query; `judged` and `learned` are the numbers of queries.
        `unseen` is whether the old router is known not to have learned from the judged ones. `verdict` and
        `against_old` are verdicts on the router that was extended with most queries, against the best single candidate
        and against the old router.
    """
    most = max(MOST, -(-max(sizes, default=0) * JUDGED // (JUDGED - 1)))
    examples = examples.sample(most, seed)
    queries = len(examples.scores.queries)
    new = np.arange(queries) if examples.familiar is None else np.flatnonzero(~examples.familiar)
    count = min(-(-queries // JUDGED), len(new))
    if count < min(FEWEST, -(-queries // JUDGED)):
        return None
    earned: dict[str, Array] = {}  # method -> shape (seeds, queries); NaN where a query was learned from
    for turn in range(SEEDS):
        mixed = np.random.default_rng(seed + turn).permutation(queries)
        test = mixed[np.isin(mixed, new)][:count]
        train = mixed[~np.isin(mixed, test)]
        for name, values in _turn(head, examples.subset(train), examples.subset(test), sizes, seed + turn).items():
            earned.setdefault(name, np.full((SEEDS, queries), np.nan))[turn, test] = values
        progress("curve", turn + 1, SEEDS)
    figures = {"unseen": examples.familiar is not None, **_figures(earned, sizes)}
    return figures | _verdicts(examples.scores, earned, max(sizes)) if sizes else figures


def _verdicts(scores: Scores, earned: dict[str, Array], size: int) -> dict[str, Any]:
    """The verdicts on the router that was extended with `size` queries, by what the methods earned."""
    single = scores.candidates[int(np.nanargmax(mean(scores.scores, axis=0)))]
    verdicts = {}
    for key, other, name in (("verdict", "single", single), ("against_old", "old", "the old router")):
        gains = mean(earned[f"extended {size}"] - earned[other], axis=0)
        verdict = verdict_of(scores, gains, np.zeros_like(gains), name, "held-back")
        verdicts[key] = verdict.to_json()
    return verdicts


def _turn(head: RouterHead, train: Examples, test: Examples, sizes: Sequence[int], seed: int) -> dict[str, Array]:
    """The score of each method's choice on the test queries, shape (test,)."""
    table = test.scores.scores

    def choices(head: RouterHead) -> NDArray[np.intp]:
        return head.logits(test.vectors).argmax(axis=1)

    def scores(head: RouterHead) -> Array:
        return table[np.arange(len(table)), choices(head)]

    methods = {
        "old": scores(head),
        "single": table[:, np.nanargmax(mean(train.scores.scores, axis=0))],
        "all": scores(from_scratch(head, train, seed)),
        "oracle": np.fmax.reduce(table, axis=1),
    }
    for size in sizes:
        part = train.subset(range(size))  # they are in random order
        extended = extend(head, part, seed).head
        methods[f"extended {size}"] = scores(extended)
        methods[f"chosen {size}"] = (choices(extended) == table.shape[1] - 1).astype(float)
        methods[f"scratch {size}"] = scores(from_scratch(head, part, seed))
    return methods


def from_scratch(head: RouterHead, examples: Examples, seed: int) -> RouterHead:
    """A router of the same kind over the wider pool that has learned from these queries alone."""
    return learn(
        examples.vectors,
        examples.labels(),
        examples.scores.candidates,
        head.config.encoder,
        settings_of(head.config.kind, seed=seed),
        scores=examples.scores.scores,
    )


def _figures(earned: dict[str, Array], sizes: Sequence[int]) -> dict[str, Any]:
    means = {method: float(np.nanmean(values)) for method, values in earned.items()}
    judged = ~np.isnan(earned["oracle"])

    rows = [
        {
            "n": size,
            **{name: means[f"{name} {size}"] for name in ("extended", "chosen", "scratch")},
            "extended_minus_old": None if math.isnan(spread[0]) else spread,
        }
        for size in sizes
        for spread in (metrics.interval(mean(earned[f"extended {size}"] - earned["old"], axis=0)),)
    ]
    count = int(judged[0].sum())
    others = {name: means[name] for name in ("old", "single", "all", "oracle")}
    return {"judged": count, "learned": judged.shape[1] - count, "seeds": SEEDS, "rows": rows, **others}
