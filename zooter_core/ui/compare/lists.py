"""A list of queries, compared one after the other: its form, its file, the work, its progress and its results.

Other visitors' queries are served in between.
"""

from __future__ import annotations

import csv
import io
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from zooter_core.backends.conversation import check_query
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Ranked
from zooter_core.base.strict_json import dump_json
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import tables
from zooter_core.ui.background import BackgroundWork, draw_live, stop_button
from zooter_core.ui.compare import comparisons, view
from zooter_core.ui.compare.comparisons import Comparison
from zooter_core.ui.links import Registry
from zooter_core.ui.text import clipped, plain
from zooter_core.ui.widgets import download, persistent, show_error

MOST_LISTS = 50  # in memory


class QueryList(BackgroundWork):
    """Compares one query at a time. Each comparison is a job of its own, which queues behind all earlier jobs.

    Attributes:
        answers: query -> its right answer, for those that have one.
        finished: the comparisons that have ended, in the order of the queries. A stop drops the one that runs.
        current: the comparison that runs.
    """

    subject = "list"

    def __init__(
        self,
        ensemble: Ensemble,
        queries: Sequence[str],
        candidates: Sequence[str] = (),
        answers: Mapping[str, str] | None = None,
    ) -> None:
        """Start at once.

        Raises:
            ZooterError: there are fewer than two candidates.
        """
        super().__init__()
        self.answers = dict(answers or {})
        self.id = secrets.token_urlsafe(9)
        self.queries = tuple(queries)
        self.candidates = comparisons.pick(ensemble.fleet.pool, candidates)
        self.finished: list[Comparison] = []
        self.current: Comparison | None = None
        self._ensemble = ensemble
        self._lock = threading.Lock()  # a stop sees either no comparison or one that it can stop
        self.start()

    @property
    def remaining(self) -> int:
        """How many queries are not finished; `start` continues with the first of them."""
        return len(self.queries) - len(self.finished)

    def stop(self) -> None:
        """End at the next token, and wait a moment for it."""
        with self._lock:
            self._stop.set()
            current = self.current
        if current is not None:
            current.job.stop()
        super().stop()

    def _execute(self) -> None:
        while self.remaining and self._compare(self.queries[len(self.finished)]):
            pass

    def _finish(self) -> None:
        self.current = None

    def _compare(self, query: str) -> bool:
        """Compare one query; False if a stop came first."""
        with self._lock:
            if self.stopping:
                return False
            answer = self.answers.get(query, "")
            self.current = comparisons.start(self._ensemble, query, self.candidates, answer=answer)
        self.current.job.wait()
        if self.stopping:
            return False
        self.finished.append(self.current)
        return True


def summary_lines(rows: Sequence[Comparison]) -> list[str]:
    """What comparisons show about the router, as sentences in Markdown."""
    failed = sum(row.job.problem is not None for row in rows)
    lines = [f"{failed} of {len(rows)} queries failed."] if failed else []
    choices, agreed, best, tokens = [], 0, 0.0, 0
    for row in rows:
        scored = {item.response.candidate: item for item in row.ranked() if item.reward is not None}
        if row.decision.candidate in scored:
            agreed += row.decision.candidate == row.best
            choices.append(scored[row.decision.candidate])
            best += max(item.reward or 0.0 for item in scored.values())
            tokens += sum(item.response.tokens for item in row.ranked())
    if verified := [row for row in rows if row.key]:
        lines.append(_right(verified))
    if not choices:
        return [*lines, "None of the responses has a reward, so there is nothing to rank."]
    n = len(choices)
    earned, most = sum(choice.reward or 0.0 for choice in choices) / n, best / n
    lines.append(
        f"The router's choice had the highest reward in **{agreed} of {n}** queries ({agreed / n:.0%}). Its mean "
        f"reward is {earned:.2f}, that of the best responses {most:.2f}: running its choice alone loses "
        f"{most - earned:.2f} per query."
    )
    if tokens:
        used = sum(choice.response.tokens for choice in choices)
        saved = f"{1 - used / tokens:.0%} saved"
        lines.append(f"The router's choices took {used:,} tokens instead of {tokens:,}: {saved}.")
    return lines


