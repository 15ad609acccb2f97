"""Example queries that show what the models of the embedded fleet are for."""

from __future__ import annotations

import streamlit as st

EXAMPLES = (
    "Solve 2x + 7 = 21",
    "How can I sleep better?",
    "Write a Python function that reverses a string",
    "Write a poem about a lost kitten",
    "SQL: all customers from Berlin",
    "Write a short email to thank Anna for her help with the move",
)


def pick(key: str) -> str | None:
    """Draw the examples as buttons; returns the one that was clicked."""
    st.caption("Try one of these:")
    columns = st.columns(2)
    for number, example in enumerate(EXAMPLES):
        if columns[number % 2].button(example.replace("$", r"\$"), key=f"{key}{number}", width="stretch"):
            return example
    return None
