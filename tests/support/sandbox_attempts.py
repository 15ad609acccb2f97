"""Attempts to get out of the sandbox: what each of them must end with."""

from __future__ import annotations

# Makes one attempt after the other; of each must come an error.
REFUSAL = """
wrong = []
for number in range({count}):
    try:
        result = f(number, {arguments!r})
    except Exception as problem:
        result = type(problem).__name__
        if result in {names!r}:
            continue
    wrong.append((number, result))
assert not wrong, wrong
"""
# Runs a system call by its number, as code with ctypes can.
CALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(value) for value in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
"""


def refused(account, bodies: list[str], names: str, *arguments: object, before: str = "import os, sys") -> None:
    """Every body of a function fails in the sandbox, with one of the exceptions that are named.

    Args:
        arguments: what the bodies know as `given`.
        before: code that they share.
    """
    functions = (f"def f{number}(given):\n    " + body.replace("\n", "\n    ") for number, body in enumerate(bodies))
    code = "\n".join([before, *functions, "def f(number, given): return globals()[f'f{number}'](*[given])"])
    check = REFUSAL.format(count=len(bodies), arguments=list(arguments), names=names.split())
    verdict = account.run(code, check, seconds=60)
    assert verdict.passed, verdict.reason
