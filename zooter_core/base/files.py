"""Safe writing: atomic and private files and folders, locks, and one message for a full disk.

Files with queries and answers are private: their permissions are 0600, in folders with 0700, regardless of the umask.
Files that the user names with --out get the default permissions. Windows has no such permissions.

The folder of a fleet or a run may come from an untrusted source and contain links. Code that writes, appends, locks or
deletes there uses `inside` and the functions of this module, which do not follow links.
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

OTHERS = 0o077  # the permissions of group and others
SQLITE = ("", "-wal", "-shm", "-journal")  # suffixes of a database file and of the files that SQLite creates beside it
CREATING = threading.Lock()
LINK = "it is a link, which may lead to another file"
PARTIAL = ".partial-"  # in the names of incomplete files and folders
RUST = "(os error "  # in messages of tokenizers and safetensors, which do not raise OSError


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn the errors of a full or broken disk into one kind of message.

    Raises:
        WorkError: the disk is full, or `place` cannot be written.
    """
    try:
        yield
    except (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError) as problem:
        next_step = "Fix the permissions, or move what blocks this path, and start again; finished work is kept."
        raise WorkError(f"{place} to be writable", str(problem), next_step) from problem
    except Exception as problem:
        if not isinstance(problem, OSError) and RUST not in str(problem):
            raise
        next_step = "Free some space and start again; finished work is kept."
        raise WorkError(f"room to write {place}", str(problem), next_step) from problem


def narrow(path: str | Path) -> None:
    """Remove the permissions of group and others from a file or folder of this user, if it exists."""
    with suppress(OSError):
        status = os.stat(path)
        if status.st_mode & OTHERS and _is_mine(status):
            os.chmod(path, stat.S_IMODE(status.st_mode) & ~OTHERS)


def private_folder(folder: Path, *, ours: bool = True) -> None:
    """Create a private folder.

    Args:
        ours: make an existing folder private too. Pass False for a folder that may hold other files.

    Raises:
        OSError: the folder cannot be created.
    """
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif ours:
        narrow(folder)


def private_file(path: Path) -> None:
    """Create a private file for SQLite, or make an existing one private, with the files that SQLite creates beside it.

    Raises:
        OSError: the file cannot be created, or is a link.
    """
    # Closing a file drops all of the process's locks on it, also those of SQLite in other threads. Therefore the file
    # is opened here only to create it, before anything in this process can use it.
    for suffix in SQLITE:
        if os.path.islink(f"{path}{suffix}"):
            raise FileExistsError(errno.ELOOP, LINK, f"{path}{suffix}")
    with CREATING, suppress(FileExistsError):
        os.close(owner_only(str(path), os.O_RDWR | os.O_CREAT | os.O_EXCL))
    for suffix in SQLITE:
        narrow(f"{path}{suffix}")


