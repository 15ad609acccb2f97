"""Which conversation gets which slot of llama.cpp."""

from __future__ import annotations

import threading

from support.patience import PATIENCE
from zooter_core.backends.gguf.engine import Slots

NEVER = threading.Event()


def test_a_conversation_gets_the_slot_that_has_read_most_of_it():
    slots = Slots(3, 1000)
    taken = [slots.take(adapter, tokens, 10, NEVER) for adapter, tokens in ((0, [1, 2, 3]), (1, [1, 2, 3]), (0, [9]))]
    for slot in taken:
        slots.give_back(slot)
    assert slots.take(1, [1, 2, 3, 4], 10, NEVER) is taken[1]
    assert slots.take(0, [1, 2, 7], 10, NEVER) is taken[0]


def test_a_new_conversation_gets_the_slot_that_was_unused_for_longest():
    slots = Slots(2, 1000)
    first, second = slots.take(None, [1], 10, NEVER), slots.take(None, [2], 10, NEVER)
    slots.give_back(second)
    slots.give_back(first)
    assert slots.take(None, [3], 10, NEVER) is first


def test_who_finds_no_slot_or_no_room_waits_until_there_is():
    for count, room in ((1, 1000), (2, 15)):
        slots = Slots(count, room)
        first, taken = slots.take(None, [1], 10, NEVER), []
        waiting = threading.Thread(
            target=lambda slots=slots, taken=taken: taken.append(slots.take(None, [2], 10, NEVER))
        )
        waiting.start()
        waiting.join(0.05)
        assert not taken
        slots.give_back(first)
        waiting.join(PATIENCE)
        assert taken[0] is not None


def test_a_stop_ends_the_wait():
    slots, stop = Slots(1, 1000), threading.Event()
    slots.take(None, [1], 10, NEVER)
    stop.set()
    assert slots.take(None, [2], 10, stop) is None
