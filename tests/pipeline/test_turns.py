"""Candidates that do not fit into memory together, from the command line and in a run: it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import tiny_models
from support.patience import PATIENCE
from zooter_core import pipeline
from zooter_core.base.records import Message, Query
from zooter_core.cli.main import main
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.run_folder import RESPONSES
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline.collect import Collecting
from zooter_core.ui.jobs import AnswerPlan, Job

SHORT = GenerationConfig(max_new_tokens=4, temperature=0.0)
NOTE = "Loading two: its 151 kB do not fit into memory together with base."


@pytest.fixture
def folder(fleet_copy: Path) -> Path:
    """The tiny fleet, whose candidate `two` has a base of its own; the budget holds one."""
    tiny_models.save_language_model(fleet_copy / "other", seed=7)
    file = fleet_copy / "fleet.toml"
    written = file.read_text().replace('model = "base"\nadapter = "adapters/two"', 'model = "other"')
    file.write_text(written + "\n[memory]\nbudget_gb = 0.0002\n")
    return fleet_copy


def test_check_tells_the_memory_of_each_of_them(folder, capsys, monkeypatch):
    """Also of one that came in place of another, by which the process does not grow."""
    for name in ("base", "other"):  # large enough to be more than 0 MB
        tiny_models.save_language_model(folder / name, hidden=512)
    size = sum(path.stat().st_size for path in (folder / "base").glob("*.safetensors"))
    monkeypatch.setenv("COLUMNS", "200")
    text = (folder / "fleet.toml").read_text().replace('adapter = "adapters/one"\n', "")
    (folder / "fleet.toml").write_text(text.replace("budget_gb = 0.0002", f"budget_gb = {1.5 * size / 1e9}"))
    assert main(["check", "--json", "--fleet", str(folder)]) == 0
    out, err = capsys.readouterr()
    memory = {part["name"]: part["memory_mb"] for part in json.loads(out)["parts"] if part["part"] == "candidate"}
    assert memory["base"] == memory["two"] == round(size / 1e6) > 0
    assert "do not fit into memory together with base." in err


def test_a_run_says_so_and_loads_each_base_once(folder, tmp_path, monkeypatch):
    from zooter_core.backends.local import model

    loads, load = [], model.load
    monkeypatch.setattr(
        model, "load", lambda place, used: loads.append(Path(place.candidate.model).name) or load(place, used)
    )
    ensemble = Ensemble(load_fleet(folder))
    notes: list[str] = []
    with Run(tmp_path / "run", create=True) as run:
        pipeline.start(run, ensemble, [Query(str(n), f"What is {n} + 1?") for n in range(70)])  # more than a batch
        pipeline.collect(run, ensemble, SHORT, how=Collecting(tell=notes.append))
        assert len(list(run.records(RESPONSES))) == 210
    assert notes == [NOTE]
    assert loads == ["base", "other"]


def test_a_job_keeps_what_its_candidates_wait_for(folder):
    plan = AnswerPlan(("base", "two"))
    job = Job(Ensemble(load_fleet(folder)), plan, [Message("user", "Hello")], generation=SHORT).start()
    job.wait(PATIENCE)
    assert {name: answer.note for name, answer in job.answers.items()} == {"base": "", "two": NOTE}
    assert [response.error for response in job.responses] == [None, None]
