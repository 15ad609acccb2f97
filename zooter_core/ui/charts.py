"""A model's colour, and the strips and badges that several pages draw. Charts are in `plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from zooter_core.base.records import Tag
from zooter_core.evaluation.charts import GREY, PALETTE
from zooter_core.ui.text import plain

SVG = "http://www.w3.org/2000/svg"
FONT = "'Source Sans Pro', 'Source Sans 3', Helvetica, Arial, sans-serif"  # without quotes, "3" is no name


def picture(width: float, height: float, body: str, more: str = "") -> str:
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return f'<svg xmlns="{SVG}" {size}{more}>{body}</svg>'


def avatar(pool: Sequence[str], name: str) -> str:
    """A disc in a model's colour with its initial."""
    initial = escape(name.strip()[:1].upper())
    style = f'font-family="{FONT}" font-size="16" font-weight="700" text-anchor="middle" fill="#14101f"'
    disc = f'<circle cx="16" cy="16" r="16" fill="{colour(pool, name)}"/>'
    return picture(32, 32, f'{disc}<text x="16" y="21.5" {style}>{initial}</text>')


def by_share(probabilities: Mapping[str, float]) -> list[tuple[str, float]]:
    """Candidates with their probabilities, the most probable first."""
    return sorted(probabilities.items(), key=lambda item: -item[1])


def in_words(probabilities: Mapping[str, float]) -> str:
    """Candidates with their probabilities, the most probable first, as Markdown."""
    return ", ".join(f"{plain(name)} {p:.0%}" for name, p in by_share(probabilities))


def stacked(probabilities: Mapping[str, float], pool: Sequence[str], pale: bool = False) -> str:
    """One bar that candidates share, the most probable first; `pale`: hatched. It stretches to any width."""
    parts, start = [], 0.0
    for name, share in by_share(probabilities):
        parts.append(f'<rect x="{start:.2f}" width="{100 * share:.2f}" height="8" fill="{colour(pool, name)}"/>')
        start += 100 * share
    body = "".join(parts)
    if pale:
        stripe = '<rect width="1.6" height="8" fill="#fff" opacity="0.3"/><rect width="0.6" height="8" fill="#fff"/>'
        pattern = f'<pattern id="hatch" width="1.6" height="8" patternUnits="userSpaceOnUse">{stripe}</pattern>'
        mask = f'<mask id="pale">{pattern}<rect width="100" height="8" fill="url(#hatch)"/></mask>'
        body = f'{mask}<g mask="url(#pale)">{body}</g>'
    return picture(100, 8, body, ' preserveAspectRatio="none"')


def filled(share: float, fill: str) -> str:
    """A track of which a colour fills a share. It stretches to any width."""
    body = (
        '<rect width="100" height="8" rx="1" fill="#888888" opacity="0.18"/>'
        f'<rect width="{100 * share:.2f}" height="8" rx="1" fill="{fill}"/>'
    )
    return picture(100, 8, body, ' preserveAspectRatio="none"')


# Streamlit's names for colours in Markdown; config.toml gives each the palette's colour of the same place.
NAMES = ("blue", "orange", "green", "violet", "red", "yellow", "gray")


def colour(pool: Sequence[str], name: str) -> str:
    """A model's colour as hexadecimal digits; grey if it is no longer in the pool."""
    return PALETTE[list(pool).index(name) % len(PALETTE)] if name in pool else GREY


def colour_name(pool: Sequence[str], name: str) -> str:
    """A model's colour as Markdown names it."""
    return NAMES[list(pool).index(name) % len(NAMES)] if name in pool else "gray"


def badge(pool: Sequence[str], name: str, *facts: str) -> str:
    """A model's name on its colour, followed by facts, as Markdown."""
    return f":{colour_name(pool, name)}-badge[{' '.join((plain(name), *facts))}]"


def tag_badges(tags: Sequence[Tag]) -> str:
    """Tags as Markdown badges, the most certain first."""
    if not tags:
        return ":gray-badge[no tag fits]"
    return " ".join(f":gray-badge[{plain(tag.name)} {tag.score:.0%}]" for tag in tags)
