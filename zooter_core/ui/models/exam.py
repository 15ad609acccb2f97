"""The exam in the browser: one button, a table that fills, Stop and go on, and what the router learned."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st

from zooter_core.base.files import remove
from zooter_core.data.run_folder import RESPONSES, ROUTER
from zooter_core.evaluation import verdicts
from zooter_core.evaluation.figures import Report
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.skills import starter_queries
from zooter_core.pipeline import exam
from zooter_core.pipeline.tally import Tally
from zooter_core.ui import links, resources, tables
from zooter_core.ui.background import BackgroundWork, StoppedError, attach, draw_live, stop_button
from zooter_core.ui.text import plain
from zooter_core.ui.widgets import show_error

STEPS = {
    "collect": "The models answer",
    "score": "Scoring the answers",
    "tag": "Tagging the questions",
    "label": "Labelling the questions",
    "compare": "Comparing routers",
    "distill": "Training the router",
}
LENGTHS = {"Quick: 120 questions": True, "Full: 600 questions": False}


class Exam(BackgroundWork):
    """An exam under way.

    Attributes:
        step, done, total: the current step of the pipeline.
        tallies: what each candidate has answered.
        report: at the end; the fleet has the router then.
    """

    subject = "exam"

    def __init__(self, ensemble: Ensemble, fleet: Path, quick: bool) -> None:
        super().__init__()
        self.step, self.done, self.total = "", 0, 0
        self.tallies: list[Tally] = []
        self.notes: list[str] = []
        self.report: Report | None = None
        self.shown = threading.Lock()  # taken once the fleet is loaded again with its router
        self.fleet, self.quick, self._ensemble = fleet, quick, ensemble
        self.start()

    def _execute(self) -> None:
        parts = exam.prepared(self.fleet)
        ensemble = self._ensemble if parts == self._ensemble.fleet else Ensemble(parts, self._ensemble.backends)
        folder, queries = exam.folder_of(self.fleet, self.quick), starter_queries(self.quick)
        queries = exam.answerable(queries, self.notes.append)
        report, missing = exam.sit(ensemble, folder, queries, self._progress, self._note, watch=self._watch)
        self.notes += [f"{name} lacks answers: {failure.reason}" for name, failure in missing.items()]
        exam.install(self.fleet, folder)
        self.report = report

    def _progress(self, step: str, done: int, total: int) -> None:
        if self.stopping:
            raise StoppedError
        self.step, self.done, self.total = step, done, total

    def _watch(self, tallies: Sequence[Tally]) -> None:
        self.tallies = [replace(tally) for tally in tallies]

    def _note(self, note: str) -> None:
        self.notes = [*self.notes, note][-3:]


@st.cache_resource(show_spinner=False)
def _exams() -> dict[Path, Exam]:
    """The last exam of each fleet, for all tabs."""
    return {}


def draw(ensemble: Ensemble, fleet: Path) -> None:
    """The exam's state, or the button that starts it."""
    sitting = _exams().get(fleet.resolve())
    with st.container(border=True, key="exam"):
        st.subheader("Exam", anchor=False)
        if sitting and sitting.running:
            attach(sitting)  # this tab too keeps it going
            draw_live(sitting, lambda: _draw_running(sitting))
            return
        if sitting and sitting.report:
            if sitting.shown.acquire(blocking=False):  # the first tab that sees the end
                resources.forget(fleet)
                st.rerun()
            _draw_result(sitting)
        elif sitting and sitting.problem:
            show_error(sitting.problem)
        _draw_start(ensemble, fleet, bool(sitting and sitting.stopped))


def _draw_start(ensemble: Ensemble, fleet: Path, stopped: bool) -> None:
    if ensemble.router.note:
        st.markdown(plain(ensemble.router.note))
    st.markdown(
        "In an exam, every model answers the same questions, and a router learns from the answers which model is good "
        "at what. You can stop it at any time and go on later."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.selectbox("Length", list(LENGTHS), key="exam-length", label_visibility="collapsed", width=240)
        quick = LENGTHS[label]
        folder = exam.folder_of(fleet, quick)
        begun, done = (folder / RESPONSES).is_file(), (folder / ROUTER).is_dir()
        st.button(
            "Go on" if begun and not done else "Start the exam", icon=":material/school:", key="primary-exam",
            on_click=_start, args=(ensemble, fleet, quick), disabled=done,
        )  # fmt: skip
        if begun:
            st.button(
                "Begin again", key="exam-again", icon=":material/restart_alt:",
                help="Deletes the answers of this exam.", on_click=_start, args=(ensemble, fleet, quick, True),
            )  # fmt: skip
    if begun and not done:
        st.caption(f"{'Stopped. ' if stopped else ''}The answers so far are kept.")
    answers = (120 if quick else 600) * len(ensemble.fleet.pool)
    if not done and (dollars := exam.dollars(ensemble.fleet, answers // len(ensemble.fleet.pool))) != 0:
        cost = "at a price that fleet.toml does not name" if dollars is None else f"for about \\${dollars:.2f}"
        st.caption(f"{answers:,} answers, {cost}.")


def _start(ensemble: Ensemble, fleet: Path, quick: bool, again: bool = False) -> None:
    if again:
        remove(exam.folder_of(fleet, quick))
    _exams()[fleet.resolve()] = Exam(ensemble, fleet, quick)


def _draw_running(sitting: Exam) -> None:
    step, done, total = sitting.step, sitting.done, sitting.total
    label = f"{STEPS.get(step, step)} ({done:,} of {total:,})" if total else STEPS.get(step, "Loading the models")
    st.progress(min(done / total, 1.0) if total else 0.0, "Stopping" if sitting.stopping else label)
    if sitting.tallies:
        head = ["Model", "Answers", "Per minute", "Left", ""]
        tables.draw("exam", head, [_row(tally) for tally in sitting.tallies], "lrrrl")
    for note in sitting.notes:
        st.caption(plain(note))
    stop_button(sitting, "exam-stop")
    st.caption("It goes on while this demo is open in a tab, on any of its pages.")


def _row(tally: Tally) -> list[str]:
    left = tally.seconds_left
    return [
        plain(tally.candidate),
        f"{tally.done} of {tally.total}",
        f"{60 * tally.rate:.0f}" if tally.new else "–",
        f"{left / 60:.0f} min" if left and left > 90 else f"{left:.0f} s" if left else "–",
        plain(tally.problem.reason) if tally.problem else "",
    ]


def _draw_result(sitting: Exam) -> None:
    """The verdict, and who was right how often."""
    assert sitting.report is not None
    if verdict := verdicts.of_report(sitting.report):
        for sentence in verdicts.sentences(verdict):
            st.markdown(plain(sentence))
    if verified := sitting.report.verified:
        shares = ", ".join(f"{plain(name)} {share:.0%}" for name, share in verified.right.items())
        st.caption(f"Right answers, of {verified.n:,} that can be checked: {shares}.")
    for note in sitting.notes:
        st.caption(plain(note))
    links.page_button("Chat with the new router", "chat", "chat")
