"""Tables with the meaning of every column, the best values marked, and a CSV file of the same figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from zooter_core.evaluation.report_tables import to_csv
from zooter_core.ui.text import plain


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
        best: column key -> the numbers of the rows that are marked there.
    """

    name: str
    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[Column]
    best: Mapping[str, Set[int]] = field(default_factory=dict)


def show(table: Table) -> None:
    """A table, what its columns mean, and a button that downloads it."""
    align = "".join("r" if column.number_format else "l" for column in table.columns)
    rows = [[_cell(table, number, column) for column in table.columns] for number in range(len(table.rows))]
    draw(table.name, [column.label for column in table.columns], rows, align)
    row = st.container(horizontal=True)
    meanings({column.label: column.help for column in table.columns}, row)
    download(table, row)


def draw(name: str, head: Sequence[str], rows: Sequence[Sequence[str]], align: str = "") -> None:
    """Cells in Markdown as a table that the style sheet fits to any width, unlike st.dataframe, which cuts it off."""
    with st.container(key=f"table-{name}"):
        st.markdown(markdown(head, rows, align))


def meanings(texts: Mapping[str, str], place: Any) -> None:
    """What the columns of a table mean, behind a button in `place`."""
    with place.popover("What the figures mean", icon=":material/info:", type="tertiary"):
        st.markdown("\n".join(f"- **{plain(name)}**: {text}" for name, text in texts.items()))


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
    """A table as Markdown.

    Args:
        head, rows: cells as Markdown.
        align: `l` or `r` for each column; the first to the left and the others to the right if empty.
    """
    marks = {"l": "---", "r": "---:"}
    align = align or "l" + "r" * (len(head) - 1)
    lines = [head, [marks[side] for side in align], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(table: Table, number: int, column: Column) -> str:
    value = table.rows[number].get(column.key)
    if value is None:
        return "–"
    if not column.number_format:
        return plain(str(value))
    text = written(column.number_format, value)
    return f":green-background[**{text}**]" if number in table.best.get(column.key, ()) else text


def written(number_format: str, value: float) -> str:
    """A number in its format; a small negative one is no "-0.00"."""
    text = format(value, number_format)
    return text if text.strip("-0.%") else text.removeprefix("-")
