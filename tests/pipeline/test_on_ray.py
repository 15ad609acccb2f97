"""The engine `ray`: what it refuses, and a whole run on a local Ray of two workers."""

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
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.records import Query
from zooter_core.cli.main import main
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.run_folder import RESPONSES
from zooter_core.pipeline import batches, lanes, on_ray
from zooter_core.pipeline.lanes import CollectJob, ResponseKey
from zooter_core.pipeline.on_ray import ray_workers
from zooter_core.pipeline.tally import Tally

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 900.0  # a guard; ten processes that want two cores take half of it
Result = TypeVar("Result")


def test_without_ray_the_message_names_the_extra(tiny_ensemble, tmp_path, monkeypatch):
    monkeypatch.setattr(on_ray.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ZooterError, match=r"pip install 'zooter\[ray\]'"), ray_workers(tiny_ensemble):
        pass


@pytest.mark.parametrize(("gpus", "models", "share"), [(0, 3, 0), (4, 1, 1), (4, 4, 1), (4, 5, 1 / 2), (4, 9, 1 / 3)])
def test_an_actor_takes_a_gpu_or_an_equal_share_of_one(gpus, models, share):
    """With four GPUs and nine models, a GPU holds at most three: a third each."""
    assert on_ray.gpus_of_actor(gpus, models) == share


def test_candidates_on_one_base_share_workers_which_answer_whole_batches(tiny_ensemble, monkeypatch):
    monkeypatch.setattr(lanes, "WORKER_QUERIES", 10)
    monkeypatch.setattr(batches, "BATCH", 4)
    calls = []

    class Here:
        def map(self, function, jobs, whose, most, models=1):
            calls.append((whose, most, models))
            return ((number, function(tiny_ensemble, job)) for number, job in reversed(list(enumerate(jobs))))

    pool, written = tiny_ensemble.fleet.pool, []
    queries = [Query(f"q{number}", "Why?") for number in range(40)]
    tallies = {name: Tally(name, 0) for name in pool}
    job = CollectJob(
        tiny_ensemble, GenerationConfig(max_new_tokens=1), 2, queries, {ResponseKey("q3", pool[0], 1)}, tallies
    )
    job.count()
    monkeypatch.setattr(CollectJob, "write", lambda job, record: written.append(ResponseKey.of(record)))
    (lane,) = job.lanes(Here())
    assert len(list(lane(threading.Event()))) == 239
    assert calls == [(listed(pool), 12, 1)]
    assert Counter(written) == Counter(
        ResponseKey(query.id, name, sample) for name in pool for query in queries for sample in (0, 1)
    ) - Counter(job.done)


ray = pytest.importorskip("ray", reason="the extra zooter[ray] is not installed")

from support import endpoint_fleet  # noqa: E402 (after the skips)
from support.command_files import write_lines  # noqa: E402
from support.ray_driver import BATCH  # noqa: E402
from support.reward_endpoint import Endpoint  # noqa: E402
from support.scripted_server import serving  # noqa: E402


@pytest.mark.slow
def test_no_cluster_and_no_workers_are_one_message_each(tiny_ensemble, tmp_path, monkeypatch):
    def nowhere(**options: object) -> None:
        raise ConnectionError(f"no GCS at {options.get('address', os.environ['RAY_ADDRESS'])}")

    with monkeypatch.context() as patch:
        patch.setattr(ray, "init", nowhere)
        patch.setenv("RAY_ADDRESS", "auto")
        with pytest.raises(ZooterError, match=r"a Ray cluster at auto, but found no GCS"), ray_workers(tiny_ensemble):
            pass
        patch.delenv("RAY_ADDRESS")
        patch.setattr(ray, "init", lambda **options: None)
        patch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"memory": 1.0}}])
        with (
            pytest.raises(ZooterError, match=r"No machine of the Ray cluster has a processor"),
            ray_workers(tiny_ensemble),
        ):
            pass


def wait(condition: Callable[[], Result], what: str) -> Result:
    until = time.monotonic() + LONGEST
    while not (result := condition()):
        assert time.monotonic() < until, f"{what} did not come"
        time.sleep(0.02)
    return result


def responses_of(folder: Path) -> list[dict]:
    content = (folder / RESPONSES).read_bytes() if (folder / RESPONSES).exists() else b""
    return [json.loads(line) for line in content.splitlines(keepends=True) if line.endswith(b"\n")]


