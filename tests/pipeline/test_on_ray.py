"""The engine `ray`: a local Ray of two workers. Slow (processes that import PyTorch): it alone protects the engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from zooter_core import pipeline
from zooter_core.config.fleet import load_fleet
from zooter_core.data.parquet import export_parquet
from zooter_core.data.run_folder import PARTS, RESPONSES
from zooter_core.data.runs import Run
from zooter_core.data.scores import read_queries
from zooter_core.ensemble import Ensemble
from zooter_core.errors import ZooterError
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline import on_ray
from zooter_core.pipeline.on_ray import ray_engine

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 400.0


def test_without_ray_the_message_names_the_extra(tiny_ensemble, tmp_path, monkeypatch):
    monkeypatch.setattr(on_ray.importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(ZooterError, match=r"pip install 'zooter\[ray\]'"),
        ray_engine(tiny_ensemble, tmp_path),
    ):
        pass


ray = pytest.importorskip("ray", reason="the extra zooter[ray] is not installed")
pytest.importorskip("openai", reason="the extra zooter[openai] is not installed")

from support import endpoint_fleet  # noqa: E402 (after the skips)
from support.ray_driver import PART, SETTINGS  # noqa: E402
from support.scripted_server import serving  # noqa: E402


def test_an_unknown_name_of_gpus_is_refused_before_ray_starts(tiny_ensemble, tmp_path):
    with pytest.raises(ZooterError, match='Did you mean "base"'), ray_engine(tiny_ensemble, tmp_path, gpus={"bse": 1}):
        pass
    assert not ray.is_initialized()


def test_no_cluster_and_no_workers_are_one_message_each(tiny_ensemble, tmp_path, monkeypatch):
    def nowhere(**options: object) -> None:
        raise ConnectionError(f"no GCS at {options['address']}")

    with monkeypatch.context() as patch:
        patch.setattr(ray, "init", nowhere)
        with (
            pytest.raises(ZooterError, match=r"a Ray cluster at auto, but found no GCS"),
            ray_engine(tiny_ensemble, tmp_path, "auto"),
        ):
            pass
        patch.setattr(ray, "init", lambda **options: None)
        patch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"memory": 1.0}}])
        with (
            pytest.raises(ZooterError, match=r"at least one worker, but found none"),
            ray_engine(tiny_ensemble, tmp_path),
        ):
            pass


def test_a_worker_with_another_version_is_named():
    on_ray.check_versions({"torch": "2.13.0"}, {"torch": "2.13.0", "more": "1"}, "node-7")
    with pytest.raises(ZooterError, match=r"torch 2\.13\.0, as here, on the worker node-7, but found 2\.12\.0"):
        on_ray.check_versions({"torch": "2.13.0"}, {"torch": "2.12.0"}, "node-7")


def wait(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < until, f"{what} did not come"
        time.sleep(0.02)


def lines(folder: Path) -> list[dict]:
    """The responses of a run, those that nobody has taken over too."""
    paths = [folder / RESPONSES, *folder.glob(f"{PARTS}/*.open"), *folder.glob(f"{PARTS}/*.jsonl")]
    found: list[dict] = []
    for path in paths:
        content = path.read_bytes() if path.exists() else b""
        found += [json.loads(line) for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
    return found


def saved(folder: Path) -> dict[tuple, dict]:
    return {(record["id"], record["candidate"], record["sample"]): record for record in lines(folder)}


def workers(driver: int) -> list[psutil.Process]:
    """The actors of Ray that belong to a driver and collect parts."""
    children = psutil.Process(driver).children(recursive=True)
    found = []
    for child in children:
        try:
            if "MapWorker" in child.name() or any("MapWorker" in part for part in child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            pass
    return found


def driver(fleet: Path, queries: Path, folder: Path) -> subprocess.Popen:
    call = [sys.executable, "-m", "support.ray_driver", str(fleet), str(queries), str(folder)]
    paths = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(call, env=paths, stderr=subprocess.PIPE)


def test_a_killed_worker_and_a_killed_driver_lose_and_repeat_nothing(fleet_copy, tmp_path):
    """A model in memory on two workers and a scripted endpoint: a worker is killed, then the driver; then all ends."""
    asked: Counter[str] = Counter()
    lock = threading.Lock()

    def reply(query: str) -> str:
        with lock:
            asked[query] += 1
        time.sleep(0.2)  # for both kinds to be at work
        return f"far: {query}"

    queries, folder = tmp_path / "queries.txt", tmp_path / "run"
    queries.write_text("".join(f"What is {n} + {n}?\n" for n in range(5 * PART)))
    with serving() as server:
        server.replies["far"] = reply
        fleet = endpoint_fleet.save(fleet_copy, server.url, {"far": "far"})
        near = '\n[[candidate]]\nname = "near"\nbackend = "transformers"\nmodel = "base"\n'
        (fleet / "fleet.toml").write_text((fleet / "fleet.toml").read_text() + near)

        first = driver(fleet, queries, folder)
        wait(lambda: any(r["candidate"] == "near" for r in lines(folder)) and workers(first.pid), "the first answer")
        workers(first.pid)[0].kill()
        before = saved(folder)
        wait(lambda: sum(r["candidate"] == "near" for r in lines(folder)) > PART + 8, "an answer after the kill")
        first.send_signal(signal.SIGKILL)
        first.wait()
        middle = saved(folder)
        asked_before = dict(asked)
        assert before.items() <= middle.items()
        assert not (folder / "labels.jsonl").exists()

        second = driver(fleet, queries, folder)
        _, err = second.communicate(timeout=LONGEST)
        assert second.returncode == 0, err.decode()[-2000:]
        records = lines(folder)
        after = saved(folder)
        assert len(records) == len(after) == 2 * 5 * PART
        assert middle.items() <= after.items(), "what had ended is there, and was not made again"
        ended = {record["text"].removeprefix("far: ") for record in middle.values() if record["candidate"] == "far"}
        assert all(asked[query] == asked_before[query] for query in ended)
        assert not (folder / PARTS).exists() or not list((folder / PARTS).glob("*.jsonl"))

        ensemble = Ensemble(load_fleet(fleet))
        with Run(tmp_path / "local", create=True) as run:
            pipeline.start(run, ensemble, read_queries(queries))
            pipeline.collect(run, ensemble, SETTINGS)
    local = saved(tmp_path / "local")
    assert {key: record["text"] for key, record in after.items()} == {k: r["text"] for k, r in local.items()}


def test_score_and_tag_on_ray_give_the_same_labels_to_the_byte(tiny_fleet, tmp_path):
    queries = tmp_path / "queries.txt"
    queries.write_text("".join(f"What is {n} + {n}?\n" for n in range(70)))
    ensemble = Ensemble(load_fleet(tiny_fleet))
    for name in ("local", "ray"):
        with Run(tmp_path / name, create=True) as run:
            pipeline.start(run, ensemble, read_queries(queries))
            pipeline.collect(run, ensemble, SETTINGS)
            if name == "ray":
                with ray_engine(ensemble, tmp_path / name) as engine:
                    pipeline.score(run, ensemble, engine=engine)
                    pipeline.tag(run, ensemble, engine=engine)
            else:
                pipeline.score(run, ensemble)
                pipeline.tag(run, ensemble)
            pipeline.label(run, LabelConfig())
            export_parquet(run, tmp_path / f"{name}-parquet")
    assert (tmp_path / "ray" / "labels.jsonl").read_bytes() == (tmp_path / "local" / "labels.jsonl").read_bytes()
    one, other = (sorted((tmp_path / name / "rewards.jsonl").read_bytes().splitlines()) for name in ("ray", "local"))
    assert one == other
