"""Damaged files at random: python benchmarks/fuzz.py KIND [--mutations 10000] [--seed 0] [--only NUMBER]

KIND is `headers` (of GGUF files), `fleet` (fleet.toml), `routers` (files of a router's folder) or `histories` (Chat's).
Each mutation damages a good file and has it read as the commands read it. It may be read, or refused with one clear
error (ZooterError). Prints how many were; any other exception, and any mutation that takes more than SLOW seconds, is
printed with its number, which `--only` repeats. Exit code 1 if there is one.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

from zooter_core.backends.gguf.header import check_model, read_header
from zooter_core.base.errors import ZooterError
from zooter_core.base.paths import ROOT
from zooter_core.config import edit
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.on_disk import models_in

os.environ["HF_HUB_OFFLINE"] = "1"  # a damaged name of an encoder asks nobody
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
SLOW = 2.0  # seconds
MOST_DAMAGE = 3  # places of a file
Mutation = Callable[[random.Random], object]  # damages a file and has it read
COLUMNS = {
    "turns": ("record", "number", "conversation"),
    "votes": ("record", "fleet", "time"),
    "conversations": ("title", "fleet", "changed", "id"),
}
VALUES = (None, 0, -1.5, 1e300, "", "x", b"\xff\x00", "9" * 400)  # for a column
NUMBERS = [
    *(struct.pack("<d", number) for number in (float("inf"), float("-inf"), float("nan"), 1e300, -1.0)),
    *(
        struct.pack("<Q", number)
        for number in (0, 1, 9, 255, 1 << 16, 1 << 24, 1 << 31, 1 << 40, 1 << 63, (1 << 64) - 1)
    ),
]
TEXTS = [
    *(
        "\n",
        "\r",
        "\x00",
        "\x0b",
        "\x0c",
        "\x85",
        "\u2028",
        "\ud7ff",
        "\ufeff",
        '"',
        "'",
        '"""',
        "'''",
        "\\",
        "#",
        "=",
        ".",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        "[[",
        "]]",
        ",",
        "inf",
        "nan",
        "-1",
        "1e400",
        "9" * 400,
        "9" * 5000,
        "true",
        "[" * 200,
        "a." * 200,
    ),
    *(
        "[[candidate]]\n",
        "[router]\n",
        "[learn]\ntraffic = true\n",
        'name = "auto"\n',
        'name = "a\\nb"\n',
        "# zooter-above:[x]\n",
    ),
]
FLEET = """\
# Ours.
name = "ours"

[router]  # trained
path = "router"
unsure_above = 0.5

[reward]
kind = "judge"

[reward.judge]
backend = "openai"
model = "j"
base_url = "http://localhost:3/v1"

[serve]
chores = "small"

# The good one.
[[candidate]]
name = "big"
backend = "openai"
model = "m"
base_url = "http://localhost:1/v1"
skills = { math = 0.5 }

[[candidate]]
name = "small"
description = \"\"\"
[[candidate]]
# not one\"\"\"
backend = "openai"
model = 's'
base_url = "http://localhost:2/v1"

# That is all.
"""


def headers(folder: Path) -> Mutation:
    """The header of a GGUF file: discovery lists the file, and the engine asks what it needs of it."""
    from support.gguf_models import write_model

    content = write_model(folder / "whole.gguf").read_bytes()
    header = read_header(folder / "whole.gguf")
    (folder / "whole.gguf").unlink()
    keys = [content.index(key.encode()) + len(key) for key in header.values]  # where their types are

    def damage(dice: random.Random) -> None:
        damaged = bytearray(content)
        for _ in range(dice.randint(1, MOST_DAMAGE)):
            place, kind = dice.randrange(header.end), dice.choice((0, 0, 0, 1, 1, 2, 2, 3, 4))
            if kind == 0:
                damaged[place] = dice.randrange(256)
            elif kind == 1:
                damaged[place : place + 8] = dice.choice(NUMBERS)
            elif kind == 2:  # a value of another type
                place = dice.choice(keys)
                damaged[place : place + 12] = struct.pack("<I", dice.randrange(14)) + dice.choice(NUMBERS)
            elif kind == 3:
                del damaged[place : place + dice.randint(1, 64)]
            else:
                damaged[place:place] = dice.randbytes(dice.randint(1, 64))
        length = dice.randrange(len(damaged)) if dice.random() < 0.1 else len(damaged)
        (folder / "x.gguf").write_bytes(damaged[:length])
        if dice.random() < 0.1:
            with (folder / "x.gguf").open("r+b") as file:
                file.truncate(1 << 42)  # zeros that take no room
        models_in(folder)
        model = read_header(folder / "x.gguf")
        check_model(model)
        _ = model.positions, model.bytes_a_token, model.special_tokens

    return damage


