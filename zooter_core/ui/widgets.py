"""Small things that several pages draw."""

from __future__ import annotations

from collections.abc import Callable
from mimetypes import guess_type
from typing import Any, Literal

import streamlit as st

from zooter_core.ui.markdown import safe


def show_error(problem: object) -> None:
    """Show a message. What it quotes, such as a server's reply or the name of a file, is untrusted."""
    st.error(safe(str(problem)), icon=":material/error:")


PROBLEM = "problem-"  # and the place, in a session's state


def keep_problem(place: str, problem: object) -> None:
    """Let `draw_problem` show a message in the next drawing: what a callback draws would stand at the page's top."""
    st.session_state[PROBLEM + place] = str(problem)


def draw_problem(place: str) -> None:
    """Show what went wrong at this place of the page, once."""
    if problem := st.session_state.pop(PROBLEM + place, None):
        show_error(problem)


def icon_button(label: str, icon: str, key: str, on_click: Callable[..., None], *args: Any, **more: Any) -> None:
    """A button of which the style sheet shows the icon alone: the tooltip has its label."""
    st.button(label, key, label, on_click, args, icon=f":material/{icon}:", type="tertiary", **more)


def persistent(key: str, help: str | None = None) -> dict[str, Any]:
    """The options of a widget whose value stays while a visitor looks at another page."""
    return {"key": key, "help": help, "persist_state": "session"}


def download(
    label: str,
    data: str | bytes | Callable[[], str | bytes],
    file: str,
    place: Any = st,
    help: str | None = None,
    type: Literal["secondary", "tertiary"] = "secondary",
) -> None:
    """A button, in `place`, that downloads a file without running the page again."""
    place.download_button(
        label, data, file, guess_type(file)[0], help=help, type=type, icon=":material/download:", on_click="ignore"
    )


EXAMPLES = (
    "Solve 3x - 4 = 11",
    "How can I sleep better?",
    "Write a Python function that reverses a string",
    "Write a poem about a lost kitten",
    "SQL query: all customers from Berlin",
    "Write a short email to thank Anna for her help with the move",
)


def pick_example(key: str) -> str | None:
    """Draw the examples as buttons; returns the one that was clicked."""
    st.caption("Try one of these:")
    with st.container(key="examples"):
        columns = st.columns(2)
    for number, example in enumerate(EXAMPLES):
        if columns[number % 2].button(example, key=f"{key}{number}", width="stretch"):
            return example
    return None


# The keyboard on the Chat page: the composer has the focus at the start and after an answer, and a query while it is
# edited; `/` leads to the composer, and `?` shows all shortcuts; Streamlit's own have no such keys. Where the composer
# is hidden, a step of the story begins at its top.
# Files that have come into the composer are sent by themselves: the page shows their sizes, and the query goes with
# them later. On a phone, the focus would open the keyboard; there the list of conversations covers the page, and closes
# once one is chosen. In that list, Tab stops once for each; the arrows lead to its buttons. Streamlit scrolls to the
# end while a page grows, if it is there already: a query that was sent from further up leads there, one that is edited
# is held in sight for two seconds, and where reasons open, the page leaves its end before it grows.
# The script is a constant, and the security policy names its hash (server.py): the browser runs this text and no other,
# as it does with the scripts of Streamlit's own page. It has no "<", at which Streamlit's sanitizer would drop it.
SCRIPT = """
(() => {
  const box = () => document.querySelector('[data-testid="stChatInputTextArea"]')
  const typing = () => document.activeElement.matches('input, textarea, select, [contenteditable="true"]')
  const focus = left => {
    const field = document.querySelector('[class*="st-key-edited-"] textarea')
    if (field) return show(field, 20)
    if (document.querySelector('[data-state^="edited "]')) return left && setTimeout(focus, 100, left - 1)
    return compose(left)
  }
  const show = (field, left) => {
    if (left === 20) field.focus()
    field.scrollIntoView({ block: 'nearest' })
    if (left) setTimeout(show, 100, field, left - 1)
  }
  const compose = left => {
    const field = box()
    if (field && !field.offsetParent) return document.querySelector('.stMain').scrollTo(0, 0)
    if (!matchMedia('(hover: hover)').matches) return
    if (field && !field.disabled) return typing() || field.focus({ preventScroll: true })
    if (left) setTimeout(focus, 100, left - 1)
  }
  const follow = left => {
    const main = document.querySelector('.stMain')
    main.scrollTo(0, main.scrollHeight)
    if (left) setTimeout(follow, 100, left - 1)
  }
  focus(100)
  if (document.querySelector('[data-state^="sent "]')) follow(10)
  if (window.zooterSlash) return
  window.zooterSlash = true
  document.addEventListener('keydown', event => {
    const entry = document.activeElement.closest('[class*="st-key-entry-"]')
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (entry && step) {
      const buttons = [...entry.querySelectorAll('button')].filter(button => button.offsetParent)
      return buttons[buttons.indexOf(document.activeElement) + step]?.focus()
    }
    if (event.ctrlKey || event.metaKey || typing() || !box()) return
    if (event.key === '?') return document.querySelector('.st-key-shortcuts button')?.click()
    if (event.key !== '/') return
    event.preventDefault()
    box().focus()
  }, true)
  document.addEventListener('click', event => {
    if (event.target.closest('[class*="st-key-strip-"]')) document.querySelector('.stMain').scrollBy(0, -8)
    const chosen = event.target.closest('.st-key-new button, [class*="st-key-open-"] button')
    if (!chosen || !matchMedia('(max-width: 768px)').matches) return
    document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click()
  })
  setInterval(() => {
    const more = '[class*="st-key-entry-"] :is([class*="st-key-pin-"], [class*="st-key-delete-"]) button'
    document.querySelectorAll(more).forEach(button => { button.tabIndex = -1 })
    const chip = '[data-testid="stChatInput"] [data-testid="stFileChip"]'
    if (!document.querySelector(chip) || document.querySelector(chip + '[aria-invalid="true"]')) return
    document.querySelector('[data-testid="stChatInputSubmitButton"]:enabled')?.click()
  }, 100)
})()
"""
FOCUS = f"<script>{SCRIPT}</script>"


def focus_composer(state: str) -> None:
    """Focus the composer, unless somebody types elsewhere, or the query that is edited; again whenever the state
    changes."""
    st.html(f'<i data-state="{state}"></i>{FOCUS}', unsafe_allow_javascript=True)
