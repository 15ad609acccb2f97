"""Safe writing: atomic files and folders, private ones, locks, and one message for a full disk.

What holds queries and answers is private: files with the permissions 0600 in folders with 0700, whatever the umask.
Files that the user names with --out have the permissions of any new file. Windows has no such permissions.

A fleet's folder or a run's may come from a stranger, with links in it. What is written, appended, locked or deleted
there goes through `inside` and the functions here, none of which follows a link.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import shutil
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO, TextIO

from zooter_core.base.errors import WorkError, ZooterError

if TYPE_CHECKING:
    from filelock import AcquireReturnProxy

OTHERS = 0o077  # the permissions of everybody but the owner
SQLITE = ("", "-wal", "-shm", "-journal")  # what SQLite adds to the name of a database for the files beside it
CREATING = threading.Lock()
LINK = "it is a link, which may lead to another file"
PARTIAL = ".partial-"  # in the name of what is incomplete
RUST = "(os error "  # in what tokenizers and safetensors raise where Python raises OSError


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn what a full or broken disk raises into one message.

    Raises:
        WorkError: the disk is full, or `place` cannot be written.
    """
    try:
        yield
    except (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError) as problem:
        next_step = "Fix its permissions, or move what is in its place, and start again; finished work is kept."
        raise WorkError(f"{place} to be writable", str(problem), next_step) from problem
    except Exception as problem:
        if not isinstance(problem, OSError) and RUST not in str(problem):
            raise
        next_step = "Free some space and start again; finished work is kept."
        raise WorkError(f"room to write {place}", str(problem), next_step) from problem


def narrow(path: str | Path) -> None:
    """Remove the permissions of everybody else from a file or folder of this user, if there is one."""
    with suppress(OSError):
        status = os.stat(path)
        if status.st_mode & OTHERS and _is_mine(status):
            os.chmod(path, stat.S_IMODE(status.st_mode) & ~OTHERS)


def private_folder(folder: Path, *, ours: bool = True) -> None:
    """Make a private folder.

    Args:
        ours: make an existing folder private too. Not for one that may hold other things.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif ours:
        narrow(folder)


def private_file(path: Path) -> None:
    """Make a private file for SQLite, or make an existing one private, with the files that SQLite puts beside it.

    Raises:
        OSError: it cannot be made.
    """
    # Closing a file drops all of the process's locks on it, also those of SQLite in other threads. So it is opened only
    # to make it, before anything in this process can use it.
    for suffix in SQLITE:
        if os.path.islink(f"{path}{suffix}"):
            raise FileExistsError(errno.ELOOP, LINK, f"{path}{suffix}")
    with CREATING, suppress(FileExistsError):
        os.close(owner_only(str(path), os.O_RDWR | os.O_CREAT | os.O_EXCL))
    for suffix in SQLITE:
        narrow(f"{path}{suffix}")


def owner_only(path: str, flags: int) -> int:
    """An opener for `open`: a new file is private from the start, an existing one of this user becomes private.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    try:
        descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            raise FileExistsError(errno.ELOOP, LINK, path) from problem
        raise
    if hasattr(os, "fchmod"):
        with suppress(OSError):
            status = os.fstat(descriptor)
            if stat.S_IMODE(status.st_mode) != 0o600 and _is_mine(status):
                os.fchmod(descriptor, 0o600)
    return descriptor


def inside(folder: Path, name: str | PurePath) -> Path:
    """The path of what is written or deleted in a folder that may come from a stranger.

    The folder itself may be reached by a link: only its owner makes one. Links in it could lead to anything of the
    owner's, so each part of the name is checked.

    Raises:
        ZooterError: a part of the name is a link, a pipe or a device.
    """
    path = folder
    for part in PurePath(name).parts:
        path /= part
        check_plain([path])
    return path


def check_plain(paths: Iterable[Path]) -> None:
    """Refuse links, pipes and devices among the files of a folder of ours: writing to them would change something else.

    Hard links pass. An archive cannot bring one to a file outside itself, and backups make them.

    Raises:
        ZooterError: names the first of them.
    """
    for path in paths:
        with suppress(OSError):  # there is none, or opening it will say why not
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                what = f"a link to {os.readlink(path)}" if stat.S_ISLNK(mode) else "a pipe or a device"
                raise ZooterError(f"a file or folder at {path}", what, "Remove it, or put a copy in its place.")


def _is_mine(status: os.stat_result) -> bool:
    return os.name != "nt" and status.st_uid == os.geteuid()


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read it: nothing but a file. A pipe would wait for whoever writes to it; a device has no end.

    Raises:
        OSError: it cannot be opened, or is something else.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is a pipe or a device", str(path))
    return path.open("rb")


def read_bounded(path: Path, most: int) -> bytes:
    """The content of a file. Raises as `open_regular`, also if it has more than `most` bytes."""
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content


def check_file(path: Path, sources: Iterable[Path] = ()) -> None:
    """Refuse a file that cannot be written, before any work.

    Args:
        sources: files that are read, whose place it must not take.

    Raises:
        ZooterError: it is a folder or one of the sources, or its folder cannot be made or written.
    """
    check_apart(path, sources)
    _check_place(path, "a place to write")