def fleet(folder: Path) -> Mutation:
    """fleet.toml: it is read, and if it is a fleet, it is changed, after which it holds the change and all else."""
    file = folder / edit.FLEET

    def damage(dice: random.Random) -> None:
        text = FLEET
        for _ in range(dice.randint(1, MOST_DAMAGE)):
            place, kind = dice.randrange(len(text)), dice.randrange(4)
            if kind == 0:
                text = text[:place] + dice.choice(TEXTS) + text[place:]
            elif kind == 1:
                text = text[:place] + text[place + dice.randint(1, 8) :]
            else:  # a line elsewhere, or twice
                lines = text.splitlines(keepends=True)
                line = dice.choice(lines)
                if kind == 2:
                    lines.remove(line)
                lines.insert(dice.randrange(len(lines) + 1), line)
                text = "".join(lines)
        file.write_text(text, encoding="utf-8", newline="")
        before = load_fleet(folder)
        name = "".join(dice.choices([*"ab c", *TEXTS], k=3))
        keys = {"name": name, "comment": name, "backend": "openai", "model": name, "base_url": "http://localhost:9/v1"}
        with suppress(ZooterError):  # a name that is none
            edit.add_candidates(folder, [keys])
            after = load_fleet(folder)
            assert (after.pool, after.candidates[-1].model) == ((*before.pool, name), name)
            assert after.candidates[:-1] == before.candidates
            edit.change_candidate(folder, name, {"description": name})
            edit.remove_candidate(folder, name)
        after = load_fleet(folder)
        assert after.candidates[: len(before.candidates)] == before.candidates
        assert (after.router, after.serve, after.learn) == (before.router, before.serve, before.learn)

    return damage


def routers(folder: Path) -> Mutation:
    """Damages of a router's folder: its JSON as JSON, its arrays as bytes."""
    import numpy as np

    from support import tiny_models
    from support.damaged_files import altered_bytes, damaged
    from zooter_core.base.records import Query
    from zooter_core.data.scores import Scores
    from zooter_core.method.labels import LabelConfig
    from zooter_core.pipeline import distill
    from zooter_core.router.config import check_router
    from zooter_core.router.encoder import Encoders
    from zooter_core.router.kinds import DistillConfig
    from zooter_core.router.neighbours import Neighbours, familiar_rows
    from zooter_core.router.router import Router

    tiny_models.save_encoder(folder / "encoder")
    encoders = Encoders()
    encoder = encoders(str(folder / "encoder"))
    table = np.random.default_rng(0).normal(size=(len(tiny_models.QUERIES), len(tiny_models.POOL)))
    queries = tuple(Query(str(n), text, "all", ("abc"[n % 3],)) for n, text in enumerate(tiny_models.QUERIES))
    router = folder / "router"
    training = DistillConfig(epochs=1, keep_texts=True)
    distill(Scores(queries, tiny_models.POOL, table), router, labels=LabelConfig(), training=training, encoder=encoder)
    files = [path for path in sorted(router.iterdir()) if path.name != "report.json"]
    intact = {path: path.read_bytes() for path in files}
    vector = encoder.sentence(encoder.embed(["Hello"]))[0]

    def mutate(chance: random.Random) -> str:
        path = chance.choice(files)
        text = path.suffix == ".json"
        data = damaged(chance, intact[path].decode()) if text else altered_bytes(chance, intact[path])
        path.write_bytes(data)
        try:
            check_router(router)
            Router.load(router, encoders).probabilities(["What is 2 + 2?"])
            familiar_rows(queries, router)
            if neighbours := Neighbours.load(router):
                neighbours.nearest(vector)
                neighbours.tag_shares()
                neighbours.scores()
        finally:
            path.write_bytes(intact[path])
        return path.name

    return mutate