def saved(folder: Path) -> dict[tuple, dict]:
    return {(record["id"], record["candidate"], record["sample"]): record for record in responses_of(folder)}


def workers() -> list[psutil.Process]:
    """The actors of this process's Ray that compute for a driver."""
    actors = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "MapWorker" in child.name() or any("MapWorker" in part for part in child.cmdline()):
                actors.append(child)
        except psutil.NoSuchProcess:
            pass
    return actors


def options(fleet: Path, queries: Path, folder: Path) -> list[str]:
    places = ["--fleet", str(fleet), "--queries", str(queries), "--out", str(folder)]
    return [*places, "--max-new-tokens", "4", "--router-set", "epochs=1"]


def driver(*call: object) -> subprocess.Popen:
    paths = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    paths["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
    command = [sys.executable, "-m", "support.ray_driver", *options(*call)]
    return subprocess.Popen(command, env=paths, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_driver_lose_and_repeat_nothing(tiny_ensemble, fleet_copy, tmp_path, monkeypatch):
    """A whole run of a model in memory and a scripted endpoint. A worker is killed, then the driver; the same command
    then finishes, with the labels of a run without Ray. Slow: several processes import PyTorch. It alone protects
    `--engine ray`. Ray is started once, as without $RAY_ADDRESS, and outlives the first driver as a cluster does.
    """
    monkeypatch.setattr(batches, "BATCH", BATCH)
    monkeypatch.setenv("RAY_worker_niceness", "0")  # its 15 is a thirtieth of a core beside processes that are busy
    requests: Counter[str] = Counter()
    lock, first_killed = threading.Lock(), threading.Event()

    def reply(query: str) -> str:
        with lock:
            requests[query] += 1
            late = requests.total() > 16
        assert not late or first_killed.wait(LONGEST)  # the endpoint is at work when the driver is killed
        return f"far: {query}"

    queries, folder, count = tmp_path / "queries.jsonl", tmp_path / "run", 3 * BATCH
    write_lines(queries, [{"query": f"What is {n} + {n}?", "tags": [f"t{n % 3}"]} for n in range(count)])
    with serving() as server, closing(Endpoint()) as rewards, ray_workers(tiny_ensemble):
        server.replies["far"] = reply
        fleet = endpoint_fleet.save(fleet_copy, server.url, {"far": "far"}, first_token_seconds=LONGEST)
        reward = f'[reward]\nkind = "http"\nurl = "{rewards.url}"\n'  # no model of its own in each actor
        tables = f'{reward}\n[tagger]\nkind = "given"\n'
        near = '[[candidate]]\nname = "near"\nbackend = "transformers"\nmodel = "base"\n'
        head, _, rest = (fleet / "fleet.toml").read_text().partition("[reward]")
        far = rest[rest.index("[[candidate]]") :]
        (fleet / "fleet.toml").write_text(f"{head}{tables}\n{far}\n{near}")

        first = driver(fleet, queries, folder)
        wait(lambda: any(r["candidate"] == "near" for r in responses_of(folder)), "the first answer")
        wait(workers, "a worker")[0].kill()
        before = saved(folder)
        wait(lambda: sum(r["candidate"] == "near" for r in responses_of(folder)) > BATCH, "an answer after the kill")
        first.send_signal(signal.SIGKILL)
        first.communicate()
        first_killed.set()
        middle = saved(folder)
        requests_before = dict(requests)
        assert before.items() <= middle.items()
        assert not (folder / "rewards.jsonl").exists()

        second = driver(fleet, queries, folder)
        _, err = second.communicate(timeout=LONGEST)
        if second.returncode:
            pytest.fail(f"the second driver returned {second.returncode}:\n{err.decode()}")
        after = saved(folder)
        assert len(responses_of(folder)) == len(after) == 2 * count
        assert middle.items() <= after.items(), "what had ended is there, and was not made again"
        ended = {record["text"].removeprefix("far: ") for record in middle.values() if record["candidate"] == "far"}
        assert len(ended) >= 8
        assert all(requests[query] == requests_before[query] for query in ended)
        assert main(["run", *options(fleet, queries, tmp_path / "local")]) == 0
    local = saved(tmp_path / "local")
    assert {key: record["text"] for key, record in after.items()} == {k: r["text"] for k, r in local.items()}
    for name in ("labels.jsonl", "report.json"):
        assert (folder / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    one, other = (sorted((place / "rewards.jsonl").read_bytes().splitlines()) for place in (folder, tmp_path / "local"))
    assert one == other
