"""Places that are closed to the user or taken: one message that names them."""

from __future__ import annotations

from support.process_limits import bound_by_permissions
from support.run_folders import content


def test_what_is_closed_is_named_and_nothing_is_made(called, fleet_copy, tmp_path, responses):
    weights = fleet_copy / "reward" / "model.safetensors"
    weights.chmod(0)
    before, out = content(fleet_copy), tmp_path / "out.jsonl"
    with bound_by_permissions():
        code, message = called("score", "--responses", responses, "--fleet", fleet_copy, "--out", out)
    assert code in (1, 2)
    assert str(weights) in message
    assert "Permission denied" in message
    assert "get it again" not in message  # there is nothing wrong with it
    assert content(fleet_copy) == before
    assert not out.exists()


def test_a_place_that_is_taken_is_told_before_the_work(
    called, tmp_path, monkeypatch, queries, scores, responses, tiny_fleet
):
    """A file where a folder is to be, a folder where a file is to be, and a file where the folder around is to be."""
    for works in ("evaluation.sweep._splits", "evaluation.sweep.figures", "pipeline.train.train"):
        monkeypatch.setattr(f"zooter_core.{works}", None)  # it must not come so far
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.html").mkdir()
    for place, *call in (
        (tmp_path / "file", "run", "--queries", queries, "--out"),
        (tmp_path / "folder.html", "evaluate", "--scores", scores, "--sweep", "beta=1", "--plot"),
        (tmp_path / "file" / "new.jsonl", "score", "--responses", responses, "--out"),
    ):
        code, message = called(*call, place, "--fleet", tiny_fleet)
        assert code == 2
        assert str(place) in message
    assert (tmp_path / "file").read_text() == "mine"
    assert not list((tmp_path / "folder.html").iterdir())
