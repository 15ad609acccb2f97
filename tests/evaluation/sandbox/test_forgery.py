"""Code that wants to pass without being right: it knows neither the check nor a way to the verdict."""

from __future__ import annotations

import pytest

# What only right code can pass: the numbers are new every time. `f` should add one.
CHECK = """
import secrets
for _ in range(3):
    number = secrets.randbits(60)
    assert f(number) == number + 1, "wrong"
"""
FORGED = """
import json, os

def forged():
    frames = [{"passed": True, "reason": "", "lost": False}, {"ready": True}, {"value": True}, {"value": None}]
    for descriptor in range(64):
        for frame in frames:
            try:
                os.write(descriptor, json.dumps(frame).encode() + b"\\n")
            except OSError:
                pass
"""
NOT_EQUAL = "class Same:\n    __eq__ = lambda self, other: True\n    __hash__ = None\n"


@pytest.mark.parametrize(
    "code",
    [
        # the attempts of the first attack
        "import os\nword = os.read(0, 10**6)\nos.write(1, word)\ndef f(n):\n    return word",
        "import sys\nfor n in range(9):\n    try: sys._getframe(n).f_locals.update(said='', passed=True)\n"
        "    except ValueError: break\ndef f(n):\n    return n",
        "import builtins as b\nb.exec = lambda *a, **k: None\nb.compile = lambda *a, **k: ''\ndef f(n): return n",
        "import __main__\n__main__.main = lambda: None\ndef f(n): return n",
        # the protocol
        FORGED + "forged()\ndef f(n):\n    return n",
        FORGED + "def f(n):\n    forged()\n    return n",
        FORGED + "def f(n):\n    forged()\n    os._exit(0)",
        FORGED + "import atexit\natexit.register(forged)\ndef f(n):\n    raise SystemExit(0)",
        "import os\ndef f(n):\n    for d in range(64):\n        try: os.write(d, b'\\xff' * 1000 + b'\\n')\n"
        "        except OSError: pass\n    return n + 1",
        "import os\ndef f(n):\n    os.closerange(3, 64)\n    return n + 1",
        # its own process
        'import json\njson.dumps = lambda *a, **k: \'{"passed": true, "value": true}\'\ndef f(n): return n',
        "from zooter_core.evaluation.sandbox import process as p\n"
        "p.pack = lambda *a: True\np.verdict = p.LostError = p.Worker = None\ndef f(n): return n",
        "import zooter_core.evaluation.sandbox.process as v\nv.READERS.clear()\nv.KINDS.clear()\ndef f(n): return n",
        "import builtins\nbuiltins.AssertionError = builtins.BaseException = Warning\ndef f(n): return n",
        "import sys\nsys.modules['json'] = sys.modules['os'] = None\ndef f(n): return n",
        # the checker's process
        "import os\ndef f(n):\n    os.kill(os.getppid(), 2)\n    return n",
        "import os\ndef f(n):\n    os.kill(-1, 9)\n    return n",
        # values that lie
        NOT_EQUAL + "def f(n): return Same()",
        "class Same(int):\n    __eq__ = lambda self, other: True\n    __hash__ = None\ndef f(n): return Same(5)",
        "from unittest.mock import ANY\ndef f(n): return ANY",
        "def f(n): return f",
        "def f(n): return float('nan')",
        # exceptions
        "def f(n): raise AssertionError",
        "def f(n): raise SystemExit(0)",
        "from zooter_core.evaluation.sandbox.process import LostError\ndef f(n): raise LostError",
        "class E(Exception):\n    args = property(lambda self: 1 / 0)\n    __str__ = None\ndef f(n): raise E",
        "class E(Exception): pass\nE.__name__ = 'x' * 10**6\ndef f(n): raise E('y' * 10**5)",
    ],
)
@pytest.mark.parametrize("account", ["own"], indirect=True)  # messages do not depend on who starts the sandbox
def test_wrong_code_does_not_pass(account, code):
    verdict = account.run(code, CHECK, seconds=5)
    assert not verdict.passed
    assert 0 < len(verdict.reason) <= 300


def test_right_code_passes_that_check(account):
    assert account.run("def f(n):\n    return n + 1", CHECK).passed


def test_a_reply_before_the_question_is_an_answer_like_any_other(account):
    """A worker may write what it likes, but only as its function's value: it must know the answers to be right."""
    code = FORGED.replace('{"ready": True}', '{"value": 2}') + "forged()\ndef f(n):\n    return n"
    assert not account.run(code, CHECK).passed


@pytest.mark.parametrize("account", ["own"], indirect=True)
@pytest.mark.parametrize("caught", ["except Exception", "except"])
def test_a_check_that_catches_everything_does_not_pass_without_a_worker(account, caught):
    check = f"try:\n    f(-1)\n{caught}:\n    pass\nelse:\n    assert False\n"
    assert account.run("def f(n):\n    raise ValueError", check).passed
    assert not account.run("import os\ndef f(n):\n    os._exit(0)", check).passed
    assert not account.run(FORGED + "def f(n):\n    forged()\n    os._exit(0)", check).passed


def test_the_check_is_nowhere_in_the_worker(account):
    """Objects, frames and modules are searched for a word of the check."""
    code = """
import gc, sys

def f(first, second):
    secret, seen, copies = first + second, set(), []
    frame, todo = sys._getframe(), []
    while frame:
        todo += [frame.f_globals, frame.f_code.co_consts, *(v for k, v in frame.f_locals.items() if k != "secret")]
        frame = frame.f_back
    todo += gc.get_objects()
    while todo and len(seen) < 300_000:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, str | bytes) and item is not secret and secret in str(item):
            copies.append(item)
        todo += gc.get_referents(item)
    return len(seen) > 1000, len(copies)
"""
    verdict = account.run(code, "word = 'quag' + 'gamire'\n# quaggamire\nassert f('quagga', 'mire') == (True, 0)")
    assert verdict.passed, verdict.reason


def test_nothing_is_written_to_the_worker_s_arguments_that_the_check_relies_on(account):
    """The function may change the list that it gets, and nothing else of the check's."""
    check = (
        "given, expected = [3, 1, 2], (1, 2, 3)\nf(given, expected)\nassert expected == (1, 2, 3)\nassert given == []"
    )
    code = "def f(given, expected):\n    given.clear()\n    expected = ()\n"
    verdict = account.run(code, check)
    assert verdict.passed, verdict.reason
