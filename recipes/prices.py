"""Makes models/prices.toml, the list prices of hosted models, from the data of the package genai-prices.

    pip install --target /tmp/prices genai-prices    (MIT; not needed otherwise)
    PYTHONPATH=/tmp/prices python -m recipes.prices

The file contains the providers whose keys `config/trust.py` lists, and of these the models that write text and are
priced by token. If a price depends on the length of the prompt, it is the one for short prompts. OpenRouter is left
out, because it has more models than all other providers together.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import tomlkit

from zooter_core.base.paths import PRICES
from zooter_core.config.trust import PROVIDERS
from zooter_core.fleet.connect import DATE

SOURCE = "genai-prices"
LEFT_OUT = ("openrouter.ai",)
OTHER_KINDS = re.compile(r"audio|image|realtime|transcri|tts|voice|live|embed|moderation|ocr|rerank|whisper|:|^ft-")
HEADER = """\
# List prices of hosted models for `zooter init` (zooter_core/fleet/connect.py), in US dollars per million tokens
# of the prompt and of the answer, by host and the model's name there. `python -m recipes.prices` makes this file.
# They were not compared with the providers' own pages. They come from {source} {version},
# https://github.com/pydantic/genai-prices, under this licence:
#
{licence}

source = "{source} {version}"
date = {date}
"""


def main() -> None:
    """Write the file."""
    now = datetime.now(UTC)
    package = importlib.metadata.distribution(SOURCE)
    licence = (package.read_text("licenses/LICENSE") or "").strip().splitlines()
    notice = "\n".join(f"# {line}".rstrip() for line in licence)
    lines = [HEADER.format(source=SOURCE, version=package.version, date=now.date(), licence=notice)]
    providers = importlib.import_module("genai_prices.data").providers
    for host in sorted({host for hosts in PROVIDERS.values() for host in hosts if host not in LEFT_OUT}):
        prices: dict[str, tuple[float, float]] = {}
        for provider in providers:
            if provider.api_pattern and re.match(provider.api_pattern, f"https://{host}/v1"):
                for model in provider.models:
                    for name in _names(model):
                        if price := _price(model, now):
                            prices.setdefault(name, price)
        if prices:
            entries = (
                f"{tomlkit.item(name).as_string()} = [{prompt:g}, {answer:g}]"
                for name, (prompt, answer) in sorted(prices.items())
                if (plain := DATE.sub("", name)) == name or prices.get(plain) != prices[name]
            )
            lines += [f'\n[hosts."{host}"]', *entries]
    PRICES.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _names(model: Any) -> Iterator[str]:
    """The exact names of a model, if it is still offered and writes text."""
    parts = getattr(model.match, "or_", [model.match])
    names = {model.id, *(part.equals for part in parts if hasattr(part, "equals"))}
    if not model.deprecated:
        yield from (name for name in map(str.lower, sorted(names)) if not OTHER_KINDS.search(name))


def _price(model: Any, now: datetime) -> tuple[float, float] | None:
    """The prices of a prompt and of an answer; None if the model is not priced by token."""
    prices = model.get_prices(now)
    parts = [getattr(price, "base", price) for price in (prices.input_mtok, prices.output_mtok)]
    return None if None in parts else (float(parts[0]), float(parts[1]))


if __name__ == "__main__":
    main()
