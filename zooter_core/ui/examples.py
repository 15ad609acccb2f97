"""Example queries, written for this project: one look shows what the candidates are for."""

from __future__ import annotations

import streamlit as st

EXAMPLES = (
    "Ana buys 6 notebooks at $4 each and a pen for $3. How much does she pay?",
    "What is 15% of 240?",
    "Write a Python function that counts the vowels in a string.",
    "Write an SQL query for the five customers with the most orders.",
    "Write a short thank-you email to a colleague who covered my shift.",
    "Why is the sky blue?",
)


def pick(key: str) -> str | None:
    """Draw the examples as buttons; the one that was pressed, else None."""
    st.caption("Try one of these:")
    columns = st.columns(2)
    for number, example in enumerate(EXAMPLES):
        if columns[number % 2].button(example.replace("$", r"\$"), key=f"{key}{number}", width="stretch"):
            return example
    return None
