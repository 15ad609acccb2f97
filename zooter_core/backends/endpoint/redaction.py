"""Removes secrets from what a server sends, so that an echoed key is in no answer, message, log or history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zooter_core.backends.endpoint.events import Event
from zooter_core.base.strict_json import objects

MASK = "***"
SHORTEST = 8  # characters; local servers take any word as a key, and such a word may well be part of an answer
TEXTS = ("content", "reasoning_content", "reasoning", "refusal")  # of a delta, which go on from event to event
Place = tuple[object, ...]  # where a text goes on: a choice and a field, or an output of the Responses API


class Redaction:
    """Replaces a key in messages, bodies and streams. Without a key it changes nothing."""

    def __init__(self, key: str | None) -> None:
        self._key = key or ""
        self._in_answers = self._key if len(self._key) >= SHORTEST else ""

    def __call__(self, text: str) -> str:
        """A message with every occurrence of the key masked."""
        return text.replace(self._key, MASK) if self._key else text

    def data(self, data: bytes) -> bytes:
        """The same for a body. It leaves keys shorter than SHORTEST alone."""
        return data.replace(self._in_answers.encode(), MASK.encode()) if self._in_answers else data

    def shape(self, value: Any) -> Any:
        """The same for a body that has been parsed: escapes hide a key from `data`."""
        return _masked(value, self._in_answers) if self._in_answers else value

    def events(self) -> RedactedEvents | None:
        """The same for a stream; None if there is nothing to mask."""
        return RedactedEvents(self._in_answers) if self._in_answers else None


class RedactedText:
    """Masks a key in a text that comes in parts, wherever the parts are split.

    It passes on all text at once, except an end that could be the beginning of the key.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self.waiting = ""  # the end of the text so far, if it is a beginning of the key

    def feed(self, text: str) -> str:
        """Add a part. Return what can be shown now."""
        *before, last = (self.waiting + text).split(self._key)
        shown = len(last) - self._overlap(last)
        self.waiting = last[shown:]
        return MASK.join([*before, last[:shown]])

    def end(self) -> str:
        """Return the rest. Most of a key is masked too: the text was cut off in the middle of it."""
        waiting, self.waiting = self.waiting, ""
        return MASK if len(waiting) >= max(SHORTEST, len(self._key) / 2) else waiting

    def _overlap(self, text: str) -> int:
        """The length of the longest end of the text that is a beginning of the key, and not all of it."""
        at = text.find(self._key[0], max(0, len(text) - len(self._key) + 1))
        while at >= 0:
            if self._key.startswith(text[at:]):
                return len(text) - at
            at = text.find(self._key[0], at + 1)
        return 0


class RedactedEvents:
    """Masks a key in the events of a stream, also where it is split over several.

    Events pass at once. Only an end of a text that could be the beginning of the key waits, for the next event of that
    text; if it does not go on, an event of its own brings the rest.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._texts: dict[Place, RedactedText] = {}
        self._last: dict[Place, Event] = {}  # the one that each waiting end came in

    def feed(self, event: Event) -> list[Event]:
        """The events to show when one has come: before it, texts that were held back and are not the key after all."""
        key, mask = self._key.encode(), MASK.encode()
        if (chunk := event.chunk) is None:
            return [Event.of(event.raw.replace(key, mask))]
        before = list[Event]()
        if "choices" not in chunk:  # of the Responses API: a text goes on with the next event, or has ended
            whose = _deltas(chunk)[0][0] if _deltas(chunk) else None
            before = [rest for place in list(self._last) if place[0] != whose for rest in self._rest(place)]
        for group, shape, fields in _deltas(chunk):
            for field in fields:
                text = shape.get(field)
                place = (group, field)
                if not isinstance(text, str):
                    before += self._rest(place)
                    continue
                shape[field] = self._texts.setdefault(place, RedactedText(self._key)).feed(text)
                self._last.pop(place, None)
                if self._texts[place].waiting:
                    self._last[place] = event
        if key in event.raw or b"\\" in event.raw:  # an escape may hide it
            event.chunk = _masked(chunk, self._key)
            event.others = [line.replace(key, mask) for line in event.others]
        return [*before, event]

    def end(self) -> list[Event]:
        """Events with what still waits."""
        return [rest for place in list(self._last) for rest in self._rest(place)]

    def _rest(self, place: Place) -> list[Event]:
        """An event with the end of a text that does not go on; none if nothing of it waits."""
        if place not in self._last:
            return []
        event = self._last.pop(place)
        rest, (group, field) = self._texts[place].end(), place
        chunk = event.chunk or {}
        if "choices" in chunk:
            delta = {"index": group, "delta": {field: rest}, "finish_reason": None}
            return [event.with_chunk({**chunk, "choices": [delta]})]
        return [event.with_chunk({**chunk, "delta": rest})]


def _masked(value: Any, key: str) -> Any:
    """A value of JSON with the key masked in all of its texts."""
    if isinstance(value, str):
        return value.replace(key, MASK)
    if isinstance(value, list):
        return [_masked(part, key) for part in value]
    if isinstance(value, dict):
        return {name.replace(key, MASK): _masked(part, key) for name, part in value.items()}
    return value


def _deltas(chunk: Mapping[str, Any]) -> list[tuple[object, dict[str, Any], tuple[str, ...]]]:
    """The parts of texts in a chunk of either API: whose they are, the object, and its fields."""
    if isinstance(chunk.get("delta"), str) and isinstance(chunk, dict):
        whose = (chunk.get("type"), chunk.get("output_index"), chunk.get("content_index"))
        return [(whose, chunk, ("delta",))]
    return [
        (choice.get("index"), delta, TEXTS)
        for choice in objects(chunk.get("choices"))
        if isinstance(delta := choice.get("delta"), dict)
    ]
