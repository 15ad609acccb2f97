"""Calls to the Linux kernel that Python's `os` module lacks, through ctypes."""

from __future__ import annotations

import ctypes
import os
from functools import cache

MACHINES = ("x86_64", "aarch64")
# Numbers of system calls by machine, in the order of MACHINES.
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
MOUNT_SETATTR = 442  # on every machine, as all numbers from 424 on

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTR_READ_ONLY, _ATTR_NOSUID = 1, 2
_CAPABILITY_VERSION = 0x20080522  # 64 bits of capabilities


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> None:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{call}: {os.strerror(error)}")


def unshare(flags: int) -> None:
    """Move this process into new namespaces.

    Raises:
        OSError: the kernel refuses, as with every function here; the message begins with the call.
    """
    _check(_libc().unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    type_ = None if kind is None else kind.encode()
    result = _libc().mount(os.fsencode(source), os.fsencode(target), type_, ctypes.c_ulong(flags), options.encode())
    _check(result, f"mount {target}")


def unmount(target: str) -> None:
    """Detach a mount and everything below it, whether in use or not."""
    _check(_libc().umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root, and put the old root at `old`, a folder in it."""
    call = ctypes.c_long(PIVOT_ROOT[os.uname().machine])
    _check(_libc().syscall(call, os.fsencode(new), os.fsencode(old)), "pivot_root")


def make_read_only(path: str) -> None:
    """Make everything mounted at a path and below read-only, without set-user-ID programs. Needs Linux 5.12."""
    attributes = (ctypes.c_uint64 * 4)(_ATTR_READ_ONLY | _ATTR_NOSUID, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    call = ctypes.c_long(MOUNT_SETATTR)
    result = _libc().syscall(call, _AT_FDCWD, os.fsencode(path), _AT_RECURSIVE, ctypes.byref(attributes), size)
    _check(result, "mount_setattr")


def prctl(option: int, value: int, pointer: object = None) -> None:
    _check(_libc().prctl(option, ctypes.c_ulong(value), pointer, None, None), f"prctl {option}")


def drop_capabilities() -> None:
    """Give up every capability; with no_new_privs, for good."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    _check(_libc().capset(ctypes.byref(header), ctypes.byref(none)), "capset")


def set_host_name(name: str) -> None:
    _check(_libc().sethostname(name.encode(), ctypes.c_size_t(len(name))), "sethostname")
