"""The command line as a user meets it, and small files to call it with."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import run_folders, tiny_models
from support.command_files import POOL, read_lines, replace_text, write_lines
from zooter_core.cli.main import main

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module", autouse=True)
def few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        run_folders.few_draws(patch)
        yield


@pytest.fixture
def called(capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line; gives its exit code, stdout and stderr. No call may show a traceback."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


@pytest.fixture
def zooter(called: Call, tiny_fleet: Path) -> Call:
    """The same with the tiny fleet, unless another one is given."""

    def call(*arguments: object, fleet: Path | None = tiny_fleet) -> tuple[int, str, str]:
        return called(*arguments, *(["--fleet", fleet] if fleet else []))

    return call


@pytest.fixture
def refused(zooter: Call) -> Callable[..., str]:
    """A call that must fail with an exit code, nothing on stdout and one message; gives the message."""

    def call(expected: int, *arguments: object, **options: Path | None) -> str:
        code, out, err = zooter(*arguments, **options)
        assert (code, out) == (expected, ""), err
        message = err.strip().splitlines()[-1]
        assert message.startswith("zooter: ")
        return message

    return call


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a text on stdin."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


@pytest.fixture(scope="session")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = [{"id": f"q{n}", "query": text, "source": f"s{n % 2}"} for n, text in enumerate(tiny_models.QUERIES[:12])]
    return write_lines(tmp_path_factory.mktemp("queries") / "queries.jsonl", lines)


@pytest.fixture(scope="session")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A score file with two data sets; the order of its candidates is not the fleet's."""
    lines = [
        {
            "id": str(n),
            "query": text,
            "dataset": "xy"[n % 2],
            "scores": {"two": n % 3, "base": n % 5, "one": 1.5},
            "tags": ["t"],
        }
        for n, text in enumerate(tiny_models.QUERIES[:10])
    ]
    return write_lines(tmp_path_factory.mktemp("scores") / "scores.jsonl", lines)


@pytest.fixture
def answered(scores: Path, tmp_path: Path) -> Path:
    """The score file with the responses of all candidates."""
    lines = [line | {"responses": {n: f"{n} says {line['query']}" for n in POOL}} for line in read_lines(scores)]
    return write_lines(tmp_path / "answered.jsonl", lines)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, tiny_fleet: Path, queries: Path) -> Path:
    """A run of `zooter run`; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    call = ["run", "--queries", queries, "--out", folder, "--router-set", "epochs=2", "--holdout", 0.5]
    call += ["--fleet", tiny_fleet]
    assert main(list(map(str, call))) == 0
    return folder


@pytest.fixture
def run_copy(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def priced(fleet_copy: Path) -> Path:
    """The tiny fleet with prices: base is expensive, one is free."""
    for name, price in (("base", 4.0), ("one", 0), ("two", 1)):
        entry = f'name = "{name}"\n'
        replace_text(fleet_copy / "fleet.toml", entry, f"{entry}usd_per_million_tokens = {price}\n")
    return fleet_copy


@pytest.fixture
def comparing(fleet_copy: Path) -> Path:
    """The tiny fleet with a tiny PairRM, which compares responses, as its reward model."""
    from support import reward_checkpoints

    reward_checkpoints.save_pairrm(fleet_copy / "pairrm")
    old = '[reward]\nkind = "scalar"\nmodel = "reward"\nmax_tokens = 128\n'
    replace_text(fleet_copy / "fleet.toml", old, '[reward]\nkind = "pairwise"\nmodel = "pairrm"\n')
    return fleet_copy