def histories(folder: Path) -> Mutation:
    """Damages of Chat's history: of a record, of a column, or of the file's bytes."""
    from support.damaged_files import altered_bytes
    from zooter_core.base.records import Decision, Response, Tag
    from zooter_core.ui.chat.turns import Turn
    from zooter_core.ui.compare import comparisons
    from zooter_core.ui.history import Entry, History
    from zooter_core.ui.jobs import Answers

    answers = Answers({"a": "It is 4.", "b": ""}, {"a": Response("a", "It is 4.", 3, 0.5, 0.1)}, vote=1)
    turn = Turn("What is 2 + 2?", Decision.of("2 + 2", {"a": 0.7, "b": 0.3}, (Tag("sums", 0.9),)), answers).to_json()
    vote = asdict(comparisons.Vote("q", ("a", "b"), "best", "a", "b", "a", True)) | {"kind": comparisons.KIND}
    path = folder / "history.db"
    history = History(path)
    for number in range(3):
        history.keep(Entry("c", "title", "fleet", 0.0), number, turn)
    history.vote("v", "fleet", vote)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    intact = path.read_bytes()

    def mutate(chance: random.Random) -> str:
        for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            name.unlink(missing_ok=True)
        path.write_bytes(intact)
        kind = chance.choice(("turns", "turns", "turns", "votes", "column", "bytes"))
        if kind == "bytes":
            path.write_bytes(altered_bytes(chance, intact))
        else:
            with closing(sqlite3.connect(path)) as database, database:
                _damage(chance, database, kind)
        _use(path)
        return kind

    return mutate


def _damage(chance: random.Random, database: sqlite3.Connection, kind: str) -> None:
    """Damage a record of a table, or a value of a column."""
    from support.damaged_files import damaged

    if kind == "column":
        table = chance.choice(list(COLUMNS))
        with suppress(sqlite3.IntegrityError):  # NOT NULL
            change = f"UPDATE OR IGNORE {table} SET {chance.choice(COLUMNS[table])} = ?"
            database.execute(change, (chance.choice(VALUES),))
        return
    ((text,),) = database.execute(f"SELECT record FROM {kind} WHERE rowid = 1")
    record = damaged(chance, text).decode("utf-8", "replace")
    database.execute(f"UPDATE {kind} SET record = ? WHERE rowid = 1", (record,))


def _use(path: Path) -> None:
    """What the demo and `zooter learn import` do with a history."""
    from zooter_core.config.learn import LearnConfig
    from zooter_core.learn.imports import import_traffic
    from zooter_core.learn.traffic import Traffic
    from zooter_core.ui.chat import controls, conversations, export
    from zooter_core.ui.compare import comparisons
    from zooter_core.ui.history import History

    store = History(path)
    for entry in store.entries("it's") + store.entries():
        controls.period(entry, controls.date.today())
        turns = conversations.intact(store.turns(entry.id))
        talk = conversations.Conversation(entry.fleet, entry.id, turns)
        export.markdown(talk), export.as_json(talk)
    cast = comparisons.read_votes(store.votes("fleet"))
    comparisons.vote_lines(cast), comparisons.leaderboard(cast)
    with Traffic.open(path.parent / "traffic") as traffic:
        import_traffic([path], traffic, LearnConfig(answers=True))


KINDS: dict[str, Callable[[Path], Mutation]] = {
    "headers": headers,
    "fleet": fleet,
    "routers": routers,
    "histories": histories,
}


def attempt(mutation: Mutation, dice: random.Random) -> str:
    """What becomes of a mutation, in a word; the traceback if it is neither read nor refused in time."""
    signal.setitimer(signal.ITIMER_REAL, 2 * SLOW)
    begun = time.monotonic()
    try:
        mutation(dice)
        outcome = "read"
    except ZooterError:
        outcome = "refused"
    except Exception:
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = time.monotonic() - begun
    return outcome if seconds < SLOW else f"It took {seconds:.1f} s."


def hang(number: int, frame: object) -> None:
    raise TimeoutError(f"not done after {2 * SLOW:g} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one mutation")
    call = parser.parse_args()
    signal.signal(signal.SIGALRM, hang)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        mutation = KINDS[call.kind](Path(folder))
        for number in range(call.mutations) if call.only is None else [call.only]:
            begun = time.monotonic()
            outcome = attempt(mutation, random.Random(f"{call.seed} {number}"))
            slowest = max(slowest, time.monotonic() - begun)
            if outcome not in ("read", "refused"):
                print(f"Mutation {number}: {outcome}")
                outcome = "failed"
            outcomes[outcome] += 1
    print(
        f"{call.kind}: {sum(outcomes.values()):,} mutations,",
        ", ".join(f"{n:,} {name}" for name, n in outcomes.items()),
    )
    print(f"The slowest took {slowest:.2f} s.")
    return 1 if outcomes["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
