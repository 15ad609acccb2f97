"""The input field for a query and its files. A query that cannot be sent is kept: its text in the field, its files
above it.

Files are untrusted: their texts are shown as plain text, and their names without Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import streamlit as st

from zooter_core.backends.attachments import estimated_tokens
from zooter_core.base.errors import ZooterError, one_line
from zooter_core.base.records import Attachment, Message, Reading
from zooter_core.data.documents import MOST_FILES, read_attachment
from zooter_core.ui import links
from zooter_core.ui.text import plain, visible
from zooter_core.ui.widgets import draw_problem, keep_problem

FILES, TEXT, RESTORED = "attached-files", "text-to-restore", "restored-text"  # in a session's state
NO_QUERY = "Type what you want to know about the attached files, then send it."
BUSY = "An answer is still coming, asked for in another tab. Send your query when it has ended."
PREVIEW = 4_000  # characters


def draw(begun: bool, disabled: bool) -> Message | None:
    """Draw the field, and above it the last query's problem and the files that wait to be sent. Return what was sent.

    Args:
        begun: whether a conversation has begun; the page then opens at its end and follows the answer.
    """
    if disabled and (sent := st.session_state.get("query")) and not isinstance(sent, str):  # Streamlit would drop it
        put_back(sent.text, BUSY)
    if text := st.session_state.pop(TEXT, ""):
        text += " " * (text == st.session_state.get(RESTORED))  # the browser may ignore the same text a second time
        st.session_state["query"] = st.session_state[RESTORED] = text
    links.prefill("query")
    with st.bottom:
        draw_problem("composer")
        _draw_waiting()
    place = st if begun else st.bottom
    value = place.chat_input("Ask anything", key="query", accept_file="multiple", disabled=disabled)
    if value is None:
        return None
    if value.files:  # the page shows their sizes until the query is sent
        put_back(value.text, "\n\n".join(_add(value.files)))
    if waiting() and not value.text.strip():
        put_back(value.text, NO_QUERY)
    return Message("user", value.text, waiting())


def waiting() -> tuple[Attachment, ...]:
    """The files for the next query."""
    return st.session_state.get(FILES, ())


def put_back(text: str, message: str) -> None:
    """Run the page again with the text back in the field, and with the message, if there is one."""
    st.session_state[TEXT] = text
    keep_problem("composer", message)
    st.rerun()


def clear() -> None:
    """Forget the waiting files after they have been sent."""
    st.session_state.pop(FILES, None)


def _add(files: Sequence[st.runtime.uploaded_file_manager.UploadedFile]) -> list[str]:
    """Add uploaded files to the waiting ones. Return what is wrong with files that are refused."""
    read, problems = list(waiting()), []
    for file in files:
        if len(read) == MOST_FILES:
            problems.append(
                f"A query takes at most {MOST_FILES} files: {one_line(file.name)} and those after it are left out."
            )
            break
        try:
            with st.spinner(f"Reading {plain(file.name)} ..."):
                read.append(read_attachment(file.name, file.getvalue()))
        except ZooterError as error:
            problems.append(str(error))
    st.session_state[FILES] = tuple(read)
    return problems


def _remove(number: int) -> None:
    files = waiting()
    st.session_state[FILES] = files[:number] + files[number + 1 :]


def _draw_waiting() -> None:
    if files := waiting():
        with st.container(horizontal=True, key="waiting-files", gap="xsmall"):
            for number, file in enumerate(files):
                label = f"{plain(file.name)} · {size(file)}"
                st.button(
                    label, f"remove-{number}", f"Remove {plain(file.name)}", _remove, (number,), icon=":material/close:"
                )


@lru_cache(maxsize=128)  # needed on every rerun of the page
def size(file: Attachment) -> str:
    """The approximate size of a file in tokens; each model counts a little differently."""
    tokens = estimated_tokens(file.text)
    return f"about {rounded(tokens)} token{'s' * (tokens != 1)}"


def rounded(count: int) -> str:
    """A count to three digits."""
    unit = 10 ** max(0, len(str(count)) - 3)
    return f"{round(count / unit) * unit:,}"


def draw_files(files: Sequence[Attachment], key: str) -> None:
    """Draw the files of a sent query; each opens as plain text."""
    if not files:
        return
    with st.container(horizontal=True, key=f"files-{key}", gap="xsmall", horizontal_alignment="right"):
        for number, file in enumerate(files):
            label = f"{plain(file.name)} · {size(file)}"
            with st.popover(
                label, icon=":material/description:", type="tertiary", key=f"file-{key}-{number}", on_change="rerun"
            ) as box:
                if box.open:
                    st.code(visible(file.text[:PREVIEW]), language=None, wrap_lines=True)
                    if len(file.text) > PREVIEW:
                        st.caption(f"{len(file.text) - PREVIEW:,} characters more, which an export has.")


def cut_note(name: str, readings: Sequence[Reading]) -> str:
    """Which parts of the files a model has not read, as Markdown; empty if it has read everything."""
    sentences = []
    for reading in readings:
        total = f"about {rounded(reading.tokens)} tokens"
        if not reading.read:
            sentences.append(f"{plain(reading.name)} ({total}) was not sent: nothing of it fits.")
        elif reading.read < reading.tokens:
            sentences.append(f"Of {plain(reading.name)} ({total}), the first {rounded(reading.read)} were sent.")
    if not sentences:
        return ""
    return f"{' '.join(sentences)} More does not fit into **{plain(name)}**'s context. Attach the part that you need."
