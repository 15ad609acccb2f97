"""No command contacts a host that the user did not name."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import endpoint_fleet, tiny_models
from support.command_files import write_lines
from support.scripted_server import serving

pytestmark = pytest.mark.slow  # programs of their own that load PyTorch
ROOT = Path(__file__).resolve().parent.parent
# Loaded by every Python process that is started with it: logs every host that is looked up or connected to.
NOTING = """
import os, sys

def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        what = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        with open(os.environ["CONTACTS"], "a") as file:
            file.write(repr(what) + "\\n")

sys.addaudithook(note)
"""
CALLING = """
import contextlib, io, json, sys
from zooter_core.cli.main import main

for call in json.load(sys.stdin):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = main(call)
    print(json.dumps([call[0], code, output.getvalue()]))

if sys.argv[1:]:
    from streamlit.testing.v1 import AppTest

    for page in sys.argv[1:]:
        app = AppTest.from_file(f"pages/{page}.py", default_timeout=300).run()
        print(json.dumps([page, [str(error.value) for error in app.exception]]))
"""
# A demo and a visitor, with the one interface that the namespace has switched on.
VISITING = """
import fcntl, socket, struct, subprocess, sys, time, urllib.request

with socket.socket() as any, socket.socket() as free:
    fcntl.ioctl(any, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
command = [sys.executable, "-m", "zooter_core.cli", "demo", "--no-browser", "--port", str(port), *sys.argv[1:]]
demo = subprocess.Popen(command, stdout=subprocess.DEVNULL)
try:
    for attempt in range(1000):
        assert demo.poll() is None, "the demo ended at its start"
        try:
            for page in ("_stcore/health", "", "compare"):
                print(urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=300).status)
            break
        except OSError:
            time.sleep(0.3)
finally:
    demo.send_signal(2)
    demo.wait(60)
"""
PAGES = ("chat", "compare", "models", "explorer", "train", "benchmark")


def without_network(code: str, folder: Path, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python where the only network interface is a loopback that is switched off; skip where that is refused."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespace can be made here (unshare -rn)")
    return logged([unshare, "-rn", sys.executable], code, folder, *arguments, stdin=stdin)


def logged(
    python: list[str], code: str, folder: Path, *arguments: object, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run Python and log the hosts that it contacts."""
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(NOTING)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_HUB")}
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT)]),
        "CONTACTS": str(folder / "contacts"),
        "ZOOTER_HISTORY": str(folder / "history.db"),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [*python, "-c", code, *map(str, arguments)],
        input=stdin, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


def contacts(folder: Path) -> set[str]:
    """The hosts that were looked up or connected to; sockets of this machine's file system are none."""
    path = folder / "contacts"
    places = [ast.literal_eval(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {str(what[0] if isinstance(what, tuple) else what) for what in places if not str(what).startswith("/")}


@pytest.fixture
def calls(tmp_path: Path, fleet_copy: Path) -> list[list[str]]:
    """A call of every command that works on files and models of this machine."""
    lines = [
        {"id": str(n), "query": text, "scores": {"base": n % 3, "one": n % 4, "two": 1.5}, "responses": {
            "base": "yes", "one": "no", "two": f"{n}"}, "tags": ["ab"[n % 2]]}
        for n, text in enumerate(tiny_models.QUERIES)
    ]  # fmt: skip
    scores = write_lines(tmp_path / "scores.jsonl", lines)
    problems = write_lines(tmp_path / "problems.jsonl", [{"question": "What is 3 + 4?", "answer": "#### 7"}])
    fleet, router = ["--fleet", fleet_copy], tmp_path / "router"
    calls: list[list[object]] = [
        ["route", "What is 7 apples?", "--why", *fleet],
        ["ask", "Hi", *fleet],
        ["compare", "Hi", *fleet],
        ["check", *fleet],
        ["queries", "--from", scores, "--limit", 9, "--out", tmp_path / "queries.jsonl", *fleet],
        ["run", "--queries", scores, "--out", tmp_path / "run", "--router-kind", "kmeans", *fleet],
        ["score", "--responses", scores, "--out", tmp_path / "scored.jsonl", *fleet],
        ["distill", "--scores", scores, "--router-kind", "kmeans", "--out", router, *fleet],
        ["evaluate", "--router", router, "--scores", scores, "--plot", tmp_path / "e.html"],
        ["evaluate", "--scores", scores, "--sweep", "beta=1", "--plot", tmp_path / "p.html", *fleet],
        ["bench", "gsm8k", "--from", problems, "--out", tmp_path / "bench.jsonl", *fleet],
    ]
    return [[str(part) for part in call] for call in calls]


def test_every_command_and_every_page_work_without_a_network_and_contact_nobody(
    tmp_path, calls, fleet_copy, monkeypatch
):
    """Slow: a program of its own imports whatever commands and pages need; nothing else logs what imports contact."""
    monkeypatch.setenv("ZOOTER_FLEET", str(fleet_copy))
    ended = without_network(CALLING, tmp_path, *PAGES, stdin=json.dumps(calls))
    lines = [json.loads(line)[:2] for line in ended.stdout.splitlines()]
    assert lines == [[call[0], 0] for call in calls] + [[page, []] for page in PAGES], ended.stderr[-2000:]
    assert contacts(tmp_path) == set()


def test_the_demo_works_without_a_network_and_contacts_nobody(tmp_path, fleet_copy):
    ended = without_network(VISITING, tmp_path, "--fleet", fleet_copy)
    assert ended.stdout.split() == ["200"] * 3, ended.stderr[-2000:]
    assert contacts(tmp_path) <= {"127.0.0.1", "localhost", "::1"}


def test_a_fleet_of_endpoints_contacts_its_endpoints_alone(tmp_path, fleet_copy):
    with serving() as server:
        server.replies = {"long": lambda query: f"{query} Well.", "short": lambda query: "No."}
        fleet = ["--fleet", str(endpoint_fleet.save(fleet_copy, server.url, {"a": "long", "b": "short"}, router=True))]
        requests = [["ask", "Hi", *fleet], ["compare", "Hi", *fleet], ["check", *fleet]]
        ended = logged([sys.executable], CALLING, tmp_path, stdin=json.dumps(requests))
    assert [json.loads(line)[1] for line in ended.stdout.splitlines()] == [0, 0, 0], ended.stderr[-2000:]
    assert contacts(tmp_path) == {"127.0.0.1"}


def test_a_contact_would_be_seen(tmp_path):
    """What these tests rely on: lookups are logged, and in the namespace none succeeds."""
    code = (
        "import socket\ntry: socket.create_connection(('203.0.113.7', 9), 1)\nexcept OSError as problem: print(problem)"
    )
    ended = without_network(code, tmp_path)
    assert "unreachable" in ended.stdout
    assert contacts(tmp_path) == {"203.0.113.7"}
