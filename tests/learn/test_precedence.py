"""Requests go first, with a real file and real processes; benchmarks/learn_serve.py measures the effect."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from zooter_core.learn.precedence import FILE, Answering, Precedence

KILLED = """
import sys
from pathlib import Path
from zooter_core.learn.precedence import Answering
with Answering(Path(sys.argv[1])).request():
    print("answering", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def answering(tmp_path):
    endpoint = Answering(tmp_path)
    yield endpoint
    endpoint.close()


def test_an_endpoint_answers_from_its_first_request_to_the_end_of_its_last(answering, tmp_path):
    learner = Precedence(tmp_path)
    assert not learner.requested()
    with answering.request():
        with answering.request():
            assert learner.requested()
        assert learner.requested()
    assert not learner.requested()


@pytest.mark.parametrize("text", [None, "", "oops", "0000000000"])
def test_without_an_endpoint_nobody_answers(tmp_path, text):
    if text is not None:
        (tmp_path / FILE).write_text(text)
    assert not Precedence(tmp_path).requested()


def test_an_endpoint_that_was_killed_does_not_answer(tmp_path):
    call = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as endpoint:
        assert endpoint.stdout.readline() == "answering\n"
        assert Precedence(tmp_path).requested()
        endpoint.kill()
    assert not Precedence(tmp_path).requested()


def test_work_begins_when_no_request_is_left_and_is_told_of_the_next(answering, tmp_path):
    begun, stop, disturbed = threading.Event(), threading.Event(), []

    def learn() -> None:
        with Precedence(tmp_path).quiet(stop) as leave:
            begun.set()
            disturbed.append(leave.wait(10))

    learner = threading.Thread(target=learn)
    with answering.request():
        learner.start()
        assert not begun.wait(0.5)
    assert begun.wait(10)
    with answering.request():
        learner.join()
    assert disturbed == [True]


def test_work_gives_way_in_the_middle(answering, tmp_path):
    begun, middle, ended, stop = (threading.Event() for _ in range(4))

    def learn() -> None:
        learner = Precedence(tmp_path)
        with learner.quiet(stop):
            begun.set()
            middle.wait(10)
            learner.give_way(stop)
            ended.set()

    learner = threading.Thread(target=learn)
    learner.start()
    assert begun.wait(10)
    with answering.request():
        middle.set()
        assert not ended.wait(0.5)
    assert ended.wait(10)
    learner.join()


def test_whoever_waited_long_enough_works_to_the_end(answering, tmp_path):
    learner = Precedence(tmp_path, patience=0.2)
    for _ in range(2):  # it is as patient the second time
        begin = time.monotonic()
        with answering.request(), learner.quiet(threading.Event()) as leave:
            assert time.monotonic() - begin >= 0.2
            assert not leave.wait(0.1)


def test_a_stop_ends_the_wait_and_the_work(answering, tmp_path):
    stop = threading.Event()
    with answering.request():
        stop.set()
        with Precedence(tmp_path).quiet(stop) as leave:
            assert leave.wait(10)


def test_a_fleet_of_other_machines_never_waits(answering):
    with answering.request(), Precedence().quiet(threading.Event()) as leave:
        assert not leave.wait(0.1)
