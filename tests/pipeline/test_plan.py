"""Everything that can be known before the first request is told before it: an endpoint counts what it is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import endpoint_fleet, tiny_models
from support.command_files import replace_text, write_lines
from zooter_core.base.errors import ZooterError
from zooter_core.cli.main import main
from zooter_core.config.fleet import load_fleet
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline.plan import Plan, check

HERE = ("--router-set", "epochs=2")


@pytest.fixture
def server(scripted):
    scripted.replies = {"first": lambda query: f"{query} Yes.", "second": lambda query: "No."}
    return scripted


@pytest.fixture
def fleet(fleet_copy, server) -> Path:
    return endpoint_fleet.save(fleet_copy, server.url, {"a": "first", "b": "second"})


@pytest.fixture
def queries(tmp_path) -> Path:
    lines = [{"id": f"q{n}", "query": text} for n, text in enumerate(tiny_models.QUERIES[:12])]
    return write_lines(tmp_path / "queries.jsonl", lines)


def change(fleet: Path, old: str, new: str) -> None:
    replace_text(fleet / "fleet.toml", old, new)


def without(fleet: Path, table: str) -> None:
    head, _, rest = (fleet / "fleet.toml").read_text().partition(f"[{table}]\n")
    (fleet / "fleet.toml").write_text(head + rest[rest.index("\n[") + 1 :])


@pytest.fixture
def refused(fleet, queries, tmp_path, server, capsys):
    """A run that must be refused before it asks anything: its message."""

    def call(*options: object, code: int = 2) -> str:
        before = len(server.bodies)  # requests that cost something; the list of models is free
        arguments = ["run", "--fleet", fleet, "--queries", queries, "--out", tmp_path / "run", *options]
        assert main(list(map(str, arguments))) == code
        messages = [line for line in capsys.readouterr().err.splitlines() if line.startswith("zooter: ")]
        assert len(messages) == 1
        assert len(server.bodies) == before, "a request was paid for"
        if not before:
            assert not (tmp_path / "run").exists()
        return messages[0]

    return call


@pytest.mark.parametrize("table", ["reward", "tagger"])
def test_a_table_that_is_missing_or_of_a_kind_that_there_is_not(fleet, refused, table):
    without(fleet, table)
    assert f"a [{table}] table in fleet.toml" in refused()
    with (fleet / "fleet.toml").open("a") as file:
        file.write(f'\n[{table}]\nkind = "wibble"\n')
    assert f'a known {table} kind, but found "wibble"' in refused()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--beta", 7), "beta between 0 and 1"), (("--tau", 0), "a finite temperature tau > 0"),
        (("--normalise", "wibble"), "a normalisation"), (("--holdout", 1), "--holdout from 0"),
        (("--holdout", 0.99), "holds back all 12 queries"), (("--router-kind", "wibble"), "a known router kind"),
        (("--router-kind", "kmeans", "--router-set", "clusters=0"), "clusters as"),
        (("--router-kind", "kmeans", "--finetune", "last"), "--finetune"), (("--samples", 0), "--samples 1"),
        (("--samples", 3, "--temperature", 0), "a temperature above 0 for 3 samples"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be(refused, options, message):
    assert message in refused(*options)


@pytest.mark.parametrize(
    "place", ["run", "run/responses.jsonl", "run/router/new.jsonl", "queries.jsonl/x", "/proc/zooter/scores.jsonl"]
)
def test_scores_that_cannot_be_written_or_would_spoil_the_run(refused, tmp_path, place):
    assert "scores" in refused("--scores", tmp_path / place) or place == "run"


def test_tags_that_the_queries_do_not_have(fleet, refused):
    without(fleet, "tagger")
    change(fleet, "[reward]", '[tagger]\nkind = "given"\n\n[reward]')
    assert 'queries with "tags"' in refused()


def test_an_encoder_that_does_not_load(fleet, refused):
    (fleet / "encoder" / "model.safetensors").write_bytes(b"no weights")
    assert "an encoder at" in refused(code=1)


def test_a_reward_model_whose_files_are_missing(fleet, refused):
    weights, config = (fleet / "reward" / name for name in ("model.safetensors", "config.json"))
    weights.write_bytes(weights.read_bytes()[:2000])
    assert "a reward model at" in refused(code=1)
    for file in (weights, config):
        file.unlink()
        assert "a reward model at" in refused(code=1)


def test_a_judge_that_is_not_there(fleet, refused):
    without(fleet, "reward")
    judge = f'[reward.judge]\nbackend = "openai"\nmodel = "m"\nbase_url = "{endpoint_fleet.NOWHERE}"\n'
    change(fleet, "[tagger]", f'[reward]\nkind = "judge"\n\n{judge}\n[tagger]')
    assert "no connection (refused)" in refused(code=1)


def test_candidates_with_the_name_of_a_method_of_the_report(fleet, refused):
    change(fleet, 'name = "a"', 'name = "oracle"')
    assert "candidates not named like a method" in refused()


# A run that has begun


@pytest.fixture
def begun(fleet, queries, tmp_path, server) -> Path:
    """The folder of a whole run."""
    call = ["run", "--fleet", fleet, "--queries", queries, "--out", tmp_path / "run", *HERE]
    assert main(list(map(str, call))) == 0
    return tmp_path / "run"


def unfinished(folder: Path) -> None:
    """The run as if it had been stopped in collect."""
    with Run(folder) as run:
        run.state["seals"] = {"start": run.state["seals"]["start"]}
        run._write_state()
    lines = (folder / "responses.jsonl").read_text().splitlines(keepends=True)
    first, second = ([line for line in lines if json.loads(line)["candidate"] == name][:2] for name in ("a", "b"))
    (folder / "responses.jsonl").write_text("".join([*first, *second]))  # whatever order they came in


def test_another_setting_or_fleet_than_the_run_began_with(begun, fleet, refused):
    unfinished(begun)
    for option, value in (("beta", 0.5), ("tau", 2), ("samples", 2), ("temperature", 0), ("seed", 3)):
        assert f"the setting {option}" in refused(*HERE, f"--{option}", value)
    assert "the setting epochs" in refused("--router-set", "epochs=5")
    change(fleet, "max_tokens = 128", "max_tokens = 64")
    assert "the setting reward_sha256" in refused(*HERE)
    change(fleet, "max_tokens = 64", "max_tokens = 128")
    change(fleet, 'model = "first"', 'model = "second"')
    assert "The responses of a in the run" in refused(*HERE)


def test_a_step_that_is_finished_needs_nothing_any_more(fleet, queries, tmp_path, server, refused):
    """The rewards are there: that their judge cannot be asked any more is no reason to stop."""
    server.replies["judge"] = lambda query: "Rating: [[5]]" if "No." in query else "Rating: [[7]]"
    without(fleet, "reward")
    judge = f'[reward.judge]\nbackend = "openai"\nmodel = "judge"\nbase_url = "{server.url}"\n'
    change(fleet, "[tagger]", f'[reward]\nkind = "judge"\n\n{judge}\n[tagger]')
    call = ["run", "--fleet", fleet, "--queries", queries, "--out", tmp_path / "run", *HERE]
    assert main(list(map(str, call))) == 0
    before = len(server.bodies)
    change(fleet, f"{judge}\n", f'{judge}api_key_env = "NO_SUCH_KEY"\n\n')
    assert main(list(map(str, call))) == 0
    assert len(server.bodies) == before
    text = (fleet / "fleet.toml").read_text()
    new = text[text.rindex("[[candidate]]") :].replace('name = "b"', 'name = "c"')
    (fleet / "fleet.toml").write_text(text + new)
    assert "NO_SUCH_KEY" in refused(*HERE)  # a new candidate's responses need the judge
    (fleet / "fleet.toml").write_text(text)
    with Run(tmp_path / "run") as run:
        run.state["seals"] = {name: run.state["seals"][name] for name in ("start", "collect")}
        run._write_state()
    assert "NO_SUCH_KEY" in refused(*HERE)


# The first steps alone


def test_collect_needs_no_reward_and_the_next_steps_their_tables(fleet, queries, tmp_path, server, capsys):
    for table in ("reward", "tagger"):
        without(fleet, table)
    call = ["run", "--fleet", fleet, "--queries", queries, "--out", tmp_path / "run", "--until"]
    assert main([*map(str, call), "collect"]) == 0
    assert len(server.bodies) == 24
    for step, table in (("score", "reward"), ("tag", "tagger")):
        if step == "tag":
            change(fleet, "[[candidate]]", '[reward]\nkind = "embedded"\n\n[[candidate]]')
        assert main([*map(str, call), step]) == 2
        assert f"a [{table}] table in fleet.toml" in capsys.readouterr().err
        assert step not in json.loads((tmp_path / "run" / "run.json").read_text())["steps"]


def test_a_step_by_itself_needs_the_one_before_it(fleet, tmp_path):
    with Run(tmp_path / "run", create=True) as run:
        for step, later in {"collect": "score", "label": "distill"}.items():
            with pytest.raises(ZooterError, match=f"The step {step} of the run .* is not finished"):
                check(run, Plan((later,)), Ensemble(load_fleet(fleet)))
