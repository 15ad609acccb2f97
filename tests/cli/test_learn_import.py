from __future__ import annotations

import json

from zooter_core.cli.main import main
from zooter_core.learn.traffic import FILE, Traffic


def test_a_path_with_nothing_at_it_makes_no_traffic_file(tmp_path, tiny_fleet, capsys):
    call = ["learn", "import", str(tmp_path / "none.jsonl"), "--fleet", str(tiny_fleet), "--data", str(tmp_path / "d")]
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


def test_what_is_no_query_is_counted_by_its_reason_and_an_unknown_format_is_described(tmp_path, tiny_fleet, capsys):
    log, data = tmp_path / "log.json", ["--fleet", str(tiny_fleet), "--data", str(tmp_path / "d")]
    calls = [
        {"call_type": kind, "messages": "some text"} for kind in ("acompletion", "aspeech", "amoderation", "aspeech")
    ]
    log.write_text(json.dumps({"data": calls}))
    assert main(["learn", "import", str(log), *data]) == 0
    assert [line for line in capsys.readouterr().err.splitlines() if "left out" in line] == [
        "left out 2: speech", "left out 1: moderation"
    ]  # fmt: skip
    log.write_text('[{"colour": "red", "size": 1}]')
    assert main(["learn", "import", str(log), *data]) == 2
    assert "records with the fields colour, size" in " ".join(capsys.readouterr().err.split())
