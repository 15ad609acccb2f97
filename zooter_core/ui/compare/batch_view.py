"""What the Compare page draws of a list of queries: how it is given, how far it is, what came of it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import problems
from zooter_core.ui.compare import batch, batch_file, view
from zooter_core.ui.compare.batch import Batch
from zooter_core.ui.compare.batch_file import MOST_MEGABYTES, MOST_QUERIES

CSV_HELP = (
    "The column named `query`, where the first line names one; else the first column of every line. "
    "UTF-8; columns parted by commas, semicolons or tabs."
)
SHORT = 80  # characters of the query that is being answered


def ask() -> list[str] | None:
    """The form; the queries once it is sent.

    Raises:
        ZooterError: a line of the list is wrong.
    """
    with st.form("list", border=False):
        text = st.text_area(
            "Queries, one a line",
            key="list-text",
            persist_state="session",
            height=150,
            placeholder="Why is the sky blue?",
        )
        file = st.file_uploader(
            "Or a CSV file", type=["csv"], key="list-file", max_upload_size=MOST_MEGABYTES, help=CSV_HELP
        )
        st.caption(
            f"At most {MOST_QUERIES} queries. They are answered one after the other; other visitors' queries come "
            "in between. You can stop, go on later, and leave this page meanwhile; closing the tab stops it."
        )
        sent = st.form_submit_button("Compare all", icon=":material/playlist_play:")
    if not sent:
        return None
    if file is not None and (text or "").strip():
        raise ZooterError("a pasted list or a CSV file", "both", "Empty the field, or take the file away.")
    return batch_file.from_csv(file.getvalue()) if file is not None else batch_file.from_text(text or "")


def progress(found: Batch) -> None:
    """How far it is, a button that stops it, and what has come."""
    now, done, of = found.now, len(found.done), len(found.queries)
    st.progress(done / of, f"{done} of {of} queries done")
    if now is not None:
        query = " ".join(now.query.split())
        wait = (
            f"waiting, {now.job.ahead} ahead"
            if now.job.ahead
            else f"{len(now.job.responses)} of {len(now.job.candidates)} responses"
        )
        st.text(f"Now ({wait}): {query[:SHORT]}{'…' if len(query) > SHORT else ''}")
    st.button("Stop", icon=":material/stop_circle:", key="stop-list", on_click=found.stop, disabled=found.stopping)
    if found.done:
        _table(found, "so-far")


def result(found: Batch) -> None:
    """What came of a list that has ended or was stopped, and what can be done with it."""
    done, of = len(found.done), len(found.queries)
    if found.problem:
        problems.tell(found.problem)
    if found.left:
        st.warning(f"Stopped: {done} of {of} queries are done.", icon=":material/pause_circle:")
    else:
        st.success(f"All {of} queries are done." if of > 1 else "The query is done.", icon=":material/check_circle:")
    row = st.container(horizontal=True)
    if found.left:
        row.button("Go on", icon=":material/play_arrow:", key="resume-list", on_click=found.resume)
    if found.done:
        _downloads(found, row)
    row.button("New list", icon=":material/add:", key="new-list", on_click=batch.show, args=(None,))
    if not found.done:
        return
    st.markdown("  \n".join(spoken(found)))
    number = _table(found, "results")
    if number is None:
        st.caption("Pick a line (in its first column) to read the responses.")
        return
    st.text(found.done[number].query)
    if found.done[number].job.problem:
        problems.tell(found.done[number].job.problem)
    view.cards(found.done[number])


def _downloads(found: Batch, row: Any) -> None:
    row.download_button(
        "CSV",
        batch_file.to_csv(found.done, found.candidates),
        f"zooter-list-{found.id}.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        help="A line a query. A cell that a spreadsheet would take for a formula begins with an apostrophe.",
    )
    row.download_button(
        "JSON lines",
        batch_file.to_json_lines(found.done),
        f"zooter-list-{found.id}.jsonl",
        "application/x-ndjson",
        on_click="ignore",
        icon=":material/download:",
        help="A score file: the Lab, `zooter evaluate` and `zooter distill` read it.",
    )


def spoken(found: Batch) -> list[str]:
    """What the list has shown of the router, in sentences of Markdown."""
    shown = batch.summary(found.done)
    failed = sum(row.job.problem is not None for row in found.done)
    said = [f"{failed} of {len(found.done)} queries failed."] if failed else []
    if shown is None:
        return [*said, "None of the responses has a reward, so there is nothing to rank."]
    said.append(
        f"The router's choice had the highest reward in **{shown.agreed} of {shown.ranked}** "
        f"({shown.agreed / shown.ranked:.0%}). Its mean reward is {shown.router:.2f}, the best responses' "
        f"{shown.best:.2f}: what asking one model alone gives up is {shown.best - shown.router:.2f} a query."
    )
    if shown.tokens_all:
        said.append(
            f"The router's choices took {shown.tokens_router:,} tokens in place of {shown.tokens_all:,}: "
            f"{1 - shown.tokens_router / shown.tokens_all:.0%} saved."
        )
    return said


def _table(found: Batch, key: str) -> int | None:
    """A line a query; the number of the one that is picked."""
    rows = [_row(found, number) for number in range(len(found.done))]
    number = st.column_config.NumberColumn
    text = st.column_config.TextColumn
    columns: dict[str, Any] = {
        "number": number("No."),
        "query": text("Query", width="medium"),
        "router": text("Router's choice"),
        "share": number("Probability", format="percent", help="The router's, that its choice is the best"),
        "best": text("Highest reward", help="Whose response the reward model puts first"),
        "same": st.column_config.CheckboxColumn("Same", help="Whether the router's choice has the highest reward"),
        "earned": number("Reward of choice", format="%.2f", help="The reward model's score of the router's choice"),
        "most": number("Best reward", format="%.2f", help="The highest score of all responses to this query"),
        "tokens": number("Tokens", help="Of all responses together"),
    }
    if key == "so-far":
        st.dataframe(rows, column_config=columns, hide_index=True, width="stretch", key=f"{key}-{found.id}")
        return None
    picked: Any = st.dataframe(
        rows,
        column_config=columns,
        hide_index=True,
        width="stretch",
        key=f"{key}-{found.id}-{len(rows)}",
        on_select="rerun",
        selection_mode="single-row",
    )
    return next(iter(picked.selection.rows), None)


def _row(found: Batch, number: int) -> dict[str, Any]:
    row = found.done[number]
    rewards = {item.response.candidate: item.reward for item in row.ranked()}
    chosen = row.decision.candidate
    return {
        "number": number + 1,
        "query": batch_file.harmless(row.query),  # the table has a download of its own
        "router": chosen,
        "share": row.decision.probabilities[chosen],
        "best": row.best,
        "same": row.best == chosen,
        "earned": rewards.get(chosen),
        "most": rewards.get(row.best) if row.best else None,
        "tokens": sum(item.response.tokens for item in row.ranked()),
    }
