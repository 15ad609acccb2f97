"""Use each part of a fleet once: whether it works, how fast it is, and how much memory it takes."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zooter_core.backends import iter_responses
from zooter_core.backends.endpoint.backend import OpenAIBackend
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.progress import Tell
from zooter_core.base.records import Message
from zooter_core.config.candidates import RECORDED, CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data import prices
from zooter_core.fleet.attempts import check_answered
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards import PLAIN, Comparing
from zooter_core.labelling.rewards.scoring import score_queries

Row = dict[str, Any]
HELLO = [Message("user", "What is 2 + 2?")]
ROUTED = 20  # queries over which the router's speed is measured


@dataclass(frozen=True)
class Part:
    """A part of a fleet."""

    kind: str  # candidate, reward model, tagger or router
    name: str
    check: Callable[[], Row]  # uses the part once and returns what to report, at least `found`


def list_parts(ensemble: Ensemble, note: Tell) -> list[Part]:
    """The parts of a fleet; `note` is called with the reason why a request waits."""
    fleet = ensemble.fleet
    parts = [Part("candidate", entry.name, partial(_candidate, ensemble, entry, note)) for entry in fleet.candidates]
    if fleet.reward:
        parts.append(Part("reward model", fleet.reward.kind, partial(_reward, ensemble)))
    if fleet.tagger:
        parts.append(Part("tagger", fleet.tagger.kind, partial(_tagger, ensemble)))
    name = Path(fleet.router.path).name if fleet.router else "starting"
    parts.append(Part("router", name, partial(_router, ensemble)))
    return parts


def check_part(ensemble: Ensemble, part: Part) -> Row:
    """Check a part: its report, with the seconds and the memory that it took, or with its error."""
    start = time.perf_counter()
    row: Row = {"part": part.kind, "name": part.name, "ok": True}
    process, models = _memory(), _models(ensemble)
    try:
        row |= part.check()
    except ZooterError as problem:
        row |= {"ok": False, "found": str(problem)}
    row |= {"seconds": round(time.perf_counter() - start, 2)}
    # The process does not grow if a model replaces another one.
    loaded = sum(max(size - models.get(key, 0), 0) for key, size in _models(ensemble).items())
    memory = round((loaded or max(_memory() - process, 0)) / 1e6)
    return {"memory_mb": memory if row["ok"] else None} | row


def _candidate(ensemble: Ensemble, entry: CandidateConfig, note: Tell) -> Row:
    """Check a candidate by a short answer. An endpoint's model takes no memory on this machine."""
    backend = ensemble.backend_for(entry)
    backend.load(entry)
    generation = GenerationConfig(max_new_tokens=32, temperature=0.0)
    messages = [Message("user", backend.trial(entry))]
    pieces = ensemble.run_candidates([entry.name], messages, threading.Event(), generation)
    ((_, response),) = iter_responses(pieces, note)
    check_answered([response])
    first, speed = response.first_token_seconds, response.tokens_per_second
    if entry.backend == RECORDED:
        return {"found": "its responses can be read"}
    row: Row = {"memory_mb": None, **_abilities(backend, entry)} if isinstance(backend, OpenAIBackend) else {}
    if response.thought_tokens:
        row |= {"thought_tokens": response.thought_tokens}
        although = "" if entry.thinking is not False else ", although thinking = false"
        size = f"about {response.thought_tokens:,} tokens"
        how = f"thinks before it answers ({size}){although}; answers after {first or 0:.1f} s"
    else:
        how = f"first token {first or 0:.2f} s, {speed or 0:.0f} tokens/s"
    return {
        "first_token_seconds": None if first is None else round(first, 3),
        "tokens_per_second": None if speed is None else round(speed, 1),
        "found": how,
    } | row


def _abilities(backend: OpenAIBackend, entry: CandidateConfig) -> Row:
    """An endpoint's abilities and prices, and the keys of its table that are missing or say otherwise."""
    assert entry.endpoint is not None
    abilities = backend.abilities(entry).to_json()
    table = {"context_tokens": entry.context_tokens, "images": entry.images, "tools": entry.tools}
    table |= {"json_mode": entry.json_mode, "parallel": entry.endpoint.parallel}
    advice = {key: abilities[key] for key in table if abilities[key] not in (None, table[key])}
    prices = abilities["prices"] if entry.usd_per_million_tokens is None else {}  # others may have been negotiated
    return {"abilities": abilities, "advice": advice | prices}


def _reward(ensemble: Ensemble) -> Row:
    scored = score_queries(ensemble.reward_model, [(PLAIN[0], PLAIN[1:])])[0]  # not from the cache
    if scored.rewards[0] is None:
        raise WorkError("a reward for a greeting", f"none: {scored.reason}", "Check [reward] in fleet.toml.")
    pool = len(ensemble.fleet.pool)
    compares = isinstance(ensemble.reward_model, Comparing)
    cost = f"; {math.perm(pool, 2)} comparisons per query of {pool} responses" if compares else ""
    return {"found": f"{scored.rewards[0]:.2f}{cost}"}


def _tagger(ensemble: Ensemble) -> Row:
    queries = [f"{n} + {n}?" for n in range(2, 6)]  # several, since a tagger that works may refuse one of them
    return {"found": ", ".join(tag.name for tag in ensemble.tagger.tag(queries)[0])}


def _router(ensemble: Ensemble) -> Row:
    ensemble.route(HELLO)
    start = time.perf_counter()
    for number in range(ROUTED):
        ensemble.route([Message("user", f"What is 2 + {number}?")])
    speed = (time.perf_counter() - start) / ROUTED * 1000
    choice = ensemble.route(HELLO).candidate
    text = f"chose {choice}; {speed:.1f} ms per query on {ensemble.router.encoder.runtime}"
    if note := ensemble.router.note:
        return {"found": text, "note": note}
    weighed = prices.describe_weighing(ensemble.fleet)
    return {"found": f"{text}. {weighed}" if weighed else text}


def _models(ensemble: Ensemble) -> dict[object, int]:
    """Bytes of each language model in memory."""
    return {key: size for backend in ensemble.backends.values() for key, size in backend.sizes().items()}


def _memory() -> int:
    """Bytes that this process uses, in main memory and on a GPU."""
    import psutil

    gpu = 0
    if torch := sys.modules.get("torch"):
        gpu = torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
    return int(psutil.Process().memory_info().rss) + gpu
