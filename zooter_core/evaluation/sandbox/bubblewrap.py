"""How bubblewrap (`bwrap`) is called: an empty root with Python's standard library, and no way out.

The sandbox has namespaces of its own for processes, files, network, IPC, host name and control groups, no capabilities,
and a filter for system calls. An ordinary user's code is nobody in a user namespace. Root's code becomes, outside too,
a user that owns nothing: bubblewrap alone would keep it root.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

PYTHON = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
INSIDE = "/zooter"  # where this package is found inside
NOBODY = 65534
# One of the ids that systemd gives to services while they run, so no file belongs to it.
SERVICE_USER = 61184
ALWAYS = """--die-with-parent --new-session --unshare-pid --unshare-net --unshare-ipc --unshare-uts
    --unshare-cgroup-try --hostname sandbox --cap-drop ALL"""
AS_USER = f"--unshare-user --disable-userns --uid {NOBODY} --gid {NOBODY}"
AS_ROOT = "--cap-add CAP_SETUID --cap-add CAP_SETGID"  # until the process has become the service user

NEW = 424  # from here on, the numbers are the same on every machine
NEW_ALLOWED = {"close_range": 436, "openat2": 437, "faccessat2": 439}
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# System calls that no other wall holds, refused with EPERM: numbers on x86_64 and aarch64. What needs a capability is
# not among them.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    **{"clone": (56, 220), "fork": (57, None), "vfork": (58, None), "unshare": (272, 97), "setns": (308, 268)},
    **{"socket": (41, 198), "mknod": (133, None), "mknodat": (259, 33), "memfd_create": (319, 279)},
    **{"shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180)},
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272)},
    **{"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "userfaultfd": (323, 282)},
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "io_setup": (206, 0), "fanotify_init": (300, 262)},
    **{"inotify_init": (253, None), "inotify_init1": (294, 26), "modify_ldt": (154, None), "personality": (135, 92)},
    **{"sync": (162, 81), "syslog": (103, 116)},
}
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _MACHINE = 0, 4  # offsets in the kernel's data
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def system_call_filter(machine: str) -> bytes:
    """The filter as a classic BPF program for seccomp.

    System calls added in Linux 5.1 or later do not exist (ENOSYS), so that libraries fall back; a few harmless ones are
    allowed. Calls by the numbers of another architecture end the process.
    """
    column = list(MACHINES).index(machine)
    refused = [numbers[column] for numbers in REFUSED.values()]
    tests = [
        *((_EQUAL, number, _ALLOW) for number in NEW_ALLOWED.values()),
        (_AT_LEAST, NEW, _ERROR | errno.ENOSYS),  # includes the x32 numbers of x86_64
        *((_EQUAL, number, _ERROR | errno.EPERM) for number in refused if number is not None),
    ]
    steps = [(_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, MACHINES[machine]), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    for test, number, result in tests:
        steps += [(test, 0, 1, number), (_RETURN, 0, 0, result)]
    return b"".join(struct.pack("HBBI", *step) for step in [*steps, (_RETURN, 0, 0, _ALLOW)])


def service_user() -> int:
    """The user that code of root's sandboxes becomes; 0 for an ordinary user's, and for root of a few ids."""
    if os.geteuid() != 0:
        return 0
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    ranges = [range(int(first), int(first) + int(count)) for first, _, count in map(str.split, lines)]
    return SERVICE_USER if any(SERVICE_USER in ids for ids in ranges) else 0


def command(program: str, disk: int, filter_descriptor: int) -> list[str]:
    """Run a Python program in a new sandbox, in an empty folder in memory that holds `disk` bytes."""
    folder = f"--size {disk} --perms 0777 --tmpfs /sandbox --chdir /sandbox --remount-ro /"
    options = f"{ALWAYS} {AS_ROOT if service_user() else AS_USER} --seccomp {filter_descriptor}"
    bwrap = shutil.which("bwrap") or "bwrap"
    return [bwrap, *options.split(), *_files(), *folder.split(), "--", PYTHON, "-I", "-S", "-c", program]


@cache
def _files() -> list[str]:
    """Read-only: Python, its standard library, the shared libraries that it loads, and this package's own folder."""
    library = os.path.realpath(os.path.dirname(os.__file__))
    extensions = os.path.realpath(sysconfig.get_config_var("DESTSHARED") or f"{library}/lib-dynload")
    modules = [str(path) for path in Path(extensions).glob("*.so") if not path.name.startswith(("_tkinter", "nis"))]
    listed = subprocess.run(["ldd", PYTHON, *modules], capture_output=True, text=True, check=False, timeout=60).stdout
    shared = {os.path.normpath(path) for path in re.findall(r"(/.+) \(0x", listed)}
    mounts = [("--ro-bind", path, path) for path in sorted({PYTHON, library, extensions, *shared})]
    mounts += [("--ro-bind-try", path, path) for path in ("/usr/share/zoneinfo", "/etc/ld.so.cache")]
    mounts += [("--dev-bind", path, path) for path in ("/dev/null", "/dev/zero", "/dev/urandom")]
    mounts += [("--ro-bind", os.path.dirname(__file__), f"{INSIDE}/zooter_core/evaluation/sandbox")]
    arguments = []
    for folder in dict.fromkeys(os.path.dirname(path) for _, _, path in mounts):
        arguments += ["--dir", folder]  # one that a mount makes may be closed to other users
    for mount in mounts:
        arguments += mount
    for name in ("site-packages", "dist-packages"):  # they do not belong to the standard library
        if os.path.isdir(path := f"{library}/{name}"):
            arguments += ["--tmpfs", path, "--remount-ro", path]
    return arguments
