"""The exam in the browser: one button to start, stop and resume, a table of progress, and what the router learned."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import streamlit as st

from zooter_core.base.errors import ZooterError, listed
from zooter_core.config.fleet import Fleet
from zooter_core.data.run_folder import REPORT, RESPONSES, ROUTER
from zooter_core.data.scores import NO_DATASET
from zooter_core.evaluation import thinking, verdicts
from zooter_core.evaluation.figures import Report, Verdict, load_report
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.skills import starter_queries
from zooter_core.pipeline import exam
from zooter_core.pipeline.collect import Collecting
from zooter_core.pipeline.tally import Tally
from zooter_core.ui import charts, resources, tables
from zooter_core.ui.background import BackgroundWork, attach, draw_live, stop_button
from zooter_core.ui.text import plain, with_commands
from zooter_core.ui.widgets import draw_page_button, draw_problem, keep_problem, show_error

STEPS = {
    "collect": "The models answer",
    "score": "Scoring the answers",
    "tag": "Tagging the questions",
    "label": "Labelling the questions",
    "compare": "Comparing routers",
    "distill": "Training the router",
}
START = {"begun": "Go on", "better": "Use its router"}  # the button's label at a stage
LENGTHS = {"Quick: 120 questions": True, "Full: 600 questions": False}


class Exam(BackgroundWork):
    """An exam that runs in the background.

    Attributes:
        tallies: the progress of each candidate.
    """

    subject = "exam"

    def __init__(self, ensemble: Ensemble, fleet: Path, quick: bool, anyway: bool = False) -> None:
        super().__init__()
        self.tallies: list[Tally] = []
        self.notes: list[str] = []
        self.fleet, self.quick, self._anyway, self._ensemble = fleet, quick, anyway, ensemble
        self.start()

    @property
    def ended_well(self) -> bool:
        """Whether the router is trained."""
        return not (self.running or self.stopped or self.problem)

    def _execute(self) -> None:
        parts = exam.prepare_fleet(self.fleet)
        ensemble = self._ensemble if parts == self._ensemble.fleet else Ensemble(parts, self._ensemble.backends)
        folder, queries = exam.exam_folder(self.fleet, self.quick), starter_queries(self.quick)
        queries = exam.answerable(queries, self.notes.append)
        how = Collecting(allow_missing=True, tell=self._note, watch=self._watch)
        _, missing = exam.sit(ensemble, folder, queries, self.report, how)
        self.notes += [f"{name} lacks answers: {failure.reason}" for name, failure in missing.items()]
        exam.settle(self.fleet, folder, ensemble, self._anyway)
        resources.forget(self.fleet)  # all tabs use its router from now on

    def _watch(self, tallies: Sequence[Tally]) -> None:
        self.tallies = [replace(tally) for tally in tallies]

    def _note(self, note: str) -> None:
        self.notes = [*self.notes, note][-3:]


@st.cache_resource(show_spinner=False)
def _exams() -> dict[Path, Exam]:
    """The last exam of each fleet, for all tabs."""
    return {}


def draw(fleet: Path) -> None:
    sitting = _exams().get(fleet.resolve())
    running = sitting is not None and sitting.running
    ensemble = resources.ensemble()  # only now, since an exam that has just ended has changed the fleet
    with st.container(border=True, key="exam"):
        st.header("Exam", anchor=False)
        if sitting and running:
            attach(sitting)  # the exam goes on as long as this tab is open
            draw_live(sitting, lambda: _draw_running(sitting))
            return
        draw_problem("exam")
        if sitting and sitting.problem:
            show_error(sitting.problem)
        elif run := _ended_run(ensemble, sitting):
            for note in sitting.notes if sitting else ():
                st.caption(plain(note))
            with suppress(ZooterError):  # e.g. the report has been deleted
                taken = exam.is_installed(ensemble.fleet, run)
                _draw_result(load_report(run / REPORT), exam.load_rival(run), ensemble.fleet.pool, taken)
                if taken:
                    draw_page_button("Chat with the new router", "chat", "chat")
        _draw_start(ensemble, fleet, bool(sitting and sitting.stopped))


def _ended_run(ensemble: Ensemble, sitting: Exam | None) -> Path | None:
    """The exam to report on: one that has just ended, else the one that trained the fleet's router, else one whose
    router was not better than the fleet's."""
    if sitting and sitting.ended_well:
        return exam.exam_folder(sitting.fleet, sitting.quick)
    runs = [exam.exam_folder(ensemble.fleet.folder, quick) for quick in (False, True)]
    installed = [run for run in runs if exam.is_installed(ensemble.fleet, run)]
    return next(iter(installed or filter(_stayed_out, runs)), None)


def _stayed_out(run: Path) -> bool:
    """Whether an exam has ended with a router that is not better than the fleet's."""
    with suppress(ZooterError):
        return (run / ROUTER).is_dir() and not verdicts.takes_over(load_report(run / REPORT), exam.load_rival(run))
    return False


