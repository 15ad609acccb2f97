"""Random damage to headers of GGUF files: python benchmarks/fuzz.py [--only NUMBER]

Each mutation damages a good file and reads it in the way of the commands. The file may be read, or refused with one
clear error (ZooterError); the script prints how often. Any other exception, and any mutation that takes more than SLOW
seconds, is printed with its number, which `--only` repeats, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import random
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from zooter_core.backends.gguf.header import check_model, read_header
from zooter_core.base.errors import ZooterError
from zooter_core.base.paths import ROOT
from zooter_core.fleet.on_disk import models_in

sys.path.insert(0, str(ROOT / "tests"))
from support.gguf_models import write_model

MUTATIONS = 10_000
SLOW = 2.0  # seconds
MOST_DAMAGE = 3  # damaged places per file
Mutation = Callable[[random.Random], object]  # damages a file and reads it
NUMBERS = [
    *(struct.pack("<d", number) for number in (float("inf"), float("-inf"), float("nan"), 1e300, -1.0)),
    *(struct.pack("<Q", 1 << power) for power in (0, 16, 24, 31, 40, 63)),
    *(struct.pack("<Q", number) for number in (0, 9, 255, (1 << 64) - 1)),
]


def headers(folder: Path) -> Mutation:
    """Mutations of the header of a GGUF file, which discovery lists and the engine reads."""
    content = write_model(folder / "whole.gguf").read_bytes()
    header = read_header(folder / "whole.gguf")
    (folder / "whole.gguf").unlink()
    keys = [content.index(key.encode()) + len(key) for key in header.values]  # the places of their types

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


def attempt(mutation: Mutation, dice: random.Random) -> str:
    """The outcome of a mutation in a word; the traceback if the file is neither read nor refused in time."""
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
    parser.add_argument("--only", type=int, help="the number of one mutation")
    call = parser.parse_args()
    signal.signal(signal.SIGALRM, hang)
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        mutation = headers(Path(folder))
        for number in range(MUTATIONS) if call.only is None else [call.only]:
            outcome = attempt(mutation, random.Random(f"0 {number}"))
            if outcome not in ("read", "refused"):
                print(f"Mutation {number}: {outcome}")
                outcome = "failed"
            outcomes[outcome] += 1
    print(f"{outcomes.total():,} mutations:", ", ".join(f"{n:,} {name}" for name, n in outcomes.items()))
    return 1 if outcomes["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
