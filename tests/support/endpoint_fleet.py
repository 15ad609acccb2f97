"""A fleet of scripted endpoints with the tiny fleet's reward model and tagger, and a router that knows nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from support import tiny_models
from support.patience import NEVER, PATIENCE
from zooter_core.config.fleet import load_fleet

NOWHERE = "http://127.0.0.1:9/v1"  # a port at which nobody listens
CANDIDATE = """
[[candidate]]
name = "{name}"
backend = "openai"
model = "{model}"
base_url = "{url}"
retries = {retries}
rest_after = {rest_after}
rest_seconds = {rest_seconds}
first_token_seconds = {first_token_seconds}
parallel = {parallel}
"""
# Models that hang have a limit of their own: those beside them must not be late where a machine is busy.
KEYS: Mapping[str, float] = {
    "retries": 0,
    "parallel": 32,
    "rest_after": 2,
    "rest_seconds": 0.2,
    "first_token_seconds": PATIENCE,
    "hang_seconds": NEVER,
}
# Of a query and some candidates: their order.
ORDERS: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}


def share_models(folder: Path, fleet: Path) -> None:
    """Let a copy of a fleet link to its encoder and its reward model: graphs are made of a folder once."""
    for name in ("encoder", "reward"):
        shutil.rmtree(folder / name)
        (folder / name).symlink_to(fleet / name)


def save(folder: Path, url: str, models: Mapping[str, str], router: bool | Path = False, **keys: float) -> Path:
    """Write a fleet over a copy of the tiny one; the model `refused` is one whose server is not there.

    Args:
        router: a router's folder, whose encoder the tagger takes too; or whether to make one.
    """
    if router is True:
        tiny_models.save_router(folder / "router", tuple(models), folder / "encoder")
    text = (folder / "fleet.toml").read_text()
    text = text[text.index("[reward]") :].partition("[[candidate]]")[0]
    if router is True:
        text = '[router]\npath = "router"\n\n' + text
    elif router:
        encoder = json.loads((router / "config.json").read_text())["encoder"]
        text = f'[router]\npath = "{router}"\n\n' + text.replace('encoder = "encoder"', f'encoder = "{encoder}"')
    entries = "".join(_entry(name, model, url, {**KEYS, **keys}) for name, model in models.items())
    (folder / "fleet.toml").write_text('name = "far"\n\n' + text + entries)
    return folder


def _entry(name: str, model: str, url: str, keys: Mapping[str, float]) -> str:
    url = NOWHERE if model == "refused" else url
    first = keys["hang_seconds" if model in ("hang-first", "hang-headers") else "first_token_seconds"]
    values = {**keys, "first_token_seconds": first, "patience": PATIENCE}
    return CANDIDATE.format(name=_toml(name), model=model, url=url, **values)


def _toml(text: str) -> str:
    """A text as it stands between the quotes of a TOML string."""
    return json.dumps(text)[1:-1].replace("\x7f", "\\u007f")


def save_by_order(folder: Path, url: str, query: str, models: Sequence[str], **keys: float) -> tuple[str, ...]:
    """Write a fleet whose router sends a query to the first of these models; gives the candidates in its order."""
    from zooter_core.base.records import Message
    from zooter_core.fleet.ensemble import Ensemble

    names = ("chat", "math", "code", "writer")[: len(models)]
    if (query, names) not in ORDERS:
        save(folder, url, dict.fromkeys(names, "good"), router=True, **keys)
        ORDERS[query, names] = Ensemble(load_fleet(folder)).route([Message("user", query)]).order
    order = ORDERS[query, names]
    by_name = dict(zip(order, models, strict=True))
    save(folder, url, {name: by_name[name] for name in names}, router=True, **keys)
    return order
