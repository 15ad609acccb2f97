"""Places that are taken: one message that names them."""

from __future__ import annotations


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
