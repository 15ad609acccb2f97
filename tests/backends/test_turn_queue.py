from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from support.patience import PATIENCE
from zooter_core.backends import TurnQueue


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    """A stop that is set only if a turn never comes, so that no test waits for ever."""
    stop = threading.Event()
    bound = threading.Timer(PATIENCE, stop.set)
    bound.start()
    yield stop
    bound.cancel()
    assert not stop.is_set()


def test_the_first_is_served_at_once_and_the_others_count_who_is_ahead(go_on: threading.Event) -> None:
    queue = TurnQueue()
    first, second, third = queue.join(), queue.join(), queue.join()
    assert [ticket.ahead for ticket in (first, second, third)] == [0, 1, 2]
    assert first.wait(go_on)
    first.leave()
    first.leave()  # twice does no harm
    assert [ticket.ahead for ticket in (second, third)] == [0, 1]
    assert second.wait(go_on)


def test_who_stops_waiting_gives_up_the_place(go_on: threading.Event) -> None:
    queue, stop = TurnQueue(), threading.Event()
    first, second, third = queue.join(), queue.join(), queue.join()
    stop.set()
    assert not second.wait(stop)
    assert third.ahead == 1
    first.leave()
    assert third.wait(go_on)


def test_many_are_served_in_the_order_in_which_they_came(go_on: threading.Event) -> None:
    queue, served = TurnQueue(), []
    tickets = [queue.join() for _ in range(20)]

    def take_turn(number: int) -> None:
        assert tickets[number].wait(go_on)
        served.append(number)
        tickets[number].leave()

    threads = [threading.Thread(target=take_turn, args=(number,)) for number in reversed(range(20))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert served == list(range(20))
