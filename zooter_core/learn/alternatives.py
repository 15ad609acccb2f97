"""What other routers would have chosen on a report's sample: the fleet's earlier ones, and one that learns from it.

A router that traffic made needs only the vectors, which the learner keeps beside the traffic. Any other one routes the
texts of at most MOST_ROUTED requests again, and its choices are remembered in a private file that holds no text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError
from zooter_core.base.files import atomic, writing
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.learn.learner import Learner, choices
from zooter_core.learn.refit import read_linear, stored_vectors, text_of
from zooter_core.learn.traffic_sample import Sample
from zooter_core.learn.versions import FOLLOW, ROUTERS, STARTING, STATE, Versions
from zooter_core.method.labels import lot
from zooter_core.method.metrics import Array
from zooter_core.method.worth import FEWEST
from zooter_core.router.config import LEARNED

if TYPE_CHECKING:
    from zooter_core.fleet.ensemble import Ensemble

BEFORE, FIRST = "before", "first"
CHOICES = "earlier-choices.json"  # beside the traffic
MOST_ROUTED = 400  # requests whose texts an earlier router routes again
UNKNOWN = -1
STEPS = 25  # refits along the sample
WARM = 1 / 3  # of the sample, from which the learner learns before it is compared
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Earlier:
    """A router that served once.

    Attributes:
        name: BEFORE, the one before the present one, or FIRST, the first one of all.
        router: its path in fleet.toml; empty for a starting router.
        until: when another one took its place, in seconds since 1970.
        choices: request id -> the candidate that it would have chosen.
    """

    name: str
    router: str
    until: float
    choices: Mapping[str, str] = field(default_factory=dict)

    def places(self, sample: Sample) -> NDArray[np.intp]:
        """Its choices as places in the sample's pool, shape (n,); UNKNOWN where there is none."""
        places = {name: place for place, name in enumerate(sample.pool)}
        chosen = [places.get(self.choices.get(entry.request_id, ""), UNKNOWN) for entry in sample.decisions]
        return np.array(chosen, dtype=np.intp)


def earlier_routers(ensemble: Ensemble, sample: Sample, folder: Path) -> list[Earlier]:
    """The fleet's earlier routers with their choices on a sample; none where the fleet had no other router.

    A router whose folder is gone or broken is left out.

    Args:
        folder: of the traffic.
    """
    fleet = ensemble.fleet
    if not (fleet.folder / ROUTERS / STATE).is_file() or sample.n < FEWEST:
        return []
    try:
        versions = Versions(fleet)
    except ZooterError:  # broken, as `zooter learn status` says
        return []
    switches = [event for event in versions.state.events if event["event"] != FOLLOW]
    if not switches:
        return []
    last, first = switches[-1], switches[0]
    named = [Earlier(BEFORE, last["before"], last["time"]), Earlier(FIRST, first["before"], first["time"])]
    store = _Store(folder / CHOICES, sample)
    routers: list[Earlier] = []
    for entry in named:
        if entry.router == versions.serving or entry.router in {other.router for other in routers}:
            continue
        with suppress(ZooterError, OSError):
            routers.append(replace(entry, choices=_choices(ensemble, versions, entry.router, sample, folder, store)))
    store.save()
    return routers


class _Store:
    """Remembered choices. They are kept for the requests in the sample only, so those of deleted requests go too."""

    def __init__(self, path: Path, sample: Sample) -> None:
        self._path, self._ids = path, {entry.request_id for entry in sample.decisions}
        self._stored: dict[str, dict[str, str]] = {}
        with suppress(OSError, ValueError, AttributeError, ZooterError):  # none yet, or torn
            self._stored = {key: dict(of) for key, of in parse_json(path.read_text(encoding="utf-8")).items()}
        self._before = dump_json(self._stored)
        for of in self._stored.values():
            for request_id in of.keys() - self._ids:
                del of[request_id]

    def of(self, key: str) -> dict[str, str]:
        """The choices of a router, to be added to."""
        return self._stored.setdefault(key, {})

    def save(self) -> None:
        """Write them, if they changed."""
        if (text := dump_json(self._stored)) != self._before:
            with suppress(OSError, ZooterError), writing(self._path.parent), atomic(self._path, private=True) as part:
                part.write_text(text, encoding="utf-8")


def _choices(
    ensemble: Ensemble, versions: Versions, router: str, sample: Sample, folder: Path, store: _Store
) -> dict[str, str]:
    fleet, place = ensemble.fleet, versions.place(router)
    if router != STARTING and (place / LEARNED).is_file():
        vectors, present, _ = stored_vectors(ensemble.router.encoder, sample.decisions, folder)
        if present.sum() >= max(FEWEST, sample.n / 2):
            linear, names = read_linear(place)
            rows = np.flatnonzero(present)
            candidates = dict(zip(fleet.routed_as, fleet.pool, strict=True))
            here = [name if candidates.get(name) in sample.pool else "" for name in names]
            best = choices(linear, vectors[rows], [bool(name) for name in here])
            return {
                sample.decisions[row].request_id: candidates.get(here[of], "")
                for row, of in zip(rows, best, strict=True)
            }
    then = versions.fleet_with(router)
    chosen = store.of(f"{router} {then.hash_of('router')[:16]} {' '.join(fleet.pool)}")
    drawn = sorted(sample.decisions, key=lambda entry: lot(entry.request_id, 4))[:MOST_ROUTED]
    if new := [entry for entry in drawn if entry.request_id not in chosen]:
        opened = ensemble.renewed(then).router
        for entry, row in zip(new, opened.probabilities([text_of(entry) for entry in new]), strict=True):
            chosen[entry.request_id] = opened.candidates[int(row.argmax())]
    return chosen


def learned_gains(sample: Sample, vectors: Vectors, present: NDArray[np.bool_]) -> Array:
    """What a router that learned from the sample as it came would have earned beyond the one that served, shape (n,).

    It is always compared before it learns from a request; NaN for the first ones, and where there is no vector.
    """
    gains, rows = np.full(sample.n, math.nan), np.flatnonzero(present)
    if len(rows) < 2 * FEWEST:
        return gains
    x, rewards, served = vectors[rows], sample.rewards[rows], sample.chosen[rows]
    learner = Learner.starting(x, np.full(rewards.shape, math.nan))
    warm = int(WARM * len(rows))
    learner.observe(x[:warm], rewards[:warm])
    step = max(5, -(-(len(rows) - warm) // STEPS))
    for begin in range(warm, len(rows), step):
        part = slice(begin, begin + step)
        best = choices(learner.router(), x[part])
        place = np.arange(len(best))
        gains[rows[part]] = rewards[part][place, best] - rewards[part][place, served[part]]
        learner.observe(x[part], rewards[part])
    return gains
