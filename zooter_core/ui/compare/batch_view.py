"""What the Compare page draws of a list of queries: the form, the progress and the results."""

from __future__ import annotations

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
from zooter_core.ui.text import plain

CSV_HELP = (
    "The column named `query` if the first line names one, else the first column of every line. "
    "UTF-8; columns separated by commas, semicolons or tabs."
)
SHORT = 80  # characters shown of a query while the list runs
LATEST = 12  # rows shown while the list runs


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
    number = _table(batch)
    if number is None:
        st.caption("Select a row (in its first column) to read the responses.")
        return
    comparison = batch.finished[number]
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
        help="A score file, for the Lab, zooter evaluate and zooter distill.",
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
    """The latest results while the list runs, as a table that fits a phone."""
    rows = []
    for number in range(max(0, len(batch.finished) - LATEST), len(batch.finished)):
        row = _row(batch, number)
        query, tick = " ".join(batch.finished[number].query.split()), " :material/check:" if row["same"] else ""
        short = query if len(query) <= SHORT else query[: SHORT - 1] + "…"
        best = plain(row["best"]) if row["best"] else "–"
        rows.append([str(number + 1), plain(short), f"{plain(row['router'])} {row['share']:.0%}", best + tick])
    with st.container(key="table-so-far"):
        st.markdown(tables.markdown(["No.", "Query", "Router's choice", "Highest reward"], rows[::-1], "llll"))
    if len(batch.finished) > LATEST:
        st.caption(f"The latest {LATEST} of {len(batch.finished)}; all of them are in the table at the end.")


def _table(batch: Batch) -> int | None:
    """A row per query; the number of the selected one."""
    rows = [_row(batch, number) for number in range(len(batch.finished))]
    number = st.column_config.NumberColumn
    text = st.column_config.TextColumn
    columns: dict[str, Any] = {
        "number": number("No."),
        "query": text("Query", width="medium"),
        "router": text("Router's choice"),
        "share": number("Probability", format="percent", help="The router's probability that its choice is the best"),
        "best": text("Highest reward", help="The model whose response the reward model ranks first"),
        "same": st.column_config.CheckboxColumn("Same", help="Whether the router's choice has the highest reward"),
        "earned": number("Reward of choice", format="%.2f", help="The reward of the response of the router's choice"),
        "most": number("Best reward", format="%.2f", help="The highest reward among all responses to this query"),
        "tokens": number("Tokens", help="Tokens of all responses together"),
    }
    event: Any = st.dataframe(
        rows,
        column_config=columns,
        hide_index=True,
        width="stretch",
        key=f"results-{batch.id}-{len(rows)}",
        on_select="rerun",
        selection_mode="single-row",
    )
    return next(iter(event.selection.rows), None)


def _row(batch: Batch, number: int) -> dict[str, Any]:
    row = batch.finished[number]
    rewards = {item.response.candidate: item.reward for item in row.ranked()}
    choice = row.decision.candidate
    return {
        "number": number + 1,
        "query": batch_file.harmless(row.query),  # the table has a download of its own
        "router": choice,
        "share": row.decision.probabilities[choice],
        "best": row.best,
        "same": row.best == choice,
        "earned": rewards.get(choice),
        "most": rewards.get(row.best) if row.best else None,
        "tokens": sum(item.response.tokens for item in row.ranked()),
    }
