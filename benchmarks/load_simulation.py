"""A day's load on several models: how many GPUs does routing save against RMR, and against always the largest model?

    python benchmarks/load_simulation.py [--per-second 5]

Queries arrive at random, at a rate that follows the time of day; answers have lognormal lengths. Each replica
answers a fixed number of queries at a time at a fixed speed; the others wait, first come, first served. For each way of
serving the fewest replicas are found with which 95% of the queries of the busiest hour wait for less than a second. All
assumptions are the fields of `Load` and `MODELS`, and are printed.
"""

from __future__ import annotations

import argparse
import heapq
import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Load:
    """A day.

    Attributes:
        per_second: queries a second, on average over 24 hours.
        peak: the busiest hour's rate, as a multiple of the average; the quietest is as far below.
        tokens, spread: median length of an answer, and the standard deviation of its logarithm.
        longest_wait, share: so many seconds at most, for this share of the busiest hour's queries.
        dollars: per GPU hour.
    """

    per_second: float = 5.0
    hours: float = 24.0
    peak: float = 1.8
    tokens: float = 250.0
    spread: float = 0.7
    longest_wait: float = 1.0
    share: float = 0.95
    dollars: float = 2.5


@dataclass(frozen=True)
class Model:
    """One replica of a model.

    Attributes:
        gpus: of 80 GB.
        tokens_per_second: of the whole replica when it is full.
        slots: queries at a time.
        routed: the share of queries that the router sends to it.
    """

    gpus: int
    tokens_per_second: float
    slots: int
    routed: float = 0.0


MODELS = {
    **{f"13B-{n}": Model(1, 2000, 48, share) for n, share in enumerate((0.3, 0.22, 0.18, 0.14, 0.1, 0.06), 1)},
    "70B": Model(4, 1750, 48),
    "reward 13B": Model(1, 16_000, 16),  # reads answers, a prefill alone
}
SMALL = [name for name, model in MODELS.items() if model.routed]


def arrivals(load: Load, random: np.random.Generator) -> Array:
    """The times of a day's queries in seconds, in order: a Poisson process, thinned by the time of day."""
    highest = load.per_second * load.peak
    count = random.poisson(highest * load.hours * 3600)
    times = np.sort(random.uniform(0, load.hours * 3600, count))
    rate = 1 - (load.peak - 1) * np.cos(2 * np.pi * times / 86_400)  # the peak is at noon
    return times[random.uniform(0, load.peak, count) < rate]


def waits(times: Array, seconds: Array, servers: int) -> Array:
    """How long each query waits for one of the servers, first come, first served."""
    free = [0.0] * servers
    seconds_waited = np.empty(len(times))
    for number, (time, needed) in enumerate(zip(times.tolist(), seconds.tolist(), strict=True)):
        start = max(time, heapq.heappop(free))
        heapq.heappush(free, start + needed)
        seconds_waited[number] = start - time
    return seconds_waited


def fewest(load: Load, model: Model, times: Array, tokens: Array) -> int:
    """The fewest replicas that keep the waits short in the busiest hour.

    Args:
        times, tokens: of the queries that reach the model, shape (n,).
    """
    if not len(times):
        return 0
    seconds = tokens * model.slots / model.tokens_per_second
    counts = np.bincount((times // 3600).astype(int))
    busiest = times // 3600 == counts.argmax()

    def enough(replicas: int) -> bool:
        seconds_waited = waits(times, seconds, replicas * model.slots)[busiest]
        return bool(np.quantile(seconds_waited, load.share) <= load.longest_wait)

    low, high = 0, 1
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def plans(load: Load) -> dict[str, dict[str, int]]:
    """Replicas of each model for each way of serving the same day."""
    random = np.random.default_rng(0)
    times = arrivals(load, random)
    tokens = load.tokens * np.exp(load.spread * random.standard_normal(len(times)))
    chosen = random.choice(len(SMALL), len(times), p=[MODELS[name].routed for name in SMALL])
    routing = {
        name: fewest(load, MODELS[name], times[chosen == n], tokens[chosen == n]) for n, name in enumerate(SMALL)
    }
    every = fewest(load, MODELS[SMALL[0]], times, tokens)
    judge = fewest(load, MODELS["reward 13B"], times, tokens * len(SMALL))
    return {
        "routing": routing,
        "RMR": {**dict.fromkeys(SMALL, every), "reward 13B": judge},
        "always 70B": {"70B": fewest(load, MODELS["70B"], times, tokens)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-second", type=float, default=Load.per_second)
    call = parser.parse_args()
    load = Load(per_second=call.per_second)
    replicas = plans(load)
    gpus = {way: sum(MODELS[name].gpus * count for name, count in plan.items()) for way, plan in replicas.items()}
    shape = {
        "assumptions": asdict(load) | {name: asdict(model) for name, model in MODELS.items()},
        "replicas": replicas,
        "gpus": gpus,
        "dollars_per_day": {way: round(count * 24 * load.dollars) for way, count in gpus.items()},
    }
    print(json.dumps(shape, indent=2))


if __name__ == "__main__":
    main()