def owner_only(path: str, flags: int) -> int:
    """An opener for `open` that creates a private file, or makes an existing file of this user private.

    Raises:
        OSError: the file cannot be opened, or is a link.
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
    """The path of a file to write or delete in a folder that may come from an untrusted source.

    The path to the folder may contain links, since only the user can create those. Links inside the folder could lead
    to any file of the user, so each part of the name is checked.

    Raises:
        ZooterError: a part of the name is a link, a pipe or a device.
    """
    path = folder
    for part in PurePath(name).parts:
        path /= part
        check_plain([path])
    return path


def check_plain(paths: Iterable[Path]) -> None:
    """Refuse links, pipes and devices, since writing to them would change something outside the folder.

    Hard links pass: backups create them, and those in an archive cannot lead to a file outside it.

    Raises:
        ZooterError: a path is a link, a pipe or a device; the message names the first one.
    """
    for path in paths:
        with suppress(OSError):  # the path does not exist, or opening it will report the error
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                what = f"a link to {os.readlink(path)}" if stat.S_ISLNK(mode) else "a pipe or a device"
                raise ZooterError(f"a file or folder at {path}", what, "Remove it, or replace it with a copy.")


def _is_mine(status: os.stat_result) -> bool:
    return os.name != "nt" and status.st_uid == os.geteuid()


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Reading a pipe could wait forever, and a device may have no end.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is a pipe or a device", str(path))
    return path.open("rb")


def read_bounded(path: Path, most: int) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: the file cannot be opened, is not a regular file, or has more than `most` bytes.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content


def check_file(path: Path, sources: Iterable[Path] = ()) -> None:
    """Refuse an output file that cannot be written, before any work is done.

    Args:
        sources: input files, which the output must not overwrite.

    Raises:
        ZooterError: the path is a folder or one of the sources, or its folder cannot be created or written.
    """
    check_apart(path, sources)
    _check_writable(path, "a writable file")


def check_apart(path: Path, sources: Iterable[Path]) -> None:
    """Refuse an output file that is also an input file.

    Raises:
        ZooterError: the path is one of the sources.
    """
    if path.resolve() in {source.resolve() for source in sources}:
        raise ZooterError("an output file other than the input files", f"the input file {path}", "Name another file.")


def check_folder(folder: Path) -> None:
    """Refuse an output folder that cannot be created or written, before any work is done.

    Raises:
        ZooterError: the path is a file, or the folder or its parent cannot be created or written.
    """
    _check_writable(folder, "a writable folder", is_folder=True)


def _check_writable(path: Path, what: str, is_folder: bool = False) -> None:
    import tempfile  # here, since routing does not need it

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.is_dir() != is_folder:
            raise OSError(f"{path} is a {'file' if is_folder else 'folder'}")
        tempfile.TemporaryFile(dir=path if path.is_dir() else path.parent).close()
    except OSError as problem:
        raise ZooterError(f"{what} {path}", str(problem), "Give another path.") from problem


def locked(path: Path, what: str, seconds: float = 0) -> AcquireReturnProxy:
    """Acquire a lock that only one process can hold at a time.

    Use it in a `with` block, or call `.lock.release()`. The system releases the lock when the process ends.

    Args:
        what: what the lock protects, for messages.
        seconds: how long to wait for the lock.

    Raises:
        ZooterError: another process holds the lock, or the path cannot be written or is a link.
    """
    from filelock import FileLock, Timeout

    check_plain([path])
    try:
        return FileLock(str(path), mode=0o600).acquire(timeout=seconds)
    except Timeout as problem:
        facts = (f"{what} to be free", "another process that uses it", "Wait until that process ends, or stop it.")
        raise ZooterError(*facts) from problem
    except OSError as problem:
        raise ZooterError(f"{what} to be writable", str(problem), "Fix its permissions, or name another.") from problem


@contextmanager
def atomic(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield a temporary path for a new file or folder, which replaces `path` at the end, after a flush to the disk.

    After an error or an interrupt, `path` is unchanged. Temporary files that killed processes have left are deleted. A
    link at `path` is replaced; its target does not change.

    Args:
        private: create an empty file that only its owner can read and write.

    Raises:
        OSError: the disk is full, or `path` cannot be written.
    """
    partial = _partial_path(path, path.parent)
    try:
        if private:
            os.close(owner_only(str(partial), os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
        yield partial
        if not partial.is_dir():
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
            partial.replace(path)
            return
        old = _partial_path(path.with_name(f"{path.name}.old"), path.parent)
        if path.exists():
            path.rename(old)  # since a folder cannot replace another one
        partial.replace(path)
        with suppress(OSError):
            remove(old)
    finally:
        remove(partial)


@contextmanager
def open_atomic(path: Path) -> Iterator[TextIO]:
    """Open a text file that replaces `path` at the end. The file is gzipped if its name ends in .gz.

    After an error or an interrupt, `path` is unchanged. A lone surrogate is written as a question mark.

    Raises:
        ZooterError: immediately, if the file cannot be written.
        WorkError: the disk is full.
    """
    check_file(path)
    with writing(path), atomic(path) as partial, partial.open("wb") as raw:
        # The gzip header contains neither name nor time, so that equal lines give equal bytes.
        packed = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
        with io.TextIOWrapper(packed, encoding="utf-8", errors="replace", newline="\n") as file:
            yield file


@contextmanager
def update_folder(folder: Path, last: str) -> Iterator[Path]:
    """Yield a temporary folder. At the end, its files replace those of the same names in `folder`; other files stay.

    Renaming needs no space, so a full disk is noticed before any file is replaced. After an error or an interrupt,
    `folder` is unchanged.

    Args:
        last: the file without which the folder is not read. The old one is deleted before any other file is replaced,
            and the new one is moved last. A folder with old and new files is therefore never read, even after a kill.

    Raises:
        ZooterError: immediately, if the folder cannot be written; at the end, if a link has the name of a new file.
        WorkError: the disk is full.
    """
    check_folder(folder)
    new = _partial_path(folder, folder if folder.is_dir() else folder.parent)  # on the same file system
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
    """Delete a file, a link, or a folder with its content, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _partial_path(path: Path, folder: Path) -> Path:
    """The path `NAME.partial-PID` in a folder, where this process writes a new version of `path`.

    Deletes what killed processes have left under such names, unless a new process has the same PID.
    """
    import psutil

    for old in list(folder.iterdir()):
        name, _, number = old.name.rpartition(PARTIAL)
        if name != path.name or not number.isdecimal() or not number.isascii():
            continue
        if int(number) == os.getpid() or not psutil.pid_exists(int(number)):
            with suppress(OSError):
                remove(old)
    return folder / f"{path.name}{PARTIAL}{os.getpid()}"
