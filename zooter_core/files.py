"""Writing to the disk: whole or line by line, by one process at a time, and with one message when it takes no more.

What holds queries and answers is private: files that their owner alone reads (0600) in folders that nobody else enters
(0700), whatever the umask. A file that the user names with --out has the rights that any new file of the user has.
Windows has no such rights; there they are passed over.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from filelock import FileLock, Timeout

from zooter_core.errors import WorkError, ZooterError
from zooter_core.strict_json import NotFiniteError, dump_json, parse_json

OTHERS = 0o077  # the rights of everybody but the owner
SQLITE = ("", "-wal", "-shm", "-journal")  # what SQLite adds to the name of a database for the files beside it
CREATING = threading.Lock()
Opener = Callable[[str, int], int]
PARTIAL = ".partial-"  # in the name of what is not whole yet
RUST = "(os error "  # in what tokenizers and safetensors raise where Python raises OSError


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Tell what a full or broken disk raises in one message.

    Raises:
        WorkError: the disk took no more, or what is at the place cannot be written.
    """
    try:
        yield
    except (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError) as problem:
        next_step = "Mend its rights, or take away what is in its place, and start again; what was finished is kept."
        raise WorkError(f"{place} to be writable", str(problem), next_step) from problem
    except Exception as problem:
        if not isinstance(problem, OSError) and RUST not in str(problem):
            raise
        raise WorkError(
            f"room to write {place}", str(problem), "Free some space and start again; what was finished is kept."
        ) from problem


def impossible(path: str | Path) -> str | None:
    """Why a path cannot be one, whatever there is on the disk: too long, or links in a circle; None where it may be."""
    try:
        os.stat(path)
    except OSError as problem:
        return problem.strerror if problem.errno in (errno.ENAMETOOLONG, errno.ELOOP) else None
    except ValueError as problem:  # a NUL in it
        return str(problem)
    return None


def narrow(path: str | Path) -> None:
    """Take from everybody else their rights to a file or folder, if it is there and this user's."""
    with suppress(OSError):
        found = os.stat(path)
        if found.st_mode & OTHERS and _own(found):
            os.chmod(path, stat.S_IMODE(found.st_mode) & ~OTHERS)


def private_folder(folder: Path, *, ours: bool = True) -> None:
    """Make a private folder.

    Args:
        ours: whether a folder that is there already is made private too; not where it may hold things of others.

    Raises:
        OSError: it cannot be made.
    """
    if folder.is_dir():
        if ours:
            narrow(folder)
        return
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    if os.name != "nt":
        with suppress(OSError):
            os.chmod(folder, 0o700)  # the umask may have taken rights from the owner


def private_file(path: Path) -> None:
    """Make a private file for SQLite, or make the one that is there private, with the files that SQLite puts beside it.

    Raises:
        OSError: it cannot be made.
    """
    # A process that closes a file loses all its locks on it, also those of SQLite in other threads. So it is opened
    # only to make it, and nobody in this process can use it before that is done.
    with CREATING, suppress(FileExistsError):
        os.close(owner_only(str(path), os.O_RDWR | os.O_CREAT | os.O_EXCL))
    for suffix in SQLITE:
        narrow(f"{path}{suffix}")


def owner_only(path: str, flags: int) -> int:
    """An opener for `open`: a new file is private from the start, one of this user's that is there becomes so."""
    descriptor = os.open(path, flags, 0o600)
    if hasattr(os, "fchmod"):
        with suppress(OSError):
            found = os.fstat(descriptor)
            if stat.S_IMODE(found.st_mode) != 0o600 and _own(found):
                os.fchmod(descriptor, 0o600)
    return descriptor


def _own(found: os.stat_result) -> bool:
    return os.name != "nt" and found.st_uid == os.geteuid()


def check_file(path: Path) -> None:
    """Refuse a file that cannot be written, before the work.

    Raises:
        ZooterError: it is a folder, or its folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder")
        probe = _aside(path, path.parent)
        probe.open("wb").close()
        probe.unlink()
    except OSError as problem:
        raise ZooterError(f"a place to write {path}", str(problem), "Give another place.") from problem


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made, before the work.

    Raises:
        ZooterError: it is a file, or what is around it cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"{folder} is a file")
    except OSError as problem:
        raise ZooterError(f"a folder to write at {folder}", str(problem), "Give another place.") from problem


def locked(path: Path, what: str) -> FileLock:
    """A lock that only one process holds, and that goes with it however it ends; `release` it.

    Raises:
        ZooterError: another process has it, or there is no writing there.
    """
    lock = FileLock(str(path), mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout as problem:
        raise ZooterError(f"{what} to be free", "another process at work in it", "Wait for it, or end it.") from problem
    except OSError as problem:
        raise ZooterError(f"{what} to be writable", str(problem), "Mend its rights, or give another.") from problem
    return lock


def read_whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of an append-only file; a torn last line is passed over, a missing file is empty.

    Raises:
        WorkError: the file cannot be read, or a line in the middle is not JSON or holds a NaN or infinity.
    """
    if not os.path.lexists(path):
        return
    try:
        file = path.open("rb")
    except OSError as problem:
        next_step = "Put a copy of the file back, or mend its rights."
        raise WorkError(f"a readable file {path}", str(problem), next_step) from problem
    with file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                record = parse_json(line)
            except NotFiniteError as problem:
                raise WorkError(
                    f'a finite number as "{problem.field}" in line {number} of {path}',
                    problem.number,
                    "Take that line out and start again, or put a copy of the file back.",
                ) from problem
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict):
                raise WorkError(
                    f"a JSON object in line {number} of {path}",
                    repr(line[:60]),
                    "Take that line out and start again, or put a copy of the file back.",
                )
            yield record