def _right(rows: Sequence[Comparison]) -> str:
    """How many queries each model, and the router's choice, answered rightly, as a sentence in Markdown."""
    counts, chosen = dict.fromkeys(rows[0].job.candidates, 0), 0
    for row in rows:
        for item in row.ranked():
            counts[item.response.candidate] += bool(item.right)
            chosen += bool(item.right) and item.response.candidate == row.decision.candidate
    models = ", ".join(f"{plain(name)} {count}" for name, count in counts.items())
    return f"Right answers, of {len(rows)}: the router's choice **{chosen}**; {models}."


@st.cache_resource(show_spinner=False)
def registry() -> Registry[QueryList]:
    return Registry("list", "batch", MOST_LISTS)


def show(query_list: QueryList | None) -> None:
    """Let this session look at a list, or at none; its previous list is stopped."""
    previous = registry().current()
    if previous is not None and previous is not query_list:
        previous.stop()
    registry().show(query_list)


MOST_QUERIES = 200
MOST_MEGABYTES = 20  # of a CSV file; MOST_QUERIES of the greatest length fit in
COLUMN, ANSWER = "query", "answer"
DELIMITERS = ",;\t"


def from_text(text: str) -> list[str]:
    """The queries of a pasted list, one per line; empty lines are skipped.

    Raises:
        ZooterError: a line cannot be routed (the message names it), or there are no queries or too many.
    """
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return _checked((number, line) for number, line in lines if line)


def from_csv(content: bytes) -> tuple[list[str], dict[str, str]]:
    """The queries of a CSV file, and the right answers of those that have one.

    They are in the columns `query` and `answer` if the first line names them; else the first column has the queries.

    Raises:
        ZooterError: the file is not CSV in UTF-8, a line is wrong (the message names it), or there are no queries or
            too many.
    """
    cells = list(_cells(_decoded(content)))
    return _checked((number, query) for number, query, _ in cells), {
        query: answer for _, query, answer in cells if answer
    }


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content[: problem.start].count(b"\n") + 1
        raise ZooterError(
            "a CSV file in UTF-8",
            f"the byte 0x{content[problem.start]:02x} in line {line}",
            'Save it as "CSV UTF-8".',
        ) from problem


