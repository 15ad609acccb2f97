"""kill -9 in the middle: nothing is half there, and the same command goes on or begins again with the same end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.run_folders import FILES, content, same_end, unfinish

STEPS = {"collect": 13, "score": 4}  # how often a step has reported progress before the kill
DEATHS = {
    **{step: f"{step}:{count}" for step, count in STEPS.items()},
    "label": "label:3",
    "distill, while it compares kinds": "compare:2",
    "distill, before it is saved": "distill:1",
    "score --responses": "score:5",
    "distill --scores": "distill:1",
}

BEGUN = {  # these go on from the step that they are killed in
    **{step: step for step in (*STEPS, "label") if step != "collect"},
    "distill, while it compares kinds": "distill",
    "distill, before it is saved": "distill",
}


@pytest.fixture(scope="module")
def calls(tmp_path_factory, finished_run, queries, scores, responses, tiny_fleet) -> dict[str, list[str]]:
    """A call of each; where it writes is its last argument."""
    folder = tmp_path_factory.mktemp("killed")
    router = ["--router-set", "epochs=2", "--encoder", tiny_fleet / "encoder"]
    run = ["run", "--queries", queries, "--router-set", "epochs=2", "--fleet", tiny_fleet, "--out"]
    calls: dict[str, list[object]] = {
        **dict.fromkeys((*STEPS, "label"), run),
        "distill, while it compares kinds": run,
        "distill, before it is saved": run,
        "score --responses": ["score", "--responses", responses, "--fleet", tiny_fleet, "--out"],
        "distill --scores": ["distill", "--scores", scores, *router, "--out"],
    }
    return {name: [*map(str, call), str(folder / f"{n}")] for n, (name, call) in enumerate(calls.items())}


@pytest.fixture(scope="module")
def temporary(tmp_path_factory) -> Path:
    """Where the calls that are killed put temporary files."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def killed(calls, finished_run, temporary, programs) -> dict[str, Path]:
    """Where each call was killed."""
    for name, step in BEGUN.items():
        unfinish(Path(shutil.copytree(finished_run, calls[name][-1])), step, 0)
    shutil.copytree(finished_run / "router", calls["distill --scores"][-1])  # an old one stands in the place
    command = ["\t".join([death, *calls[name]]) for name, death in DEATHS.items()]
    places = os.environ | {"TMPDIR": str(temporary)}
    child = [programs / "killed_commands", *command]
    ended = subprocess.run(child, capture_output=True, text=True, check=True, env=places)
    assert ended.stdout.splitlines() == ["killed 9"] * len(DEATHS), ended.stderr
    return {name: Path(call[-1]) for name, call in calls.items()}


def alone(called, call: list[str], place: Path) -> Path:
    """The same call with nothing in its way."""
    assert called(*call[:-1], place)[0] == 0
    return place


@pytest.mark.parametrize("step", STEPS)
def test_a_step_killed_goes_on_where_it_was(called, calls, killed, finished_run, step):
    file = killed[step] / FILES[step]
    before = file.read_bytes()
    lines = 1 if step == "collect" else 4  # at a time
    assert before.count(b"\n") == STEPS[step] * lines
    file.write_bytes(before + before[: before.index(b"\n") // 2])  # the line that was being written
    assert called(*calls[step])[0] == 0
    assert file.read_bytes().startswith(before)
    assert same_end(killed[step], finished_run)


def test_labels_are_written_all_or_none(called, calls, killed, finished_run):
    assert (killed["label"] / FILES["label"]).read_bytes() == b""  # as before the step
    assert called(*calls["label"])[0] == 0
    assert same_end(killed["label"], finished_run)


@pytest.mark.parametrize("name", ["distill, while it compares kinds", "distill, before it is saved"])
def test_a_run_killed_while_its_router_is_made(called, calls, killed, finished_run, name):
    folder = killed[name]
    before = {file: data for file, data in content(folder).items() if file != "run.json"}
    assert set(before) == {"queries.jsonl", "responses.jsonl", "rewards.jsonl", "tags.jsonl", "labels.jsonl"}
    assert called(*calls[name])[0] == 0
    after = content(folder)
    assert {file: after[file] for file in before} == before
    assert same_end(folder, finished_run)


@pytest.mark.parametrize(
    "left", ["a stale partial", "no report", "not said to be finished", "no router", "all but the router, by hand"]
)
def test_a_run_killed_while_its_router_is_saved(called, run_copy, finished_run, queries, tiny_fleet, left):
    """What can be there between any two of the last writes."""
    state = json.loads((run_copy / "run.json").read_text())
    if not left.endswith("by hand"):
        del state["seals"]["distill"]
    (run_copy / "run.json").write_text(json.dumps(state, indent=2) + "\n")
    if left == "a stale partial":
        (run_copy / "router").rename(run_copy / "router.partial-999999999")
    if "router" in left:
        shutil.rmtree(run_copy / "router")
    if left not in ("not said to be finished", "all but the router, by hand"):
        (run_copy / "report.json").unlink()
    call = ["run", "--queries", queries, "--router-set", "epochs=2", "--fleet", tiny_fleet, "--out", run_copy]
    assert called(*call)[0] == 0
    assert same_end(run_copy, finished_run)


def test_scored_responses_appear_when_all_are_scored(called, calls, killed, tmp_path):
    name = "score --responses"
    assert not killed[name].exists()
    assert called(*calls[name])[0] == 0
    assert killed[name].read_bytes() == alone(called, calls[name], tmp_path / "alone").read_bytes()
    assert not list(killed[name].parent.glob("*.partial-*"))


def test_a_router_that_was_there_stays_until_the_new_one_is_whole(called, calls, killed, finished_run, tmp_path):
    name = "distill --scores"
    old, left = content(finished_run / "router"), content(killed[name])
    assert {file: left[file] for file in old} == old
    assert called(*calls[name])[0] == 0
    shutil.copytree(finished_run / "router", tmp_path / "alone")
    assert content(killed[name]) == content(alone(called, calls[name], tmp_path / "alone"))


def test_no_command_leaves_anything_where_temporary_files_are(killed, temporary):
    assert not list(temporary.iterdir())
