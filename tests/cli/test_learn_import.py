from __future__ import annotations

import json

from zooter_core.cli.main import main
from zooter_core.learn.traffic import FILE, Traffic


def test_a_path_with_nothing_at_it_makes_no_traffic_file(tmp_path, tiny_fleet, capsys):
    call = [
        "learn",
        "import",
        str(tmp_path / "none.jsonl"),
        "--fleet",
        str(tiny_fleet),
        "--data",
        str(tmp_path / "d"),
    ]
    assert main(call) == 2
    assert "nothing at" in capsys.readouterr().err
    assert not (tmp_path / "d" / FILE).exists()


def test_lines_are_imported_and_counted(tmp_path, tiny_fleet, capsys):
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps({"query": f"What is {n}?", "time": 1_767_571_200 + n}) + "\n" for n in range(3)))
    call = ["learn", "import", str(log), "--fleet", str(tiny_fleet), "--data", str(tmp_path / "d")]
    assert main(call) == 0
    assert "New requests" in capsys.readouterr().err
    with Traffic.open(tmp_path / "d") as traffic:
        assert len(traffic.newest()) == 3
