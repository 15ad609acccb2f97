"""Tables with help on every column, the best values marked, and a CSV file of the same figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import streamlit as st

from zooter_core.evaluation.report_tables import to_csv

GROUND = "background-color: rgba(0, 158, 115, 0.22); font-weight: 700"  # readable on light and on dark


@dataclass(frozen=True)
class Column:
    """A column: its key in the rows, label, help, and the format of its numbers (empty for text)."""

    key: str
    label: str
    help: str
    number_format: str = ""


@dataclass(frozen=True)
class Table:
    """Rows and how they are shown.

    Attributes:
        name: of the file, without .csv.
        description: for screen readers.
        best: column key -> the numbers of the rows that get the word "best" there.
    """

    name: str
    description: str
    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[Column]
    best: Mapping[str, Set[int]] = field(default_factory=dict)


def show(table: Table, version: str) -> None:
    """A table with a button that downloads it. It is rendered again when `version` changes."""
    _cached(table.name, version, table)
    download(table, st)


def download(table: Table, place: Any) -> None:
    """A button, in `place`, that downloads a table as CSV."""
    place.download_button(
        "This table (CSV)",
        to_csv([{column.label: row.get(column.key) for column in table.columns} for row in table.rows]),
        f"{table.name}.csv",
        "text/csv",
        key=f"csv-{table.name}",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], align: str = "") -> str:
    """A table as Markdown, which wraps in its cells and is never cut, unlike st.dataframe's.

    Args:
        head, rows: cells as Markdown.
        align: `l` or `r` for each column; the first to the left and the others to the right if empty.
    """
    marks = {"l": "---", "r": "---:"}
    align = align or "l" + "r" * (len(head) - 1)
    lines = [head, [marks[side] for side in align], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@st.cache_data(show_spinner=False, max_entries=100)
def _cached(name: str, version: str, _table: Table) -> None:
    st.dataframe(
        _styled(_table),
        hide_index=True,
        column_config={
            column.key: st.column_config.Column(column.label, help=column.help, pinned=number == 0 or None)
            for number, column in enumerate(_table.columns)
        },
        height="content",
        placeholder="–",
        alt=_table.description,
    )


def _styled(table: Table) -> Any:
    """The rows as a pandas Styler: numbers, so that columns sort, shown in their format."""
    import pandas as pd

    frame = pd.DataFrame([{column.key: row.get(column.key) for column in table.columns} for row in table.rows])
    numbers = {column.key: float for column in table.columns if column.number_format}
    styled = frame.astype(numbers).style  # a column of None alone would not be numeric
    for column in table.columns:
        if not column.number_format:
            continue
        best = sorted(table.best.get(column.key, ()))
        styled = styled.format(partial(written, column.number_format), subset=[column.key])
        if best:
            cells = (best, [column.key])
            styled = styled.format(partial(written, column.number_format, more=" best"), subset=cells).set_properties(
                subset=cells, **dict(rule.split(": ") for rule in GROUND.split("; "))
            )
    return styled


def written(number_format: str, value: float, more: str = "") -> str:
    """A number in its format; a small negative one is no "-0.00"."""
    text = format(value, number_format)
    return (text if text.strip("-0.%") else text.removeprefix("-")) + more
