"""How good an extended router gets with the number of scored queries, beside the old one and ones from scratch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.errors import ZooterError
from zooter_core.method import metrics
from zooter_core.router.distill import learn
from zooter_core.router.extend import FEWEST, Given, extend, logits_of
from zooter_core.router.kinds import settings_of
from zooter_core.router.router import RouterHead

Array = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
SIZES, SEEDS = (50, 200, 1000), 3
JUDGED = 5  # one query in so many is kept to judge by


def sizes_of(queries: int, asked: Sequence[int] | None = None) -> tuple[int, ...]:
    """The numbers of queries to learn from: those asked for, else those of SIZES that leave some to judge by.

    Raises:
        ZooterError: one that is asked for is too small or too large.
    """
    most = queries - -(-queries // JUDGED)
    if asked is None:
        return tuple(size for size in SIZES if size <= most)
    for size in asked:
        if not FEWEST <= size <= most:
            raise ZooterError(
                f"--curve as numbers from {FEWEST} to {most}, which leaves a fifth of the queries to judge by",
                str(size),
                "Mend it, or score more queries.",
            )
    return tuple(asked)


def growth(
    head: RouterHead,
    given: Given,
    sizes: Sequence[int],
    seed: int = 0,
    progress: Progress = lambda step, done, of: None,
) -> dict[str, Any]:
    """What routers over the wider pool earn on a fifth of the queries, as means over SEEDS such fifths.

    `rows` has for each size `n` what a router extended with n random ones of the other queries earns (`extended`), the
    95% interval of that less the old router's (`extended_minus_old`, over queries), how often it chooses the new
    candidate (`chosen`), and what a router distilled from scratch from the same n earns (`scratch`). `all` is one
    distilled from all of the other queries, `single` the candidate that is best on those, `old` the old router and
    `oracle` the best score of each query. The old router may have learned from these very queries.
    """
    queries = len(given.scores.queries)
    earned: dict[str, Array] = {}
    for turn in range(SEEDS):
        kept, rest = np.split(np.random.default_rng(seed + turn).permutation(queries), [-(-queries // JUDGED)])
        for name, values in _turn(head, given.subset(rest), given.subset(kept), sizes, seed + turn).items():
            earned.setdefault(name, np.full((SEEDS, queries), np.nan))[turn, kept] = values
        progress("curve", turn + 1, SEEDS)
    return _figures(earned, sizes)


def _turn(head: RouterHead, rest: Given, kept: Given, sizes: Sequence[int], seed: int) -> dict[str, Array]:
    """What each way of choosing earns on the kept queries, shape (kept,)."""
    table = kept.scores.scores

    def chosen(made: RouterHead) -> NDArray[np.intp]:
        return logits_of(made, kept.vectors).argmax(axis=1)

    def earned(choice: NDArray[np.intp]) -> Array:
        return table[np.arange(len(table)), choice]

    found = {
        "old": earned(chosen(head)),
        "single": table[:, rest.scores.scores.mean(axis=0).argmax()],
        "all": earned(chosen(scratch(head, rest, seed))),
        "oracle": table.max(axis=1),
    }
    for size in sizes:
        part = rest.subset(range(size))  # they are in random order
        choice = chosen(extend(head, part, seed).head)
        found[f"extended {size}"] = earned(choice)
        found[f"chosen {size}"] = (choice == table.shape[1] - 1).astype(float)
        found[f"scratch {size}"] = earned(chosen(scratch(head, part, seed)))
    return found


def scratch(head: RouterHead, given: Given, seed: int) -> RouterHead:
    """A router of the same kind over the wider pool that has learned from these queries alone."""
    return learn(
        given.vectors,
        given.labels(),
        given.scores.candidates,
        head.config.encoder,
        settings_of(head.config.kind, seed=seed),
        scores=given.scores.scores,
    )


def _figures(earned: dict[str, Array], sizes: Sequence[int]) -> dict[str, Any]:
    means = {method: float(np.nanmean(values)) for method, values in earned.items()}
    seen = ~np.isnan(earned["old"]).all(axis=0)

    def minus_old(method: str) -> tuple[float, float]:
        return metrics.interval(np.nanmean((earned[method] - earned["old"])[:, seen], axis=0))

    rows = [
        {
            "n": size,
            **{name: means[f"{name} {size}"] for name in ("extended", "chosen", "scratch")},
            "extended_minus_old": minus_old(f"extended {size}"),
        }
        for size in sizes
    ]
    judged = int((~np.isnan(earned["old"][0])).sum())
    beside = {name: means[name] for name in ("old", "single", "all", "oracle")}
    return {"judged": judged, "learned": earned["old"].shape[1] - judged, "seeds": SEEDS, "rows": rows, **beside}
