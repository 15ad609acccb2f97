from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.embedded import reward, skills, tables


def test_tables_say_what_the_figures_say(tmp_path):
    folder = tmp_path / "experts"
    folder.mkdir()
    figures = {"examples": 12, "tokens": 1234, "loss_before": 1.5, "loss_after": 0.25}
    (folder / "math-2.json").write_text(json.dumps(figures))
    assert tables.table(("expert", "examples", "tokens", "before", "after"), tables.losses(folder)) == (
        "| expert | examples | tokens | before | after |\n"
        "| --- | ---: | ---: | ---: | ---: |\n"
        "| math, turn 2 | 12 | 1,234 | 1.500 | 0.250 |\n"
    )
    sweep = {
        "rows": [
            {"beta": 0.0, "mean": 0.25, "interval": [0.1, 0.4], "regret": 0.3, "minus_best": [0.0, 0.0]},
            {"beta": 0.3, "mean": 0.2, "interval": [0.0, 0.4], "regret": 0.35, "minus_best": [-0.1, 0.02]},
        ]
    }
    assert list(tables.betas(sweep)) == [
        ("0", "0.250", "0.100 to 0.400", "0.300", ""),
        ("0.3", "0.200", "0.000 to 0.400", "0.350", "-0.100 to 0.020"),
    ]


def test_every_figure_of_a_finished_recipe_has_a_row():
    assert set(tables.KINDS) >= set(reward.PAIRS["accuracy"])
    assert set(tables.ITEMS) >= {source for source, _, _ in skills.chat(Path("unused"))}


def test_what_costs_a_call_a_candidate_has_no_figure_at_one_call():
    held_back = {
        "mtr": {"router": 1.5, "rmr": 2.0},
        "uplift": {"router": 0.5, "rmr": 0.25},
        "single": {"mtr": {"router": 1.0}, "uplift": {"router": 1.0}},
    }
    assert list(tables.task_ranks(held_back)) == [
        ("router", "1.50", "50%", "1.00", "100%"),
        ("rmr", "2.00", "25%", "", ""),
    ]


def test_without_figures_one_line_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["tables", "--work", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"but found no .*report.json. Run `python -m recipes.embedded.make` first"):
        tables.main()
