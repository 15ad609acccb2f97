"""The routing of a query as one strip: the model, a stacked bar, the best tag, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from zooter_core.ui import pictures
from zooter_core.ui.colours import badge
from zooter_core.ui.text import plain


def draw(
    probabilities: Mapping[str, float], tags: Sequence[str], key: str, pool: Sequence[str] = (), why: bool = False
) -> bool:
    """Draw the strip; True if a visitor has opened its reasons.

    Args:
        probabilities: candidate -> probability.
        pool: the fleet's candidates, if only some compete.
        why: whether there are reasons to open.
    """
    pool = pool or list(probabilities)
    best = max(probabilities, key=lambda name: probabilities[name])
    alt = "Routing: " + ", ".join(f"{name} {p:.0%}" for name, p in sorted(probabilities.items(), key=lambda i: -i[1]))
    opened = f"why-{key}"
    with st.container(horizontal=True, key=f"strip-{key}", vertical_alignment="center", gap="small", wrap=False):
        st.markdown(badge(pool, best, f"{probabilities[best]:.0%}"), width="content")
        st.image(pictures.stacked(probabilities, pool), width="stretch", alt=alt)
        if tags:
            st.markdown(f":gray-badge[{plain(tags[0])}]", width="content")
        if why:
            is_open = bool(st.session_state.get(opened))
            icon = ":material/expand_less:" if is_open else ":material/expand_more:"
            st.button(
                "Why", key=f"toggle-{opened}", type="tertiary", icon=icon, icon_position="right", on_click=_toggle,
                args=(opened,),
            )  # fmt: skip
    return bool(st.session_state.get(opened))


def bar(key: str, text: str, width: int, share: float, fill: str, alt: str) -> None:
    """A text in Markdown, of a width in pixels, and beside it a track of which a colour fills a share."""
    with st.container(horizontal=True, key=f"bar-{key}", vertical_alignment="center", wrap=False):
        st.markdown(text, width=width)
        st.image(pictures.filled(share, fill), width="stretch", alt=alt)


def _toggle(key: str) -> None:
    st.session_state[key] = not st.session_state.get(key)
