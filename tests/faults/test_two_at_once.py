"""Two processes at one thing: the second is refused or does no harm, and the first ends as if it had been alone."""

from __future__ import annotations

import subprocess
import sys

from support.run_folders import same_end, unfinish
from zooter_core import pipeline
from zooter_core.base.files import update_folder
from zooter_core.data.runs import Run

BUSY = "another process that uses it"


def test_a_second_command_on_a_run_is_refused_and_the_first_is_unharmed(
    called, run_copy, finished_run, tiny_ensemble, step_of
):
    unfinish(run_copy, "score", 0.3)
    refusals = []

    def meanwhile(step: str, done: int, of: int) -> None:
        if done % 8 == 0:
            refusals.extend(called(*step_of(name, run_copy)) for name in ("score", "label"))

    with Run(run_copy) as run:
        pipeline.score(run, tiny_ensemble, meanwhile)
    assert len(refusals) > 3
    assert all(code == 2 and f"the run folder {run_copy} to be free" in message for code, message in refusals)
    assert all(BUSY in message for _, message in refusals)
    for step in ("label", "distill"):
        assert called(*step_of(step, run_copy))[0] == 0
    assert same_end(run_copy, finished_run)


def test_what_a_dead_process_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    dead, living, strange = (tmp_path / f"out.partial-{end}" for end in (ended.pid, 1, "of-mine"))
    for path in (dead, living, strange):
        path.mkdir()
        (path / "file").write_text("half")
    with update_folder(tmp_path / "out", "file") as folder:
        (folder / "file").write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"out", living.name, strange.name}
    assert (tmp_path / "out" / "file").read_text() == "whole"
