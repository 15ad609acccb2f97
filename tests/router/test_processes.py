"""Two processes on the processor (gloo), as `accelerate launch` and torchrun start them. Nothing else trains in more
than one."""

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
ROOT = Path(__file__).resolve().parents[2]
LAUNCHES = """
import os, sys
import accelerate, transformers.models.bert.modeling_bert  # once, before the processes are forked
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from zooter_core.base.errors import WorkError
from zooter_core.cli.main import main
from zooter_core.router import finetune

finetune.SAVE_SECONDS = 0.0  # a checkpoint after every step
step, steps = finetune.Training._step, []

def work(failing, arguments):
    def failing_step(training, batch):
        steps.append(batch)
        if len(steps) == failing and os.environ["RANK"] == "1":
            raise WorkError("a whole GPU", "smoke")
        return step(training, batch)

    finetune.Training._step = failing_step
    sys.exit(main(arguments))

def launch(failing):
    config = LaunchConfig(min_nodes=1, max_nodes=1, nproc_per_node=2, rdzv_backend="c10d", start_method="fork",
                          rdzv_endpoint="localhost:0", run_id=str(failing), max_restarts=0, monitor_interval=0.1)
    elastic_launch(config, work)(failing, sys.argv[1:])

try:
    launch(5)
except ChildFailedError:
    print("failed with", os.listdir(sys.argv[-1]), file=sys.stderr, flush=True)
    launch(0)
"""


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


def test_two_processes_learn_what_one_learns_also_after_one_has_failed(call, tmp_path):
    """The second process fails in the fifth step; the next launch goes on from there."""
    script = tmp_path / "launches.py"
    script.write_text(LAUNCHES)
    command = [sys.executable, str(script), *call, str(tmp_path / "two")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_MIXED_PRECISION": "no"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    failed, again = ended.stderr.split("failed with ['finetune.checkpoint']")
    # The first process may say before its end that the second is gone.
    assert failed.count("zooter: Expected a whole GPU, but found smoke.") == 1
    assert again.count("A router for math, writer is in") == 1, "the main process alone prints"
    assert "Warning" not in again
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
