"""The shared libraries that Python's standard library loads, as the dynamic linker names them.

Run as a program, this module imports every extension module and prints the libraries that are then loaded, as JSON.
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
    """Paths of the shared libraries that a sandbox needs, determined once in a separate process."""
    command = [sys.executable, "-I", "-S", __file__]
    ended = subprocess.run(command, capture_output=True, env={}, check=False, timeout=60)
    try:
        return tuple(json.loads(ended.stdout.splitlines()[-1]))
    except (ValueError, IndexError):  # modules that need more than the C library then cannot be imported
        return ()


class _Loaded(ctypes.Structure):
    _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))


def _loaded() -> list[str]:
    """Absolute paths of the libraries in this process from outside the standard library."""
    names: list[str] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Loaded), ctypes.c_size_t, ctypes.c_void_p)
    def visit(entry: ctypes._Pointer[_Loaded], _size: int, _data: object) -> int:
        names.append(os.fsdecode(entry.contents.name or b""))
        return 0

    ctypes.CDLL(None).dl_iterate_phdr(visit, None)
    paths = {os.path.normpath(name) for name in names if os.path.isabs(name) and os.path.exists(name)}
    return sorted(path for path in paths if not path.startswith(tuple(sys.path)))


def main() -> None:
    for folder in sys.path:
        files = os.listdir(folder) if os.path.isdir(folder) else ()
        for name in sorted({file.partition(".")[0] for file in files if file.endswith(".so")} - NEVER):
            try:
                importlib.import_module(name)
            except Exception:  # for another system, or without its library
                continue
    print(json.dumps(_loaded()))


if __name__ == "__main__":
    main()
