from __future__ import annotations

import json

import pytest

from support.command_files import ADAPTER, POOL, damage
from support.sample_report import report

PARTS = [
    *(("candidate", name) for name in POOL),
    ("reward model", "scalar"),
    ("tagger", "nearest"),
    ("router", "router"),
]


def test_json_and_table(zooter):
    code, out, _ = zooter("check", "--json")
    shape = json.loads(out)
    assert (code, shape["fleet"]) == (0, "tiny")
    assert [(row["part"], row["name"]) for row in shape["parts"]] == PARTS
    assert all(row["ok"] and row["seconds"] >= 0 and row["found"] for row in shape["parts"])
    assert all(row["tokens_per_second"] > 0 for row in shape["parts"][:3])
    code, out, _ = zooter("check")
    assert code == 0
    rows = [tuple(cell.strip() for cell in line.split("│")[1:4]) for line in out.splitlines() if line[0] == "│"]
    assert rows == [(*part, "ok") for part in PARTS]
    assert (shape["verdict"], "router: " in out) == (None, False)  # there is no report on this router


def test_the_verdict_on_the_router(zooter, fleet_copy):
    content = report()
    content["held_back"] |= {"n": 200}
    content["held_back"]["verdict"] |= {"n": 200, "differing": 99, "significant": True}
    (fleet_copy / "report.json").write_text(json.dumps(content))
    code, out, _ = zooter("check", fleet=fleet_copy)
    assert code == 0
    assert out.splitlines()[-1] == (
        "router: Routing beats always using a by 0.50 (95% CI 0.20 to 0.80, 200 held-back queries)."
    )
    shape = json.loads(zooter("check", "--json", fleet=fleet_copy)[1])
    assert (shape["verdict"]["against"], shape["verdict"]["significant"]) == ("a", True)


@pytest.mark.slow
def test_everything_that_is_broken_is_named_at_once(zooter, fleet_copy):
    damage(fleet_copy, ADAPTER, "reward/model.safetensors", "router/model.safetensors")
    code, out, _ = zooter("check", "--json", fleet=fleet_copy)
    assert code == 1
    failed = {row["name"]: row["found"] for row in json.loads(out)["parts"] if not row["ok"]}
    assert set(failed) == {"one", "scalar", "router"}
    assert zooter("check", fleet=fleet_copy)[1].count("failed") == 3


def test_the_cost_of_comparing(zooter, comparing):
    code, out, _ = zooter("check", "--json", fleet=comparing)
    row = next(part for part in json.loads(out)["parts"] if part["part"] == "reward model")
    assert (code, row["ok"], row["name"]) == (0, True, "pairwise")
    assert row["found"].endswith("; 6 comparisons per query of 3 responses")
