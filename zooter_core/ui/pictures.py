"""Small pictures as SVG: in an image, they can run nothing, load nothing and be saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from zooter_core.ui.colours import colour

SVG = "http://www.w3.org/2000/svg"
INKS = {"light": ("#ffffff", "#120e1c", "#57525f"), "dark": ("#131019", "#f1eef7", "#bdb7c7")}  # ground, ink, paler
CENTRED, BOLD = 'text-anchor="middle"', 'font-weight="700"'
FONT = "'Source Sans Pro', 'Source Sans 3', Helvetica, Arial, sans-serif"  # without quotes, "3" is no name


def picture(width: float, height: float, body: str, more: str = "") -> str:
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return f'<svg xmlns="{SVG}" {size}{more}>{body}</svg>'


def words(x: float, y: float, text: str, size: int, fill: str, more: str = "") -> str:
    """A line of text, with further attributes."""
    style = f'font-family="{FONT}" font-size="{size}" fill="{fill}" {more}'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def avatar(pool: Sequence[str], name: str) -> str:
    """A disc in a model's colour with its initial."""
    disc = f'<circle cx="16" cy="16" r="16" fill="{colour(pool, name)}"/>'
    return picture(32, 32, disc + words(16, 21.5, name.strip()[:1].upper(), 16, "#14101f", f"{CENTRED} {BOLD}"))


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