Stage = Literal["new", "begun", "better", "not better", "used"]


def _find_stage(fleet: Fleet, run: Path) -> Stage:
    """The stage of an exam: whether answers or the router are missing, else what happened to its router."""
    if not (run / RESPONSES).is_file():
        return "new"
    if not (run / ROUTER).is_dir() or not exam.has_all_answers(fleet, run):
        return "begun"
    if exam.is_installed(fleet, run):
        return "used"
    return "not better" if _stayed_out(run) else "better"


def _draw_start(ensemble: Ensemble, fleet: Path, stopped: bool) -> None:
    if ensemble.router.note:
        st.markdown(plain(ensemble.router.note))
    st.markdown(
        "In an exam, every model answers the same questions, and a router learns from the answers which model is good "
        "at what. You can stop it at any time and go on later."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        length = st.selectbox("Length", list(LENGTHS), key="exam-length", label_visibility="collapsed", width=240)
        quick = LENGTHS[length]
        folder = exam.exam_folder(fleet, quick)
        stage = _find_stage(ensemble.fleet, folder)
        st.button(
            START.get(stage, "Start the exam"), icon=":material/school:", key="primary-exam",
            on_click=_start, args=(ensemble, fleet, quick), disabled=stage in ("not better", "used"),
        )  # fmt: skip
        if stage == "not better":
            st.button(
                "Use its router anyway", key="exam-anyway", icon=":material/input:",
                help="It has not shown that it is better.", on_click=_start, args=(ensemble, fleet, quick, False, True),
            )  # fmt: skip
        if stage != "new":
            st.button(
                "Begin again", key="exam-again", icon=":material/restart_alt:",
                help="Deletes the answers of this exam.", on_click=_start, args=(ensemble, fleet, quick, True),
            )  # fmt: skip
    new = exam.newcomers(ensemble.fleet, folder)
    if stage == "begun":
        more = f" New since then: {plain(listed(new.pool))}." if new.candidates else ""
        st.caption(f"{'Stopped. ' if stopped else ''}The answers so far are kept.{more}")
    questions = 120 if quick else 600
    if new.candidates and (cost := exam.describe_cost(new, questions)):
        st.caption(f"{questions * len(new.pool):,} answers, {plain(cost)}.")


def _start(ensemble: Ensemble, fleet: Path, quick: bool, again: bool = False, anyway: bool = False) -> None:
    running = _exams().get(fleet.resolve())
    if running is not None and running.running:  # started by a second click, or in another tab
        return
    try:
        if again:
            exam.discard(exam.exam_folder(fleet, quick))
    except ZooterError as problem:  # `zooter exam` is using the folder
        keep_problem("exam", problem)
        return
    _exams()[fleet.resolve()] = Exam(ensemble, fleet, quick, anyway)


def _draw_running(sitting: Exam) -> None:
    label = STEPS.get(sitting.step, sitting.step or "Loading the models")
    label += f" ({sitting.done:,} of {sitting.total:,})" if sitting.total else ""
    st.progress(sitting.share, "Stopping" if sitting.stopping else label)
    stop_button(sitting, "exam-stop")
    if sitting.tallies:
        head = ["Model", "Answers", "Per minute", "Left"]
        head += ["Problem"] * any(tally.problem for tally in sitting.tallies)
        tables.draw("exam", head, [_row(tally)[: len(head)] for tally in sitting.tallies], "lrrrl")
    for note in sitting.notes:
        st.caption(plain(note))
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


def _draw_result(report: Report, rival: Verdict | None, pool: Sequence[str], taken: bool) -> None:
    """Draw the verdicts, how often each model was right, and a chart of who was best in which skill."""
    for sentence in verdicts.settled(report, rival, taken) if rival else ():
        st.markdown(f"**{plain(sentence)}**")
    if verdict := verdicts.of_report(report):
        for sentence in verdicts.sentences(verdict):
            st.markdown(with_commands(sentence))
    if verified := report.verified:
        shares = ", ".join(f"{plain(name)} {share:.0%}" for name, share in verified.measured.items())
        st.caption(f"Right answers, of {verified.n:,} that can be checked: {shares}.")
    for sentence in thinking.sentences(report.thinking):
        st.caption(plain(sentence))
    wins = {skill: row.share_of_wins for skill, row in report.candidates.items() if skill != NO_DATASET}
    if wins:
        st.markdown("**Who gave the best answer, by skill**")
        figure = charts.wins(wins, list(report.candidates[NO_DATASET].share_of_wins), pool)
        best = {skill: max(shares, key=shares.__getitem__) for skill, shares in wins.items() if shares}
        names = "; ".join(f"{skill}: {name}, {wins[skill][name]:.0%}" for skill, name in best.items())
        charts.draw(figure, "exam-wins", f"The model with most best answers: {names}", 100 + 24 * len(wins))
