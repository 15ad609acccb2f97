"""What the Compare page draws of a list of queries: the form, the progress and the results."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import tables
from zooter_core.ui.background import draw_live, stop_button
from zooter_core.ui.compare import batch_file, batches, view
from zooter_core.ui.compare.batch_file import MOST_MEGABYTES, MOST_QUERIES
from zooter_core.ui.compare.batches import Batch
from zooter_core.ui.error_box import show_error
from zooter_core.ui.text import number, plain

CSV_HELP = (
    "The column named `query` if the first line names one, else the first column of every line. "
    "UTF-8; columns separated by commas, semicolons or tabs."
)
SHORT = 80  # characters shown of a query while the list runs
LATEST = 12  # rows shown while the list runs
TALLEST = 600  # pixels of a longer table


def form() -> list[str] | None:
    """The fields of a list, and how many queries are in them; the queries once the list is sent.

    Raises:
        ZooterError: a line of the list is wrong, and it is sent.
    """
    text = st.text_area(
        "Queries, one per line",
        key="list-text",
        persist_state="session",
        height=150,
        placeholder="Why is the sky blue?",
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
    """The list: its progress while it runs, else its results."""
    if batch.running:
        draw_live(batch, partial(progress, batch))
    else:
        result(batch)


def progress(batch: Batch) -> None:
    """The progress, a button that stops the list, and the results so far."""
    current, done, total = batch.current, len(batch.finished), len(batch.queries)
    st.progress(done / total, f"{done} of {total} queries done")
    if current is not None:
        query = " ".join(current.query.split())
        state = (
            f"waiting, {current.job.ahead} ahead"
            if current.job.ahead
            else f"{len(current.job.responses)} of {len(current.job.candidates)} responses"
        )
        st.text(f"Now ({state}): {query[:SHORT]}{'…' if len(query) > SHORT else ''}")
    stop_button(batch, "stop-list")
    if batch.finished:
        _so_far(batch)


def result(batch: Batch) -> None:
    """The results of a list that has ended or was stopped, and what can be done with it."""
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
        _downloads(batch, row)
    row.button("New list", icon=":material/add:", key="new-list", on_click=batches.show, args=(None,))
    if not batch.finished:
        return
    st.markdown("  \n".join(summary_lines(batch)))
    chosen = _table(batch)
    if chosen is None:
        return
    comparison = batch.finished[chosen]
    st.text(comparison.query)
    if comparison.job.problem:
        show_error(comparison.job.problem)
    view.cards(comparison)


def _downloads(batch: Batch, row: Any) -> None:
    row.download_button(
        "CSV",
        batch_file.to_csv(batch.finished, batch.candidates),
        f"zooter-list-{batch.id}.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        help="One row per query. A cell that a spreadsheet would run as a formula starts with an apostrophe.",
    )
    row.download_button(
        "JSON lines",
        batch_file.to_json_lines(batch.finished),
        f"zooter-list-{batch.id}.jsonl",
        "application/x-ndjson",
        on_click="ignore",
        icon=":material/download:",
        help="A score file, for the Train page, zooter evaluate and zooter distill.",
    )


def summary_lines(batch: Batch) -> list[str]:
    """What the list shows about the router, as sentences in Markdown."""
    summary = batches.summary(batch.finished)
    failed = sum(row.job.problem is not None for row in batch.finished)
    lines = [f"{failed} of {len(batch.finished)} queries failed."] if failed else []
    if summary is None:
        return [*lines, "None of the responses has a reward, so there is nothing to rank."]
    lines.append(
        f"The router's choice had the highest reward in **{summary.agreed} of {summary.ranked}** queries "
        f"({summary.agreed / summary.ranked:.0%}). Its mean reward is {summary.router:.2f}, that of the best "
        f"responses {summary.best:.2f}: asking one model only loses {summary.best - summary.router:.2f} per query."
    )
    if summary.tokens_all:
        lines.append(
            f"The router's choices took {summary.tokens_router:,} tokens instead of {summary.tokens_all:,}: "
            f"{1 - summary.tokens_router / summary.tokens_all:.0%} saved."
        )
    return lines


def _so_far(batch: Batch) -> None:
    """The latest results while the list runs."""
    _draw_rows(batch, list(range(max(0, len(batch.finished) - LATEST), len(batch.finished)))[::-1])
    if len(batch.finished) > LATEST:
        st.caption(f"The latest {LATEST} of {len(batch.finished)}; all of them are in the table at the end.")


def _table(batch: Batch) -> int | None:
    """A row per query; the number of the query whose responses a visitor wants to read."""
    with st.container(height=TALLEST if len(batch.finished) > LATEST else "content", border=False):
        _draw_rows(batch, list(range(len(batch.finished))))
    chosen: int | None = st.selectbox(
        "Read the responses to",
        range(len(batch.finished)),
        index=None,
        format_func=lambda place: f"{place + 1}. {_short(batch, place)}",
        placeholder="Choose a query",
        key=f"results-{batch.id}-{len(batch.finished)}",
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
                plain(_short(batch, place)),
                f"{plain(choice)} {row.decision.probabilities[choice]:.0%}",
                "–" if earned is None else number(earned),
                (plain(row.best) + " :material/check:" * (row.best == choice)) if row.best else "–",
                "–" if most is None else number(most),
            ]
        )
    head = ["No.", "Query", "Router's choice", "reward", "Highest reward", "reward"]
    tables.draw(f"list-{batch.id}", head, rows, "lllrlr")


def _short(batch: Batch, place: int) -> str:
    """The start of a query."""
    query = " ".join(batch.finished[place].query.split())
    return query if len(query) <= SHORT else query[: SHORT - 1] + "…"
