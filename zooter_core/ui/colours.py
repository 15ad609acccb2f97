"""The colours of models: one per place in the pool, the same in charts, in pictures and in Markdown.

The palette is Okabe and Ito's for the colour-blind. Violet, the accent in .streamlit/config.toml, is the router's.
"""

from __future__ import annotations

from collections.abc import Sequence

from zooter_core.ui.text import plain

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#C9B400", "#999999")
# Streamlit's names for colours in Markdown; config.toml gives each the palette's colour of the same place.
NAMES = ("blue", "orange", "green", "violet", "red", "yellow", "gray")
ROUTER = "#7C4DDB"
GREY = "#888888"


def colour(pool: Sequence[str], name: str) -> str:
    """A model's colour as hexadecimal digits; grey if it is no longer in the pool."""
    return PALETTE[list(pool).index(name) % len(PALETTE)] if name in pool else GREY


def colour_name(pool: Sequence[str], name: str) -> str:
    """A model's colour as Markdown names it."""
    return NAMES[list(pool).index(name) % len(NAMES)] if name in pool else "gray"


def badge(pool: Sequence[str], name: str, *facts: str) -> str:
    """A model's name on its colour, followed by facts, as Markdown."""
    return f":{colour_name(pool, name)}-badge[{' '.join((plain(name), *facts))}]"
