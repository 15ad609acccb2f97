from __future__ import annotations

from pathlib import Path

import pytest

from recipes.embedded import reward, skills, tables


def test_every_figure_of_a_finished_recipe_has_a_row():
    assert set(tables.KINDS) >= set(reward.PAIRS["accuracy"])
    assert set(tables.ITEMS) >= {source for source, _, _ in skills.chat(Path("unused"))}


def test_without_figures_one_line_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["tables", "--work", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"but found no .*report.json. Run `python -m recipes.embedded.make` first"):
        tables.main()
