"""Two processes of `accelerate launch` on the processor (gloo). Nothing else trains in more than one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import BertConfig

from zooter_core.cli.main import main
from zooter_core.router import processes

pytestmark = pytest.mark.slow
TESTS = Path(__file__).resolve().parents[1]
SCRIPT = TESTS / "support" / "launched_zooter.py"


@pytest.fixture
def call(tiny_fleet, tmp_path):
    """Arguments of a fine-tuning without dropout, which depends on the number of processes."""
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    for path in (tiny_fleet / "encoder").iterdir():
        (encoder / path.name).write_bytes(path.read_bytes())
    config = BertConfig.from_pretrained(encoder)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    config.save_pretrained(encoder)
    lines = [{"query": f"Add up {n} apples and {n + 3}", "scores": {"math": 1, "writer": 0}} for n in range(77)]
    lines += [{"query": f"Write about the sea {n} times", "scores": {"math": 0, "writer": 1}} for n in range(50)]
    scores = tmp_path / "scores.jsonl"
    scores.write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ["distill", "--scores", scores, "--encoder", encoder, "--finetune", "all"]
    return [*map(str, words), "--router-set", "epochs=2", "dropout=0", "--out"]


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    paths = {"PYTHONPATH": str(TESTS.parent), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, str(SCRIPT), *arguments], env=os.environ | paths, capture_output=True, text=True, timeout=600
    )


def test_two_processes_learn_what_one_learns_also_after_one_has_failed(call, tmp_path):
    failed = launch("1:5:error", *call, str(tmp_path / "two"))
    assert failed.returncode != 0
    assert failed.stderr.count("zooter: ") == 1
    assert "zooter: Expected a whole GPU, but found smoke." in failed.stderr
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["finetune.checkpoint"]

    again = launch("none", *call, str(tmp_path / "two"))
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("A router for math, writer is in") == 1, "the main process alone prints"
    assert "Warning" not in again.stderr
    assert not (tmp_path / "two" / "finetune.checkpoint").exists()

    assert main([*call, str(tmp_path / "one")]) == 0
    one, two = (json.loads((tmp_path / name / "report.json").read_text())["losses"] for name in ("one", "two"))
    assert len(one) == 2
    assert two == pytest.approx(one, abs=1e-4)


def test_several_processes_without_fine_tuning_are_refused(monkeypatch, capsys, tmp_path):
    """In one process that believes in a second one: what it sends goes nowhere."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(processes, "accelerator", lambda: type("Main", (), {"is_main_process": True}))
    monkeypatch.setattr(processes, "_is_first", lambda: True)
    assert main(["distill", "--scores", str(tmp_path / "scores.jsonl"), "--out", str(tmp_path / "router")]) == 2
    assert "Without --finetune, a router is trained in one process." in capsys.readouterr().err
