"""Limits of this process: permission bits that count for root too, and a disk that is full."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

VERSION = 0x20080522
OVERRIDING = (1 << 1) | (1 << 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


class Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class Data(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Take from this thread, and from those that it starts, the right of root to pass over permission bits.

    A root without it is refused by its own file with mode 000, as the owner of a file always is.
    """
    if os.geteuid() != 0:
        yield
        return
    libc, header, data = ctypes.CDLL(None, use_errno=True), Header(VERSION, 0), (Data * 2)()
    if not hasattr(libc, "capset") or libc.capget(ctypes.byref(header), data):
        pytest.skip("root passes over permissions here, and its capabilities cannot be taken away")
    before = data[0].effective
    data[0].effective = before & ~OVERRIDING
    if libc.capset(ctypes.byref(header), data):
        pytest.skip(f"no capability can be dropped here: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        data[0].effective = before
        libc.capset(ctypes.byref(header), data)


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes; the error differs from that of a full disk in its number alone.

    Python would cut the bytecode of a package that it imports meanwhile, and every later import of that would fail.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writes_nothing = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_nothing
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
