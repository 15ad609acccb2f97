"""The keyboard on the Chat page: the composer has the focus at the start and after an answer, and `/` leads to it.

Streamlit has no option for either. The script is a constant, and the security policy names its hash (server.py): the
browser runs this text and no other, as it does with the scripts of Streamlit's own page.
"""

from __future__ import annotations

import streamlit as st

# Without "<", at which Streamlit's sanitizer would drop it. On a phone, the focus would open the keyboard.
SCRIPT = """
(() => {
  const box = () => document.querySelector('[data-testid="stChatInputTextArea"]')
  const typing = () => document.activeElement.matches('input, textarea, select, [contenteditable="true"]')
  const focus = left => {
    const field = box()
    if (field && !field.disabled) return typing() || field.focus({ preventScroll: true })
    if (left) setTimeout(focus, 100, left - 1)
  }
  if (matchMedia('(hover: hover)').matches) focus(100)
  if (window.zooterSlash) return
  window.zooterSlash = true
  document.addEventListener('keydown', event => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || typing() || !box()) return
    event.preventDefault()
    box().focus()
  })
})()
"""
HTML = f"<script>{SCRIPT}</script>"


def focus(turns: int, running: bool) -> None:
    """Focus the composer, unless somebody types elsewhere; again whenever the arguments change."""
    st.html(f'<i data-state="{turns} {running}"></i>{HTML}', unsafe_allow_javascript=True)