def _cells(text: str) -> Iterator[tuple[int, str, str]]:
    """Each query and its right answer, after the number of the line in which it ends."""
    first = next(iter(text.lstrip("\r\n").splitlines()), "")
    delimiter = next((d for d in DELIMITERS if COLUMN in _names(first.split(d))), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    column = width = 0
    answers: int | None = None
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if not width:
                width = len(row)
                if COLUMN in (names := _names(row)):
                    column, answers = names.index(COLUMN), names.index(ANSWER) if ANSWER in names else None
                    continue
            if len(row) != width:
                raise ZooterError(
                    f"{width} {'column' if width == 1 else 'columns'} in line {rows.line_num}, as in the first",
                    str(len(row)),
                    'Put text with a comma in "double quotes".',
                )
            yield rows.line_num, row[column].strip(), "" if answers is None else row[answers].strip()
    except csv.Error as problem:
        raise ZooterError(f"CSV in line {rows.line_num}", str(problem), "Fix that line.") from problem


def _names(row: Sequence[str]) -> list[str]:
    return [cell.strip().strip('"').strip().lower() for cell in row]


def _checked(lines: Iterable[tuple[int, str]]) -> list[str]:
    queries: list[str] = []
    for number, query in lines:
        try:
            check_query(query)
        except ZooterError as problem:
            facts = problem.failure
            raise ZooterError(f"{facts.expected} in line {number}", facts.found, facts.next_step) from problem
        if len(queries) == MOST_QUERIES:
            raise ZooterError(f"at most {MOST_QUERIES} queries", f"another in line {number}", "Split the list.")
        queries.append(query)
    if not queries:
        raise ZooterError(
            "a list of queries", "none", "Paste one query per line, or choose a CSV file.", "The list is empty."
        )
    return queries


def to_csv(rows: Sequence[Comparison], candidates: Sequence[str]) -> str:
    """A row per query: the router's choice and probabilities, and each response with reward, tokens and seconds."""
    lines = []
    for row in rows:
        line: dict[str, Any] = {COLUMN: row.query, "router": row.decision.candidate}
        line |= {"highest_reward": row.best, "problem": row.job.problem}
        items = {item.response.candidate: item for item in row.ranked()}
        for name in candidates:
            line[f"probability_{name}"] = round(row.decision.probabilities[name], 6)
            if any(other.key for other in rows):
                line[f"right_{name}"] = items[name].right if name in items else None
            line |= {f"{key}_{name}": value for key, value in _facts(items.get(name)).items()}
        lines.append(line)
    return tables.to_csv(lines)


def _facts(item: Ranked | None) -> dict[str, Any]:
    if item is None:
        return dict.fromkeys(("reward", "tokens", "seconds", "response", "error"))
    return {
        "reward": item.reward,
        "tokens": item.response.tokens,
        "seconds": round(item.response.seconds, 3),
        "response": item.response.text,
        "error": str(item.response.error or ""),
    }


def to_json_lines(rows: Sequence[Comparison]) -> str:
    """A score file: a line per query with `scores`, `tags`, `responses` and more about the comparison."""
    return "".join(dump_json(_line(number, row), ensure_ascii=False) + "\n" for number, row in enumerate(rows, 1))


def _line(number: int, row: Comparison) -> dict[str, Any]:
    items = {item.response.candidate: item for item in row.ranked()}
    scored = [name for name in row.job.candidates if name in items and items[name].reward is not None]
    outcomes = {name: float(items[name].right or 0) for name in scored if items[name].right is not None}
    return {
        "id": f"{number:04d}",
        "query": row.query,
        **(row.key or {}),
        **({"verified": outcomes} if outcomes else {}),
        "scores": {name: items[name].reward for name in scored},
        "tags": [tag.name for tag in row.decision.tags],
        "responses": {name: items[name].response.text for name in scored},
        "tokens": {name: item.response.tokens for name, item in items.items()},
        "seconds": {name: round(item.response.seconds, 3) for name, item in items.items()},
        "errors": {name: str(item.response.error) for name, item in items.items() if item.response.error},
        "route": row.decision.to_json(),
        "problem": row.job.problem,
    }


CSV_HELP = (
    "The column named `query` if the first line names one, else the first column of every line. Responses are verified "
    "by a column named `answer`. UTF-8; columns separated by commas, semicolons or tabs."
)
CSV_NOTE = "One row per query. A cell that a spreadsheet would run as a formula starts with an apostrophe."
JSON_NOTE = "A score file, for the Train page, zooter evaluate and zooter distill."
SHORT = 80  # characters shown of a query while the list runs
LATEST = 12  # rows shown while the list runs
TALLEST = 600  # pixels of a longer table


def form() -> tuple[list[str], dict[str, str]] | None:
    """The fields of a list, and how many queries are in them; queries and right answers once the list is sent.

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
        queries, answers = _queries(text or "", content)
    except ZooterError as problem:
        if sent:
            raise
        show_error(problem)
        return None
    row.markdown(f"**{len(queries)}** {'query' if len(queries) == 1 else 'queries'} found", width="content")
    return (queries, answers) if sent else None


def _queries(text: str, file: bytes | None) -> tuple[list[str], dict[str, str]]:
    """The queries of the field or of the file, whichever is there, and the right answers of those that have one."""
    if file is not None and text.strip():
        raise ZooterError(
            "a pasted list or a CSV file",
            "both",
            "Empty the field, or remove the file.",
            "There is both a pasted list and a CSV file.",
        )
    return from_csv(file) if file is not None else (from_text(text), {})


def draw(query_list: QueryList) -> None:
    if query_list.running:
        draw_live(query_list, partial(_progress, query_list))
    else:
        _result(query_list)


def _progress(query_list: QueryList) -> None:
    current, done, total = query_list.current, len(query_list.finished), len(query_list.queries)
    st.progress(done / total, f"{done} of {total} queries done")
    if current is not None:
        state = f"{len(current.job.responses)} of {len(current.job.candidates)} responses"
        if ahead := current.job.ahead:
            state = f"waiting, {ahead} ahead"
        st.text(f"Now ({state}): {clipped(current.query, SHORT)}")
    stop_button(query_list, "stop-list")
    if done:
        _draw_rows(query_list, range(done)[: -LATEST - 1 : -1])
    if done > LATEST:
        st.caption(f"The latest {LATEST} of {done}; all of them are in the table at the end.")


def _result(query_list: QueryList) -> None:
    done, total = len(query_list.finished), len(query_list.queries)
    if query_list.problem:
        show_error(query_list.problem)
    if query_list.remaining:
        st.warning(f"Stopped: {done} of {total} queries are done.", icon=":material/pause_circle:")
    else:
        done_text = f"All {total} queries are done." if total > 1 else "The query is done."
        st.success(done_text, icon=":material/check_circle:")
    row = st.container(horizontal=True)
    if query_list.remaining:
        row.button("Resume", icon=":material/play_arrow:", key="resume-list", on_click=query_list.start)
    if query_list.finished:
        text = to_csv(query_list.finished, query_list.candidates)
        download("CSV", text, f"zooter-list-{query_list.id}.csv", row, help=CSV_NOTE)
        text = to_json_lines(query_list.finished)
        download("JSON lines", text, f"zooter-list-{query_list.id}.jsonl", row, help=JSON_NOTE)
    row.button("New list", icon=":material/add:", key="new-list", on_click=show, args=(None,))
    if not query_list.finished:
        return
    st.markdown("  \n".join(summary_lines(query_list.finished)))
    chosen = _table(query_list)
    if chosen is None:
        return
    comparison = query_list.finished[chosen]
    st.text(comparison.query)
    if comparison.job.problem:
        show_error(comparison.job.problem)
    view.cards(comparison)


def _table(query_list: QueryList) -> int | None:
    """A row per query; the number of the query whose responses a visitor wants to read."""
    places = range(len(query_list.finished))
    with st.container(height=TALLEST if len(places) > LATEST else "content", border=False):
        _draw_rows(query_list, places)
    return st.selectbox(
        "Read the responses to",
        places,
        index=None,
        format_func=lambda place: f"{place + 1}. {clipped(query_list.finished[place].query, SHORT)}",
        placeholder="Choose a query",
        key=f"results-{query_list.id}-{len(places)}",
    )


def _draw_rows(query_list: QueryList, places: Sequence[int]) -> None:
    """The router's choice and the model with the highest reward of these queries."""
    rows = []
    for place in places:
        row = query_list.finished[place]
        rewards, choice = {item.response.candidate: item.reward for item in row.ranked()}, row.decision.candidate
        earned, most = rewards.get(choice), rewards.get(row.best) if row.best else None
        rows.append(
            [
                str(place + 1),
                plain(clipped(query_list.finished[place].query, SHORT)),
                f"{plain(choice)} {row.decision.probabilities[choice]:.0%}",
                "–" if earned is None else f"{earned:z.2f}",
                (plain(row.best) + " :material/check:" * (row.best == choice)) if row.best else "–",
                "–" if most is None else f"{most:z.2f}",
            ]
        )
    head = ["No.", "Query", "Router's choice", "reward", "Highest reward", "reward"]
    tables.draw(f"list-{query_list.id}", head, rows, "lllrlr")
