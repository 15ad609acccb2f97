"""Example queries that show what the models of the embedded fleet are for."""

from __future__ import annotations

import streamlit as st

EXAMPLES = (
    "What is 15% of 240?",
    "6 notebooks at $4 each: what do I pay?",
    "Write a Python function that counts vowels",
    "SQL: the five customers with most orders",
    "Write a thank-you email to a colleague",
    "Why is the sky blue?",
)


def pick(key: str) -> str | None:
    """Draw the examples as buttons; returns the one that was clicked."""
    st.caption("Try one of these:")
    columns = st.columns(2)
    for number, example in enumerate(EXAMPLES):
        if columns[number % 2].button(example.replace("$", r"\$"), key=f"{key}{number}", width="stretch"):
            return example
    return None
