"""Tables with help on every column, marks in words, and a file of the same figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from zooter_core.evaluation.report_tables import to_csv

GROUND = "background-color: rgba(0, 158, 115, 0.22); font-weight: 700"  # readable on light and on dark


@dataclass(frozen=True)
class Column:
    """A column of rows: their key, its head, its help, and how its numbers are written (none for words)."""

    key: str
    label: str
    help: str
    form: str = ""


@dataclass(frozen=True)
class Table:
    """Rows and how they are shown.

    Attributes:
        name: of its file, without .csv.
        about: what it shows, for screen readers.
        best: column key -> the numbers of the rows with the word "best" there.
    """

    name: str
    about: str
    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[Column]
    best: Mapping[str, Set[int]] = field(default_factory=dict)


def show(table: Table, made_of: str) -> None:
    """A table, which scrolls inside itself, with its file; `made_of` changes whenever its figures do."""
    _drawn(table.name, made_of, table)
    st.download_button(
        "This table (CSV)",
        to_csv([{column.label: row.get(column.key) for column in table.columns} for row in table.rows]),
        f"{table.name}.csv",
        "text/csv",
        key=f"csv-{table.name}",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )


@st.cache_data(show_spinner=False, max_entries=100)
def _drawn(name: str, made_of: str, _table: Table) -> None:
    """What was drawn once is sent again as it was."""
    st.dataframe(
        _styled(_table),
        hide_index=True,
        column_config={
            column.key: st.column_config.Column(column.label, help=column.help, pinned=number == 0 or None)
            for number, column in enumerate(_table.columns)
        },
        height="content",
        placeholder="–",
        alt=_table.about,
    )


def _styled(table: Table) -> Any:
    """The rows as a pandas Styler: numbers below, which sort, and written as `form` says above."""
    import pandas as pd

    frame = pd.DataFrame([{column.key: row.get(column.key) for column in table.columns} for row in table.rows])
    numbers = {column.key: float for column in table.columns if column.form}
    styled = frame.astype(numbers).style  # a column of nothing but None would have no numbers to write
    for column in table.columns:
        if not column.form:
            continue
        marked = sorted(table.best.get(column.key, ()))
        styled = styled.format("{:" + column.form + "}", subset=[column.key])
        if marked:
            cells = (marked, [column.key])
            styled = styled.format("{:" + column.form + "} best", subset=cells).set_properties(
                subset=cells, **dict(rule.split(": ") for rule in GROUND.split("; "))
            )
    return styled
