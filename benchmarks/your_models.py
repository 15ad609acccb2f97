"""From running servers to a trained router: python benchmarks/your_models.py

llama.cpp's server runs three candidates of the embedded fleet, like a user's own models. `zooter init` writes a fleet,
and `zooter exam --quick` trains its router. Printed are the seconds of both, and the share of evident queries
(tests/data) that go to the right expert: with a starting router from the models' names only, with one from their
descriptions, and with the router of the exam.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from zooter_core.backends.gguf.adapters import gguf_adapter
from zooter_core.backends.gguf.header import read_header
from zooter_core.base.jsonl import read_records
from zooter_core.base.paths import EMBEDDED_FLEET, ROOT
from zooter_core.base.weights import gguf_file
from zooter_core.config.edit import change_candidate
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble

sys.path.insert(0, str(ROOT / "tests"))
FILES = ("evident_queries.jsonl", "more_evident_queries.jsonl", "terse_queries.jsonl")


def share_right(folder: Path, experts: dict[str, str]) -> str:
    """The share of each file's queries that a fleet routes to their expert; `experts` gives its name in the fleet."""
    ensemble, parts = Ensemble(load_fleet(folder)), []
    for file in FILES:
        lines = [line for line in read_records(ROOT / "tests" / "data" / file) if line["candidate"] in experts]
        choices = [decision.candidate for decision in ensemble.route_all([line["query"] for line in lines])]
        right = sum(choice == experts[line["candidate"]] for choice, line in zip(choices, lines, strict=True))
        parts.append(f"{right / len(lines):.0%} of {len(lines)}")
    return ", ".join(parts)


def zooter(*arguments: str) -> float:
    """Run a command. Return its seconds."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "zooter_core.cli", *arguments], check=True, stdout=sys.stderr)
    return time.perf_counter() - start


@contextmanager
def llama_servers(names: Sequence[str], folder: Path) -> Iterator[list[str]]:
    """Run llama.cpp's own server for each candidate of the embedded fleet, with its adapter. Yield the base URLs, which
    end in /v1."""
    from support.llama_servers import running

    with ExitStack() as stack:
        addresses = []
        for name in names:
            candidate = load_fleet(EMBEDDED_FLEET).candidate(name)
            model = gguf_file(candidate.model)
            settings = {
                "model": str(model),
                "adapters": [str(gguf_adapter(candidate.adapter, read_header(model), name))],
                "model_alias": {f"smollm2-135m-{name}"},
                "n_ctx": 4096,
            }
            (folder / name).mkdir(parents=True)
            addresses.append(stack.enter_context(running(settings, folder / name)) + "/v1")
        yield addresses


def main() -> None:
    names = ["chat", "math", "code"]
    with (
        tempfile.TemporaryDirectory() as place,
        llama_servers(names, Path(place, "servers")) as addresses,
    ):
        folder = Path(place, "my-fleet")
        print(f"init: {zooter('init', '--pick', 'all', '--out', str(folder), '--endpoint', *addresses):.1f} s")
        experts = dict(zip(names, load_fleet(folder).pool, strict=True))
        print(f"starting router, by names: {share_right(folder, experts)}")
        embedded = load_fleet(EMBEDDED_FLEET)
        for name, candidate in experts.items():
            change_candidate(folder, candidate, {"description": embedded.candidate(name).description})
        print(f"starting router, by descriptions: {share_right(folder, experts)}")
        exam = ["exam", "--quick", "--use", "anyway"]
        print(f"{' '.join(exam)}: {zooter(*exam, '--fleet', str(folder)):.0f} s")
        print(f"router of the exam: {share_right(folder, experts)}")


if __name__ == "__main__":
    main()
