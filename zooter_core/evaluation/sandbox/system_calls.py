"""A system call filter (seccomp) for a process that only computes. It cannot be removed again.

Refused with EPERM: new processes, threads and programs; sockets; namespaces and mounts; access to other processes;
shared memory and queues that no resource limit counts; keys; and system administration. System calls added in Linux 5.1
or later do not exist for the process (ENOSYS), so that libraries fall back; a few harmless ones are allowed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from zooter_core.evaluation.sandbox import kernel

NEW = 424  # from here on, the numbers are the same on every machine
NEW_ALLOWED = {"close_range": 436, "openat2": 437, "faccessat2": 439}
AUDIT_MACHINE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Numbers on x86_64 and aarch64; None where that machine has no such call.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    **{"clone": (56, 220), "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281)},
    **{"socket": (41, 198)},
    **{"unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39)},
    **{"pivot_root": (155, 41), "chroot": (161, 51), "mknod": (133, None), "mknodat": (259, 33)},
    **{"name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265)},
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272)},
    **{"shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180)},
    **{"memfd_create": (319, 279), "userfaultfd": (323, 282)},
    **{"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)},
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "seccomp": (317, 277), "io_setup": (206, 0)},
    **{"fanotify_init": (300, 262), "inotify_init": (253, None), "inotify_init1": (294, 26)},
    **{"init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106)},
    **{"kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "acct": (163, 89)},
    **{"sync": (162, 81), "swapon": (167, 224), "swapoff": (168, 225), "quotactl": (179, 60), "syslog": (103, 116)},
    **{"iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "personality": (135, 92)},
}
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _MACHINE = 0, 4  # offsets in the kernel's data
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_MODE_FILTER = 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def program(machine: str) -> bytes:
    """The filter as a classic BPF program, 8 bytes for each instruction."""
    steps: list[tuple[int, int, int, int]] = []

    def answer(test: int, value: int, result: int) -> None:
        steps.extend([(test, 0, 1, value), (_RETURN, 0, 0, result)])

    steps += [(_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, AUDIT_MACHINE[machine]), (_RETURN, 0, 0, _KILL)]
    steps.append((_LOAD, 0, 0, _NUMBER))
    for allowed in NEW_ALLOWED.values():
        answer(_EQUAL, allowed, _ALLOW)
    answer(_AT_LEAST, NEW, _ERROR | errno.ENOSYS)  # includes the x32 numbers of x86_64
    for numbers in REFUSED.values():
        number = numbers[kernel.MACHINES.index(machine)]
        if number is not None:
            answer(_EQUAL, number, _ERROR | errno.EPERM)
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def restrict() -> None:
    """Install the filter for this process and its children.

    Raises:
        OSError: the kernel has no seccomp.
    """
    code = program(os.uname().machine)
    kernel.prctl(kernel.PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(_Program(len(code) // 8, code)))
