"""Adds discovered models to a fleet.toml as candidates. Creates the file if it does not exist."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from zooter_core.base.paths import PRICES
from zooter_core.config.candidates import ENDPOINT, CandidateConfig
from zooter_core.config.edit import add_candidates, fleet_or_none, free_name, set_table
from zooter_core.fleet.discovered import Model
from zooter_core.fleet.discovery import one_name
from zooter_core.fleet.families import recognise
from zooter_core.fleet.machine import billions_in

GOOD_JUDGE = 7.0  # billions of parameters; smaller models do not judge answers
DATE = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")  # suffix of a model's name
EMBEDDED_REWARD = {
    "comment": "Small: it judges little more than form and relevance. docs/reward-models.md has better ones.",
    "kind": "embedded",
}


@dataclass(frozen=True)
class Connected:
    """What `connect` added to a fleet."""

    names: tuple[str, ...]
    present: tuple[Model, ...]  # models that were already in it


def connect(folder: Path, models: Sequence[Model], called: Sequence[str] | None = None) -> Connected:
    """Add models to the fleet in a folder; a new fleet gets a reward model and a tagger too.

    Args:
        called: the candidates' names, if e.g. a router already knows them by name.

    Raises:
        ZooterError: fleet.toml is not valid, or cannot be written.
    """
    fleet = fleet_or_none(folder)
    candidates = fleet.candidates if fleet else ()
    present = in_fleet(models, candidates)
    new = [model for model in models if model not in present]
    wanted = called or [model.name for model in new]
    names = dict.fromkeys(candidate.name for candidate in candidates)
    tables = []
    for model, name in zip(new, wanted, strict=True):
        keys = model.keys() | {"name": name if called else free_name(name, names)}
        names[keys["name"]] = None
        if model.billions and billions_in(f"{keys['name']} {model.model}") is None:  # a starting router depends on it
            keys.setdefault("description", f"{model.billions:g}B parameters")
        if model.abilities.prices:
            keys["comment"] += f"\nPrices on {date.today()}, from its server's list of models."
            keys |= dict(model.abilities.prices)
        elif price := list_price(model.base_url, model.model):
            keys["comment"] += f"\nList price on {price.day}, from {price.source}: compare it with the provider's."
            keys |= {"usd_per_million_tokens": price.answer, "usd_per_million_prompt_tokens": price.prompt}
        if not model.base and (family := recognise(model.model, model.billions)) and family.routed_as:
            keys["routed_as"] = family.routed_as
        tables.append(keys)
    if tables:
        add_candidates(folder, tables, {} if fleet else _reward_and_tagger(tables, new))
        if fleet and fleet.router and fleet.router.others == "refuse":  # the router does not know the new ones
            set_table(folder, "router", {"others": "profile"})
    return Connected(tuple(names)[len(candidates) :], tuple(model for model in models if model in present))


def in_fleet(models: Sequence[Model], candidates: Sequence[CandidateConfig]) -> set[Model]:
    """The models that are among a fleet's candidates."""
    identities = {
        (one.backend, one.model, one_name(one.endpoint.base_url) if one.endpoint else "") for one in candidates
    }
    return {model for model in models if (model.backend, model.model, one_name(model.base_url)) in identities}


def _reward_and_tagger(tables: Sequence[dict[str, Any]], models: Sequence[Model]) -> dict[str, Any]:
    """The reward model and tagger of a new fleet.

    If two models are large enough, the two largest are judges: a single judge would judge its own answers. LoRA
    adapters are not judges, since they were trained for something else.
    """
    served: dict[str, tuple[float, dict[str, Any]]] = {}  # by name: a model on two servers counts once
    for model, keys in zip(models, tables, strict=True):
        if model.backend == ENDPOINT and not model.base and model.billions and model.billions >= GOOD_JUDGE:
            served.setdefault(model.name, (model.billions, keys))
    if len(served) < 2:
        return {"reward": EMBEDDED_REWARD, "tagger": {"kind": "skills"}}
    largest = sorted(served.values(), key=lambda one: -one[0])[:2]
    shared = ("backend", "model", "base_url", "api_key_env", "parallel", "first_token_seconds")
    quick = {"thinking": False}  # with thoughts, a hundred verdicts would take hours
    judge, second = ({key: keys[key] for key in shared if key in keys} | quick for _, keys in largest)
    names = " and ".join(keys["name"] for _, keys in largest)
    reward = {
        "comment": f"{names} judge the answers together. Name stronger or other models where you can.",
        "kind": "judge",
        "judge": judge,
        "second": second,
    }
    return {"reward": reward, "tagger": {"kind": "skills"}}


class ListPrice(NamedTuple):
    """US dollars per million tokens of the prompt and of the answer, and the source and date of the list."""

    prompt: float
    answer: float
    source: str
    day: date


def list_price(base_url: str, model: str) -> ListPrice | None:
    """The list price of a model at an address; None if the table has none."""
    table = _table()
    prices = table["hosts"].get(urlsplit(base_url).hostname, {})
    name = model.lower().removeprefix("models/")  # as listed by Google's server
    price = prices.get(name) or prices.get(DATE.sub("", name))
    return ListPrice(price[0], price[1], table["source"], table["date"]) if price else None


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(PRICES.read_text(encoding="utf-8"))
