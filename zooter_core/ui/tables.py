"""Tables that explain every column and highlight the best values, with a download as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import streamlit as st

from zooter_core.ui import widgets
from zooter_core.ui.text import plain

Rows = Sequence[Mapping[str, Any]]
# A cell that begins with one of these is a formula in a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True)
class Column:
    """A column: its key in the rows, label, help, and the format of its numbers (empty for text)."""

    key: str
    label: str
    help: str
    number_format: str = ""


def show(name: str, rows: Rows, columns: Sequence[Column], best: Set[tuple[str, int]] = frozenset()) -> None:
    """Draw a table, the meaning of its columns, and a button that downloads it.

    Args:
        best: the highlighted cells, as a column's key and a row's index.
    """
    align = "".join("r" if column.number_format else "l" for column in columns)
    cells = [[_cell(row, column, (column.key, n) in best) for column in columns] for n, row in enumerate(rows)]
    draw(name, [column.label for column in columns], cells, align)
    place = st.container(horizontal=True)
    meanings({column.label: column.help for column in columns}, place)
    download(name, rows, columns, place)


def draw(name: str, head: Sequence[str], rows: Sequence[Sequence[str]], align: str = "") -> None:
    """Draw Markdown cells as a table. The style sheet fits it to any width; st.dataframe would cut it off."""
    with st.container(key=f"table-{name}"):
        st.markdown(markdown(head, rows, align))


def meanings(texts: Mapping[str, str], place: Any) -> None:
    """Draw the meaning of a table's columns, behind a button in `place`."""
    with place.popover("What the figures mean", icon=":material/info:", type="tertiary"):
        st.markdown("\n".join(f"- **{plain(name)}**: {text}" for name, text in texts.items()))


def download(name: str, rows: Rows, columns: Sequence[Column], place: Any) -> None:
    """Draw a button, in `place`, that downloads a table as CSV."""
    content = to_csv([{column.label: row.get(column.key) for column in columns} for row in rows])
    widgets.download("This table (CSV)", content, f"{name}.csv", place, type="tertiary")


def to_csv(rows: Rows) -> str:
    """Rows with the same columns as CSV with a header, safe to open in a spreadsheet. None and NaN are empty cells."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for cells in (rows[0], *(row.values() for row in rows)):
        writer.writerow("" if cell != cell else harmless(cell) for cell in cells)  # only NaN differs from itself
    return file.getvalue()


def harmless(cell: Any) -> Any:
    """The cell, after an apostrophe if a spreadsheet would otherwise evaluate it as a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], align: str = "") -> str:
    """A table as Markdown.

    Args:
        head, rows: cells as Markdown.
        align: `l` or `r` per column; if empty, the first column is aligned left and the others right.
    """
    marks = {"l": "---", "r": "---:"}
    align = align or "l" + "r" * (len(head) - 1)
    lines = [head, [marks[side] for side in align[: len(head)]], *rows]  # a table needs one mark per column
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(row: Mapping[str, Any], column: Column, best: bool) -> str:
    value = row.get(column.key)
    if value is None:
        return "–"
    if not column.number_format:
        return plain(str(value))
    return figure(column, value, best)


def figure(column: Column, value: float, best: bool) -> str:
    """A number in its column's format, highlighted if it is the best."""
    text = format(value, "z" + column.number_format)  # z: a small negative number is "0.00", not "-0.00"
    return f":green-background[**{text}**]" if best else text
