"""The shared libraries that Python's standard library loads, as the dynamic linker names them.

Run as a program, it imports every module that is a shared library itself, and prints what is loaded then, as JSON.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import subprocess
import sys
from functools import cache

NEVER = {"_tkinter"}  # there is no screen


@cache
def shared_libraries() -> tuple[str, ...]:
    """Paths of the shared libraries that a sandbox must show; found once, in a process of its own."""
    command = [sys.executable, "-I", "-S", __file__]
    found = subprocess.run(command, capture_output=True, env={}, check=False, timeout=60)
    try:
        return tuple(json.loads(found.stdout.splitlines()[-1]))
    except (ValueError, IndexError):  # then modules that need more than the C library cannot be imported
        return ()


class _Loaded(ctypes.Structure):
    _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))


def _loaded() -> list[str]:
    """What the dynamic linker has loaded into this process from outside the standard library: absolute paths."""
    names: list[str] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Loaded), ctypes.c_size_t, ctypes.c_void_p)
    def each(entry: ctypes._Pointer[_Loaded], _size: int, _data: object) -> int:
        names.append(os.fsdecode(entry.contents.name or b""))
        return 0

    ctypes.CDLL(None).dl_iterate_phdr(each, None)
    paths = {os.path.normpath(name) for name in names if os.path.isabs(name) and os.path.exists(name)}
    return sorted(path for path in paths if not path.startswith(tuple(sys.path)))


def main() -> None:
    for folder in sys.path:
        files = os.listdir(folder) if os.path.isdir(folder) else ()
        for name in sorted({file.partition(".")[0] for file in files if file.endswith(".so")} - NEVER):
            try:
                importlib.import_module(name)
            except Exception:  # of another system, or without its library
                continue
    print(json.dumps(_loaded()))


if __name__ == "__main__":
    main()
