"""Do the tests notice a programmer's slip? mutations.toml has fifty of them, each with the tests that ought to fail.

The script makes one mutation at a time in a copy of the repository, runs those tests there, and writes the verdict into
the list: `killed` with the first test that failed, or `survived`. A test that fails without the mutation too gives no
verdict. A stopped run goes on where it was.

    python tests/mutations/run.py                 those that are not killed yet
    python tests/mutations/run.py --only 7 12     these, whatever their verdict was
    python tests/mutations/run.py --again         all of them
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tomlkit

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("mutations.toml")
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".clients", "__pycache__", ".*_cache", ".hypothesis", "runs", "site"
)
MOST_SECONDS = 600.0  # of the tests of a mutation; one that makes them wait for ever is noticed too
KILLED, SURVIVED = "killed", "survived"
FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/[^\s\[]+)", re.MULTILINE)  # without its parameters


@dataclass(frozen=True)
class Mutation:
    """A slip.

    Attributes:
        number: names it, and stays when others go.
        file: of zooter_core.
        old, new: the text of the file, which must be there once, and what takes its place.
        harm: what a user would see go wrong.
        tests: files or single tests in tests/ of which one must fail.
        verdict: KILLED, SURVIVED, or "" before the first run.
        by: the test that failed.
    """

    number: int
    file: str
    old: str
    new: str
    harm: str
    tests: Sequence[str]
    verdict: str = ""
    by: str = ""

    @property
    def room(self) -> str:
        return self.file.split("/")[0]

    @property
    def path(self) -> str:
        return f"zooter_core/{self.file}"


def read_mutations() -> list[Mutation]:
    return [Mutation(**entry) for entry in tomlkit.parse(LIST.read_text(encoding="utf-8")).unwrap()["mutation"]]


def why_not_applicable(mutation: Mutation, root: Path = ROOT) -> str:
    """Why a mutation no longer fits the code, as a sentence; "" if it does."""
    path = root / mutation.path
    if not path.is_file():
        return f"{mutation.path} is gone{_elsewhere(mutation, root)}."
    count = path.read_text(encoding="utf-8").count(mutation.old)
    if count != 1:
        where = "" if count else _elsewhere(mutation, root)
        return f"{mutation.path} has its old text {count} times instead of once{where}."
    missing = [test for test in mutation.tests if not (root / "tests" / test.partition("::")[0]).exists()]
    return f"there is no tests/{missing[0]}." if missing else ""


def _elsewhere(mutation: Mutation, root: Path) -> str:
    files = [path for path in (root / "zooter_core").rglob("*.py") if mutation.old in path.read_text(encoding="utf-8")]
    return f"; {files[0].relative_to(root).as_posix()} has the text now" if len(files) == 1 else ""


def judge(mutation: Mutation, tree: Path) -> tuple[str, str]:
    """The verdict on a mutation that is made in a copy of the repository, and the test that failed or what is wrong."""
    path = tree / mutation.path
    text = path.read_text(encoding="utf-8")
    _replace(path, text.replace(mutation.old, mutation.new))
    try:
        failed = first_failure(tree, mutation.tests)
    finally:
        _replace(path, text)
    if not failed:
        return SURVIVED, ""
    if failed.startswith("tests/") and first_failure(tree, [failed.removeprefix("tests/")]):
        return "", f"{failed} fails without the mutation too"
    return KILLED, failed


def _replace(path: Path, text: str) -> None:
    """Write a module, and delete what Python has compiled of it: it tells files apart by second and size alone."""
    path.write_text(text, encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def first_failure(tree: Path, tests: Sequence[str]) -> str:
    """The first of some tests that fails in a copy of the repository; "" if none does."""
    pytest = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    process = subprocess.Popen(
        [*pytest, *(f"tests/{test}" for test in tests)], cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)},
        text=True, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired:
        return f"more than {MOST_SECONDS:g} s in {', '.join(tests)}"
    finally:
        if process.poll() is None:  # also where this script is stopped
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode == 0:
        return ""
    failure = FAILED.search(output)
    return failure[1] if failure else output.strip().splitlines()[-1]


def write_verdict(mutation: Mutation, verdict: str, by: str) -> None:
    """Write a verdict into the list, as the list is by now."""
    document = tomlkit.parse(LIST.read_text(encoding="utf-8"))
    (entry,) = (entry for entry in document["mutation"] if entry["number"] == mutation.number)
    entry["verdict"], entry["by"] = verdict, by
    LIST.write_text(tomlkit.dumps(document), encoding="utf-8")


def print_summary(mutations: Sequence[Mutation]) -> int:
    """Print the verdicts by room, and what is not killed or no longer applies. Returns how many."""
    counts = {room: Counter() for room in dict.fromkeys(one.room for one in mutations)}
    for one in mutations:
        counts[one.room][one.verdict] += 1
    print(f"\n{'room':<12}{'killed':>8}{'survived':>10}{'no verdict':>12}")
    for room, count in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        print(f"{room:<12}{count[KILLED]:>8}{count[SURVIVED]:>10}{count['']:>12}")
    reasons = {one.number: f"no longer applies: {why}" for one in mutations if (why := why_not_applicable(one))}
    left = [one for one in mutations if one.verdict != KILLED or one.number in reasons]
    for one in left:
        print(f"{one.number}. {one.path}: {reasons.get(one.number) or one.verdict or 'no verdict'} ({one.harm})")
    return len(left)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="the mutations with these numbers")
    parser.add_argument("--again", action="store_true", help="the killed ones too")
    options = parser.parse_args()
    mutations = read_mutations()
    if options.only:
        chosen = [one for one in mutations if one.number in options.only]
    else:
        chosen = [one for one in mutations if options.again or one.verdict != KILLED]
    with tempfile.TemporaryDirectory(prefix="zooter-mutations-") as folder:
        tree = Path(folder) / "zooter"
        shutil.copytree(ROOT, tree, ignore=NOT_COPIED, symlinks=True)
        for one in chosen:
            if reason := why_not_applicable(one, tree):
                verdict, by = "", f"no longer applies: {reason}"
            else:
                verdict, by = judge(one, tree)
            write_verdict(one, verdict, by if verdict else "")
            print(f"{one.number:>3}. {one.path}: {verdict or 'no verdict'}{f' ({by})' if by else ''}", flush=True)
    return 1 if print_summary(read_mutations()) else 0


if __name__ == "__main__":
    sys.exit(main())
