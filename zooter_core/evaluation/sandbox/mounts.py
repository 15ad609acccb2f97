"""The file system of the sandbox: an empty root with Python's standard library, and a small work folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from zooter_core.evaluation.sandbox import kernel

DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
DATA = ("/usr/share/zoneinfo", "/etc/ld.so.cache")
HIDDEN = ("site-packages", "dist-packages")  # folders inside the standard library's that do not belong to it
WORK_FOLDER = "/sandbox"
_NEW, _OLD = "/tmp", "/.old-root"


def standard_library() -> list[str]:
    """The folders of this interpreter's standard library."""
    return [path for path in sys.path if os.path.isdir(path)]


def build(library: Iterable[str], shared: Iterable[str], size: int, files: int, owner: int) -> None:
    """Replace this mount namespace's root, and change to the work folder.

    Everything but the work folder is read-only. The work folder is in memory.

    Args:
        library: folders of the standard library.
        shared: shared libraries that its modules load.
        size: bytes that fit into the work folder.
        files: files that fit into the work folder.
        owner: user and group id of the work folder.
    """
    library = list(library)
    sources = {path: os.path.realpath(path) for path in _topmost({*library, *shared, *DEVICES, *DATA})}
    os.umask(0o022)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", _NEW, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,nr_inodes=2048,mode=755")
    os.mkdir(_NEW + _OLD)
    kernel.pivot_root(_NEW, _NEW + _OLD)
    os.chdir("/")
    for path, source in sources.items():
        _bind(_OLD + source, path)
    for path in (os.path.join(folder, name) for folder in library for name in HIDDEN):
        if os.path.isdir(path):
            kernel.mount("tmpfs", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=4k,mode=755")
    os.mkdir(WORK_FOLDER)
    kernel.unmount(_OLD)
    os.rmdir(_OLD)
    kernel.make_read_only("/")
    options = f"size={size},nr_inodes={files + 1},mode=700,uid={owner},gid={owner}"
    kernel.mount("tmpfs", WORK_FOLDER, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC, options)
    os.chdir(WORK_FOLDER)


def _topmost(paths: Iterable[str]) -> list[str]:
    """The paths that exist, without those inside a folder among them."""
    top: list[str] = []
    for path in sorted(filter(os.path.exists, paths)):
        if not path.startswith(tuple(folder + os.sep for folder in top)):
            top.append(path)
    return top


def _bind(source: str, path: str) -> None:
    """Mount a file or folder at a path of the new root where nothing is yet."""
    if os.path.isdir(source):
        os.makedirs(path)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o444))
    kernel.mount(source, path, None, kernel.MS_BIND | kernel.MS_REC)