def append_lines(path: Path, records: Iterable[Mapping[str, Any]], opener: Opener | None = None) -> None:
    """Add records to an append-only file, after cutting off a torn last line, and flush them to the disk.

    Args:
        opener: `owner_only` for a private file.

    Raises:
        WorkError: the disk took no more.
    """
    lines = "".join(dump_json(record, ensure_ascii=False) + "\n" for record in records)
    with writing(path):
        _cut_torn_line(path)
        with open(path, "ab", opener=opener) as out:
            out.write(lines.encode("utf-8", "surrogatepass"))
            out.flush()
            os.fsync(out.fileno())


def _cut_torn_line(path: Path) -> None:
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
        content = path.read_bytes()
        file.truncate(content.rfind(b"\n") + 1)


@contextmanager
def written_whole(path: Path) -> Iterator[TextIO]:
    """Write a text aside, gzipped where the name ends in .gz, and put it at `path` at the end.

    After an error or an interrupt `path` is what it was; half a character becomes a question mark.

    Raises:
        ZooterError: at once, where such a file cannot be written.
        WorkError: the disk took no more.
    """
    check_file(path)
    partial = _aside(path, path.parent)
    try:
        raw = partial.open("wb")
    except OSError as problem:
        raise ZooterError(f"a place to write {path}", str(problem), "Give another place.") from problem
    try:
        with writing(path):
            with raw:
                # Neither name nor time go into the gzip header, so that the same lines make the same bytes.
                packed = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
                with io.TextIOWrapper(packed, encoding="utf-8", errors="replace", newline="\n") as file:
                    yield file
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def filled_whole(folder: Path, last: str, gone: Sequence[str] = ()) -> Iterator[Path]:
    """A folder to fill, whose files then take their places in `folder`; other files that are there stay.

    They are renamed, which needs no room: a full disk shows before anything is replaced. After an error or an
    interrupt `folder` is what it was.

    Args:
        last: the file without which nobody reads the folder. The old one goes before any other file is replaced, the
            new one comes after all others: a process that is killed in between leaves no mixture that could be read.
        gone: old files that go where the new folder has none of their name.

    Raises:
        ZooterError: at once, where there can be no such folder.
        WorkError: the disk took no more.
    """
    check_folder(folder)
    made = _aside(folder, folder if folder.is_dir() else folder.parent)  # on one file system, for the renames
    try:
        made.mkdir()
    except OSError as problem:
        raise ZooterError(f"a folder to write at {folder}", str(problem), "Give another place.") from problem
    try:
        yield made
        with writing(folder):
            files = [path.relative_to(made) for path in sorted(made.rglob("*")) if path.is_file()]
            (folder / last).unlink(missing_ok=True)
            for name in gone:
                (folder / name).unlink(missing_ok=True)
            for file in sorted(files, key=lambda file: file.as_posix() == last):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (made / file).replace(folder / file)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def move_contents(work: Path, folder: Path) -> None:
    """Move all that is in a folder to another on the same file system, whatever stands in its place; it goes itself."""
    for path in sorted(work.iterdir()):
        remove(folder / path.name)
        path.rename(folder / path.name)
    work.rmdir()


def remove(path: Path) -> None:
    """Delete a file, a link or a folder with all that is in it, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _aside(path: Path, around: Path) -> Path:
    """A name in a folder for what is not whole yet, this process's own; what dead processes left there goes."""
    clear(around, path.name)
    return around / f"{path.name}{PARTIAL}{os.getpid()}"


def clear(folder: Path, name: str = "") -> None:
    """Delete what dead processes left half written in a folder: `name`, PARTIAL and the number of the process.

    A number that another process has by now is taken for that one's: what it marks stays until a later time.

    Args:
        name: of what they wrote; all names where it is empty.
    """
    import psutil

    for old in list(folder.iterdir()):
        own, _, number = old.name.rpartition(PARTIAL)
        if (name and own != name) or not own or not number.isdecimal() or not number.isascii():
            continue
        if int(number) == os.getpid() or not psutil.pid_exists(int(number)):
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)
