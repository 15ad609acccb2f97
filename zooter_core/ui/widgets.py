"""Small things that several pages draw."""

from __future__ import annotations

from collections.abc import Callable
from mimetypes import guess_type
from typing import Any, Literal

import streamlit as st

from zooter_core.ui.markdown import message


def show_error(problem: object) -> None:
    """Show a message. What it quotes, such as a server's reply or the name of a file, is untrusted."""
    st.error(message(str(problem)), icon=":material/error:")


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


# What Streamlit cannot do.
# - History: what a page writes into its address without a press of the visitor, such as the id of what it shows when
#   they come back to it, replaces the entry that the last press has made. One step back then undoes one press.
# - Focus on Chat: on the composer at the start and after an answer, and on a query while it is edited. Not on a phone,
#   where it would open the keyboard. Where the composer is hidden, a step of the story begins at its top.
# - Scrolling: to the end when a query is sent from further up. Streamlit follows a page that grows, so a query that is
#   edited, the strip above opened reasons, and an exam that shrinks as it begins again are held in sight for five
#   seconds, or until the visitor goes on.
# - Keys: what a button opens in front of the page gets the focus if the keyboard opened it, and has it until the next
#   key, also where it is drawn again; Streamlit puts it behind all else that Tab reaches. `/` leads to the composer,
#   `?` shows the shortcuts. In the list of conversations, Tab stops once for each and the arrows lead to its buttons.
#   On a phone, the list covers the page, and closes once a conversation is chosen. Enter that ends a word of Japanese
#   or Chinese sends nothing: Safari says only by the code 229 that the key belongs to the word.
# - Screen readers: an answer is read aloud once it has ended.
# - Files in the composer are sent at once, so that the page shows their sizes; their query goes later.
# The security policy names the hash of this constant (server.py), so the browser runs no other script in its place. It
# has no "<", at which Streamlit's sanitizer would drop it.
SCRIPT = """
(() => {
  const box = () => document.querySelector('[data-testid="stChatInputTextArea"]')
  const typing = () => document.activeElement.matches('input, textarea, select, [contenteditable="true"]')
  const focus = left => {
    const field = document.querySelector('[class*="st-key-edited-"] textarea')
    if (field) return show(field, 50)
    if (document.querySelector('[data-state^="edited "]')) return left && setTimeout(focus, 100, left - 1)
    return compose(left)
  }
  const show = (field, left) => {
    if (!field.isConnected) return compose(left)
    if (left === 50) field.focus()
    field.scrollIntoView({ block: 'nearest' })
    if (left) window.zooterHeld = setTimeout(show, 100, field, left - 1)
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
    if (left) window.zooterHeld = setTimeout(follow, 100, left - 1)
  }
  if (document.querySelector('[data-state]')) focus(100)
  if (document.querySelector('[data-state^="sent "]')) follow(10)
  if (window.zooterSlash) return
  window.zooterSlash = true
  const push = history.pushState.bind(history)
  let pressed = false
  const press = () => { pressed = true }
  ['click', 'keydown'].forEach(kind => document.addEventListener(kind, press, true))
  history.pushState = (...entry) => {
    if (pressed) push(...entry)
    else history.replaceState(...entry)
    pressed = false
  }
  document.addEventListener('keydown', event => {
    if (event.key === 'Enter' && event.keyCode === 229) return event.stopPropagation()
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
  const release = event => {
    clearTimeout(entering)
    if (!event.key || !typing()) clearTimeout(window.zooterHeld)
  }
  let entering = 0
  const enter = left => {
    const body = document.querySelector('[data-testid="stPopoverBody"]')
    const first = body?.querySelector('input, textarea, [data-testid="stCode"], button:not([aria-label^="Help"])')
    first?.focus()
    if (left) entering = setTimeout(enter, 50, left - 1)
  }
  const hands = ['wheel', 'touchmove', 'pointerdown', 'keydown']
  hands.forEach(kind => document.addEventListener(kind, release, { capture: true, passive: true }))
  document.addEventListener('click', event => {
    const opens = event.target.closest('[data-testid="stPopoverButton"][aria-expanded="false"]')
    if (opens && event.detail === 0) enter(100)
    const exam = event.target.closest('.st-key-exam [data-testid="stButton"]')?.closest('.st-key-exam')
    const held = exam || event.target.closest('[class*="st-key-strip-"]')
    if (held) show(held, 50)
    const chosen = event.target.closest('.st-key-new button, [class*="st-key-open-"] button')
    if (!chosen || !matchMedia('(max-width: 768px)').matches) return
    document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click()
  }, true)
  const voice = document.body.appendChild(document.createElement('p'))
  voice.className = 'zooter-voice'
  voice.setAttribute('role', 'status')
  let grows = null
  setInterval(() => {
    const stop = document.querySelector('.st-key-stop')
    const texts = document.querySelectorAll('.stChatMessage :is([class*="st-key-ltr-"], [class*="st-key-rtl-"])')
    if (grows && !stop) voice.textContent = [...texts].at(-1)?.innerText
    grows = stop
    const more = '[class*="st-key-entry-"] :is([class*="st-key-pin-"], [class*="st-key-delete-"]) button'
    const hidden = '[class*="st-key-copy-"] div[tabindex="0"]'
    document.querySelectorAll(more + ', ' + hidden).forEach(part => { part.tabIndex = -1 })
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
