"""Backend `recorded`: replays responses from a score file or a run folder, so that published outputs can be a fleet.

Only queries of the file can be answered; differences in white space do not matter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zooter_core.backends import Backend, Piece, Request
from zooter_core.backends.conversation import last_query
from zooter_core.backends.growing_answer import StopTexts
from zooter_core.backends.thoughts import split, still_thinking
from zooter_core.base.errors import ZooterError, listed, one_line
from zooter_core.base.records import Response
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.json_records import each_record
from zooter_core.data.score_records import score_records
from zooter_core.data.scores import read_query, read_responses

SHOWN = 80  # characters of a query in a message


@dataclass
class Recording:
    """The responses in a file: query with single spaces -> candidate -> its texts, in the order of the file."""

    path: Path
    texts: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def add(self, query: str, candidate: str, text: str) -> None:
        self.texts.setdefault(single_spaced(query), {}).setdefault(candidate, []).append(text)

    def of(self, candidate: str) -> list[str]:
        """The queries to which a candidate has a response.

        Raises:
            ZooterError: there are no such queries.
        """
        if queries := [query for query, texts in self.texts.items() if candidate in texts]:
            return queries
        names = dict.fromkeys(name for texts in self.texts.values() for name in texts)
        raise ZooterError(
            f"responses of {candidate} in {self.path}",
            f"responses of {listed(names) or 'no candidate'} only",
            "Use the candidate's name in the file.",
        )

    def look_up(self, query: str, candidate: str, number: int) -> str:
        """A candidate's response to a query.

        Args:
            number: selects one of several responses, modulo their number.

        Raises:
            ZooterError: the file has no such response; the message names a query that has one.
        """
        if texts := self.texts.get(single_spaced(query), {}).get(candidate):
            return texts[number % len(texts)]
        queries = self.of(candidate)
        raise ZooterError(
            f"a recorded response of {candidate} ({len(queries):,} in {self.path.name})",
            f'no response to "{one_line(query, SHOWN)}"',
            f'The first query is "{one_line(queries[0], SHOWN)}".',
        )


class RecordedBackend(Backend):
    """Replays recorded responses. Each file is read once."""

    independent = True

    def __init__(self) -> None:
        self._recordings: dict[str, Recording] = {}
        self._lock = threading.Lock()

    def load(self, candidate: CandidateConfig) -> None:
        """Check that the file has responses of the candidate."""
        self._recording(candidate).of(candidate.name)

    def trial(self, candidate: CandidateConfig) -> str:
        """The first query to which the candidate has a response."""
        return self._recording(candidate).of(candidate.name)[0]

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """Yield the recorded responses, each in one piece."""
        for request in requests:
            if stop.is_set():
                yield Piece.stopped(request)
                continue
            started, name = time.perf_counter(), request.candidate.name
            seed = generation.seed if request.seed is None else request.seed
            try:
                recorded = self._recording(request.candidate).look_up(last_query(request.messages), name, seed)
            except ZooterError as problem:
                yield Piece.failed(request, problem, "refused")
                continue
            parts, stops = split(recorded), StopTexts(request.stop)
            text = stops.feed(parts.text) + stops.waiting
            seconds, thought_words = time.perf_counter() - started, len(parts.thoughts.split())
            response = Response(
                name,
                text,
                tokens=len(text.split()) + thought_words,  # the file does not name a tokenizer
                seconds=seconds,
                first_token_seconds=seconds if text else None,
                finish="refused" if parts.unfinished else "stop",
                error=still_thinking(name, 0).failure if parts.unfinished else None,
                thoughts=parts.thoughts,
                thought_tokens=thought_words,
            )
            yield Piece(request, text, response, thoughts=parts.thoughts, stop_text=stops.match)

    def _recording(self, candidate: CandidateConfig) -> Recording:
        with self._lock:
            if candidate.model not in self._recordings:
                self._recordings[candidate.model] = read(Path(candidate.model))
            return self._recordings[candidate.model]


def read(path: Path) -> Recording:
    """Read a score file with `responses`, or a run folder with queries and responses.

    Raises:
        ZooterError: the file or folder does not exist, has an invalid line, or has no responses.
    """
    recording = Recording(path)
    if path.is_dir():
        queries = {record.get("id"): str(record.get("text")) for _, record in each_record(path / "queries.jsonl")}
        for _, record in each_record(path / "responses.jsonl"):
            if record.get("error") is None and record.get("id") in queries:
                recording.add(queries[record["id"]], str(record.get("candidate")), str(record.get("text")))
    else:
        for _, place, record in score_records([path]):
            query = read_query(place, record, "").text
            for name, text in read_responses(place, record).items() if "responses" in record else ():
                recording.add(query, name, text)
    if not recording.texts:
        raise ZooterError(f"responses in {path}", "none", "Name a score file with responses, or a run folder.")
    return recording


def single_spaced(text: str) -> str:
    """The text with single spaces, and without white space at both ends."""
    return " ".join(text.split())
