"""What the Compare page draws of a list of queries: the form, the progress and the results."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import tables
from zooter_core.ui.background import draw_live, stop_button
from zooter_core.ui.compare import batch_file, batches, view
from zooter_core.ui.compare.batch_file import MOST_MEGABYTES, MOST_QUERIES
from zooter_core.ui.compare.batches import Batch
from zooter_core.ui.text import clipped, plain
from zooter_core.ui.widgets import download, persistent, show_error

CSV_HELP = (
    "The column named `query` if the first line names one, else the first column of every line. "
    "UTF-8; columns separated by commas, semicolons or tabs."
)
CSV_NOTE = "One row per query. A cell that a spreadsheet would run as a formula starts with an apostrophe."
JSON_NOTE = "A score file, for the Train page, zooter evaluate and zooter distill."
SHORT = 80  # characters shown of a query while the list runs
LATEST = 12  # rows shown while the list runs
TALLEST = 600  # pixels of a longer table


def form() -> list[str] | None:
    """The fields of a list, and how many queries are in them; the queries once the list is sent.

    Raises:
        ZooterError: a line of the list is wrong, and it is sent.
    """
    text = st.text_area(
        "Queries, one per line", height=150, placeholder="Why is the sky blue?", **persistent("list-text")
    )
    file = st.file_uploader(
        "Or a CSV file", type=["csv"], key="list-file", max_upload_size=MOST_MEGABYTES, help=CSV_HELP
    )
    st.caption(
        f"At most {MOST_QUERIES} queries, answered one after the other. You can stop and resume, and leave this "
        "page meanwhile; closing the tab stops the list. Other visitors' queries are served in between."
    )
    # The count stands beside the button: above, it would move the button away while it is clicked.
    row = st.container(horizontal=True, vertical_alignment="center")
    sent = row.button("Compare all", icon=":material/playlist_play:")
    content = file.getvalue() if file is not None else None
    if not sent and content is None and not (text or "").strip():
        return None
    try:
        queries = _queries(text or "", content)
    except ZooterError as problem:
        if sent:
            raise
        show_error(problem)
        return None
    row.markdown(f"**{len(queries)}** {'query' if len(queries) == 1 else 'queries'} found", width="content")
    return queries if sent else None


def _queries(text: str, file: bytes | None) -> list[str]:
    """The queries of the field or of the file, whichever is there."""
    if file is not None and text.strip():
        raise ZooterError(
            "a pasted list or a CSV file",
            "both",
            "Empty the field, or remove the file.",
            "There is both a pasted list and a CSV file.",
        )
    return batch_file.from_csv(file) if file is not None else batch_file.from_text(text)


def draw(batch: Batch) -> None:
    if batch.running:
        draw_live(batch, partial(_progress, batch))
    else:
        _result(batch)


def _progress(batch: Batch) -> None:
    current, done, total = batch.current, len(batch.finished), len(batch.queries)
    st.progress(done / total, f"{done} of {total} queries done")
    if current is not None:
        state = f"{len(current.job.responses)} of {len(current.job.candidates)} responses"
        if ahead := current.job.ahead:
            state = f"waiting, {ahead} ahead"
        st.text(f"Now ({state}): {clipped(current.query, SHORT)}")
    stop_button(batch, "stop-list")
    if done:
        _draw_rows(batch, range(done)[: -LATEST - 1 : -1])
    if done > LATEST:
        st.caption(f"The latest {LATEST} of {done}; all of them are in the table at the end.")


def _result(batch: Batch) -> None:
    done, total = len(batch.finished), len(batch.queries)
    if batch.problem:
        show_error(batch.problem)
    if batch.remaining:
        st.warning(f"Stopped: {done} of {total} queries are done.", icon=":material/pause_circle:")
    else:
        done_text = f"All {total} queries are done." if total > 1 else "The query is done."
        st.success(done_text, icon=":material/check_circle:")
    row = st.container(horizontal=True)
    if batch.remaining:
        row.button("Resume", icon=":material/play_arrow:", key="resume-list", on_click=batch.start)
    if batch.finished:
        text = batch_file.to_csv(batch.finished, batch.candidates)
        download("CSV", text, f"zooter-list-{batch.id}.csv", row, help=CSV_NOTE)
        text = batch_file.to_json_lines(batch.finished)
        download("JSON lines", text, f"zooter-list-{batch.id}.jsonl", row, help=JSON_NOTE)
    row.button("New list", icon=":material/add:", key="new-list", on_click=batches.show, args=(None,))
    if not batch.finished:
        return
    st.markdown("  \n".join(batches.summary_lines(batch.finished)))
    chosen = _table(batch)
    if chosen is None:
        return
    comparison = batch.finished[chosen]
    st.text(comparison.query)
    if comparison.job.problem:
        show_error(comparison.job.problem)
    view.cards(comparison)


def _table(batch: Batch) -> int | None:
    """A row per query; the number of the query whose responses a visitor wants to read."""
    places = range(len(batch.finished))
    with st.container(height=TALLEST if len(places) > LATEST else "content", border=False):
        _draw_rows(batch, places)
    chosen: int | None = st.selectbox(
        "Read the responses to",
        places,
        index=None,
        format_func=lambda place: f"{place + 1}. {clipped(batch.finished[place].query, SHORT)}",
        placeholder="Choose a query",
        key=f"results-{batch.id}-{len(places)}",
    )
    return chosen


def _draw_rows(batch: Batch, places: Sequence[int]) -> None:
    """The router's choice and the model with the highest reward of these queries."""
    rows = []
    for place in places:
        row = batch.finished[place]
        rewards, choice = {item.response.candidate: item.reward for item in row.ranked()}, row.decision.candidate
        earned, most = rewards.get(choice), rewards.get(row.best) if row.best else None
        rows.append(
            [
                str(place + 1),
                plain(clipped(batch.finished[place].query, SHORT)),
                f"{plain(choice)} {row.decision.probabilities[choice]:.0%}",
                "–" if earned is None else f"{earned:z.2f}",
                (plain(row.best) + " :material/check:" * (row.best == choice)) if row.best else "–",
                "–" if most is None else f"{most:z.2f}",
            ]
        )
    head = ["No.", "Query", "Router's choice", "reward", "Highest reward", "reward"]
    tables.draw(f"list-{batch.id}", head, rows, "lllrlr")
