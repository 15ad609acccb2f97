"""compare over an endpoint that misbehaves in every way of tests/support/scripted_models.py."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support import endpoint_fleet
from support.scripted_models import NAMES
from support.scripted_server import Scripted
from zooter_core.cli.main import main

# What these give is an answer, whole or cut off; all others give none, or half of one.
ANSWERING = {
    *("caches", "echo", "echo-key", "empty", "endless", "every-api", "good"),
    *("half-line", "halves", "length", "lingers", "narrow", "no-images", "no-stream-options", "no-tools", "picky"),
    "seeded",
    *("reset-at-the-end", "ten-megabytes", "think", "tool-info", "unfinished", "unhurried", "zipped"),
}
MODELS = ("refused", "goods", "http-401", "http-418", "http-429", "http-503", *NAMES)


def save(folder: Path, server: Scripted) -> Path:
    """A fleet of misbehaving models and one that does not."""
    endpoint_fleet.save(folder, server.url, {name: name for name in (*MODELS, "fine")}, router=True, hang_seconds=0.8)
    file = folder / "fleet.toml"

    def limited(entry: re.Match[str]) -> str:
        gap = 0.6 if entry[1].startswith("hang-in-") else 20
        return f"{entry[0]}gap_seconds = {gap}\n"

    file.write_text(re.sub(r'name = "(.*)"\nbackend = "openai"\n', limited, file.read_text()))
    return folder


def told_once(model: str, error: str) -> bool:
    begins = error.startswith((f"{model} at 127.0.0.1:", f"Expected an answer of {model},"))
    return begins and error.count(" failed: ") + error.count("Expected ") == 1


def test_compare_ranks_the_others_and_tells_each_fault_once(
    capsys: pytest.CaptureFixture[str], fleet_copy: Path, scripted: Scripted
) -> None:
    """Each fault on its own: tests/backends/endpoint/test_faults.py."""
    scripted.elsewhere = "http://example.test/v1/chat/completions"
    scripted.replies = {"fine": lambda query: f"{query} That is a long story."}
    assert main(["compare", "Hi", "--fleet", str(save(fleet_copy, scripted)), "--json"]) == 0
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert "zooter: " not in err
    rows = {row["candidate"]: row for row in json.loads(out)["responses"]}
    assert (rows["fine"]["text"], rows["fine"]["error"]) == ("Hi That is a long story.", None)
    faults = {name: row["error"] for name, row in rows.items() if row["error"] is not None}
    assert set(MODELS) - set(faults) == ANSWERING
    assert all(told_once(*fault) for fault in faults.items())
    assert {name for name, row in rows.items() if row["rank"] is None} == {*faults, "empty"}
