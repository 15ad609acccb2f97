"""Small pictures as SVG: in an image, they can run nothing, load nothing and be saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from zooter_core.ui.colours import colour

SVG = "http://www.w3.org/2000/svg"
INKS = {"light": ("#ffffff", "#120e1c", "#57525f"), "dark": ("#131019", "#f1eef7", "#bdb7c7")}  # ground, ink, paler
FONT = "Source Sans Pro, Source Sans 3, Helvetica, Arial, sans-serif"


def picture(width: float, height: float, body: str, more: str = "") -> str:
    """A picture of that size in pixels."""
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return f'<svg xmlns="{SVG}" {size}{more}>{body}</svg>'


def avatar(pool: Sequence[str], name: str) -> str:
    """A disc in a model's colour with its initial."""
    initial = escape(name.strip()[:1].upper())
    return picture(
        32,
        32,
        f'<circle cx="16" cy="16" r="16" fill="{colour(pool, name)}"/>'
        f'<text x="16" y="21.5" text-anchor="middle" font-family="{FONT}" font-size="16" font-weight="700" '
        f'fill="#14101f">{initial}</text>',
    )


def stacked(probabilities: Mapping[str, float], pool: Sequence[str]) -> str:
    """One bar that candidates share, the most probable first. It stretches to any width."""
    parts, start = [], 0.0
    for name, share in sorted(probabilities.items(), key=lambda item: -item[1]):
        parts.append(f'<rect x="{start:.2f}" width="{100 * share:.2f}" height="8" fill="{colour(pool, name)}"/>')
        start += 100 * share
    return picture(100, 8, "".join(parts), ' preserveAspectRatio="none"')


def filled(share: float, fill: str) -> str:
    """A track of which a colour fills a share. It stretches to any width."""
    body = (
        '<rect width="100" height="8" rx="1" fill="#888888" opacity="0.18"/>'
        f'<rect width="{100 * share:.2f}" height="8" rx="1" fill="{fill}"/>'
    )
    return picture(100, 8, body, ' preserveAspectRatio="none"')