def check_apart(path: Path, sources: Iterable[Path]) -> None:
    """Refuse to write over a file that is read."""
    if path.resolve() in {source.resolve() for source in sources}:
        raise ZooterError("a file to write beside those that are read", f"one of them, {path}", "Name another file.")


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written, before any work.

    Raises:
        ZooterError: it is a file, or it or what is around it cannot be made or written.
    """
    _check_place(folder, "a folder to write at", is_folder=True)


def _check_place(path: Path, what: str, is_folder: bool = False) -> None:
    import tempfile  # here, because routing does without it

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.is_dir() != is_folder:
            raise OSError(f"{path} is a {'file' if is_folder else 'folder'}")
        tempfile.TemporaryFile(dir=path if path.is_dir() else path.parent).close()
    except OSError as problem:
        raise ZooterError(f"{what} {path}", str(problem), "Give another place.") from problem


def locked(path: Path, what: str, seconds: float = 0) -> AcquireReturnProxy:
    """Take a lock that one process at a time can have.

    A `with` block releases it at its end. Without one, call `.lock.release()`; the system does at the process's end.

    Args:
        seconds: how long to wait for it.

    Raises:
        ZooterError: another process has it, the place cannot be written, or it is a link.
    """
    from filelock import FileLock, Timeout

    check_plain([path])
    try:
        return FileLock(str(path), mode=0o600).acquire(timeout=seconds)
    except Timeout as problem:
        facts = (f"{what} to be free", "another process at work in it", "Wait for it, or stop it.")
        raise ZooterError(*facts) from problem
    except OSError as problem:
        raise ZooterError(f"{what} to be writable", str(problem), "Fix its permissions, or give another.") from problem


@contextmanager
def atomic(path: Path, *, private: bool = False) -> Iterator[Path]:
    """A path aside at which to write a file or a folder. It replaces `path` at the end, after a flush to the disk.

    After an error or an interrupt `path` is as it was. What killed processes left aside is deleted. A link at `path` is
    replaced, and what it leads to stays.

    Args:
        private: make a file that its owner alone reads and writes, before anything is written to it.

    Raises:
        OSError: the disk is full, or `path` cannot be written.
    """
    partial = _aside(path, path.parent)
    try:
        if private:
            os.close(owner_only(str(partial), os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
        yield partial
        if not partial.is_dir():
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
            partial.replace(path)
            return
        old = _aside(path.with_name(f"{path.name}.old"), path.parent)
        if path.exists():
            path.rename(old)  # as a folder cannot replace another
        partial.replace(path)
        with suppress(OSError):
            remove(old)
    finally:
        remove(partial)


@contextmanager
def open_atomic(path: Path) -> Iterator[TextIO]:
    """Open a text file that replaces `path` at the end. It is gzipped if the name ends in .gz.

    After an error or an interrupt `path` is as it was. A lone surrogate becomes a question mark.

    Raises:
        ZooterError: at once, if such a file cannot be written.
        WorkError: the disk is full.
    """
    check_file(path)
    with writing(path), atomic(path) as partial, partial.open("wb") as raw:
        # Neither name nor time go into the gzip header, so that the same lines make the same bytes.
        packed = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
        with io.TextIOWrapper(packed, encoding="utf-8", errors="replace", newline="\n") as file:
            yield file


@contextmanager
def update_folder(folder: Path, last: str) -> Iterator[Path]:
    """A folder aside to fill. Its files then replace those of the same names in `folder`; other files stay.

    Renaming needs no space: a full disk shows before anything is replaced. After an error or an interrupt `folder` is
    as it was.

    Args:
        last: the file without which the folder is not read. The old one is deleted before any other file is replaced,
            and the new one comes last, so that a kill in between leaves no mixture that could be read.

    Raises:
        ZooterError: at once, if there can be no such folder; later, if a link is in the place of a file of it.
        WorkError: the disk is full.
    """
    check_folder(folder)
    new = _aside(folder, folder if folder.is_dir() else folder.parent)  # on the same file system
    try:
        new.mkdir()
        yield new
        with writing(folder):
            files = [path.relative_to(new) for path in sorted(new.rglob("*")) if path.is_file()]
            places = [(inside(folder, file), file) for file in sorted(files, key=lambda file: file.as_posix() == last)]
            (folder / last).unlink(missing_ok=True)
            for place, file in places:
                place.parent.mkdir(parents=True, exist_ok=True)
                (new / file).replace(place)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def remove(path: Path) -> None:
    """Delete a file, a link or a folder with everything in it, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _aside(path: Path, around: Path) -> Path:
    """A name of this process in a folder, for what is incomplete: `NAME.partial-PID`.

    What killed processes left there is deleted, unless another process has their number by now.
    """
    import psutil

    for old in list(around.iterdir()):
        name, _, number = old.name.rpartition(PARTIAL)
        if name != path.name or not number.isdecimal() or not number.isascii():
            continue
        if int(number) == os.getpid() or not psutil.pid_exists(int(number)):
            with suppress(OSError):
                remove(old)
    return around / f"{path.name}{PARTIAL}{os.getpid()}"
