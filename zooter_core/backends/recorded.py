"""Backend `recorded`: responses that exist already, from a score file or a run folder: published outputs as a fleet.

A query is looked up as it stands, but for white space; one that is not there is told with the nearest that is.
"""

from __future__ import annotations

import difflib
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zooter_core.backends import Piece, Request
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.scores import each_query, read_lines, read_responses
from zooter_core.errors import ZooterError, listed
from zooter_core.records import Response

WORDS = 4  # a piece
MOST_COMPARED, COMPARED, SHOWN = 2000, 120, 80  # queries gone through for a near one; characters compared, and shown


@dataclass
class Recording:
    """A file's responses: query without superfluous white space -> candidate -> its texts, in the file's order."""

    path: Path
    texts: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def add(self, query: str, candidate: str, text: str) -> None:
        self.texts.setdefault(plain(query), {}).setdefault(candidate, []).append(text)

    def of(self, candidate: str) -> list[str]:
        """The queries with a response of a candidate.

        Raises:
            ZooterError: there is none.
        """
        if found := [query for query, texts in self.texts.items() if candidate in texts]:
            return found
        names = dict.fromkeys(name for texts in self.texts.values() for name in texts)
        raise ZooterError(
            f"responses of {candidate} in {self.path}",
            f"none; it holds those of {listed(names) or 'nobody'}",
            "Name the candidate as the file does.",
        )

    def look_up(self, query: str, begun: str, candidate: str, number: int) -> str:
        """A candidate's response to a query; of several, by turns, the one with this number.

        Where an answer has begun, what follows that beginning in the first response that has it.

        Raises:
            ZooterError: the file has none; the message names the nearest query that it has.
        """
        texts = self.texts.get(plain(query), {}).get(candidate)
        if texts and begun:
            return self._rest(texts, begun, candidate)
        if texts:
            return texts[number % len(texts)]
        known = self.of(candidate)
        starts = {entry[:COMPARED]: entry for entry in known[:MOST_COMPARED]}
        near = difflib.get_close_matches(plain(query)[:COMPARED], starts, n=1, cutoff=0.5)
        kind = "The nearest" if near else "The first"
        raise ZooterError(
            f"one of the {len(known):,} queries to which {self.path.name} has a response of {candidate}",
            f'"{_short(query)}"',
            f'{kind} is "{_short(near[0] if near else known[0])}".',
        )

    def _rest(self, texts: Sequence[str], begun: str, candidate: str) -> str:
        for text in texts:
            if text.startswith(begun):
                return text[len(begun) :]
        raise ZooterError(
            f"the beginning of a response of {candidate} in {self.path.name}",
            f'"{_short(begun)}"',
            "Ask the query anew: a recorded response can only go on as it was recorded.",
        )


class RecordedBackend:
    """Recordings by path, each read once."""

    independent = True
    turns = None

    def __init__(self) -> None:
        self._recordings: dict[str, Recording] = {}
        self._lock = threading.Lock()

    def load(self, candidate: CandidateConfig) -> None:
        self._recording(candidate).of(candidate.name)

    def trial(self, candidate: CandidateConfig) -> str:
        """The first query to which there is a response."""
        return self._recording(candidate).of(candidate.name)[0]

    def sizes(self) -> Mapping[object, int]:
        return {}

    def spare(self) -> None:
        pass

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        for request in requests:
            begun, name = time.perf_counter(), request.candidate.name
            seed = generation.seed if request.seed is None else request.seed
            try:
                whole = self._recording(request.candidate).look_up(*_asked(request), name, seed)
            except ZooterError as problem:
                yield Piece.failed(request, problem, "refused")
                continue
            words = re.findall(r"\S+\s*|\s+", whole)
            first = time.perf_counter() - begun
            come = 0
            while come < len(words) and not stop.is_set():
                yield Piece(request, "".join(words[come : come + WORDS]))
                come = min(come + WORDS, len(words))
            yield Piece(
                request,
                response=Response(
                    name,
                    "".join(words[:come]),
                    tokens=come,  # words, as good as it gets without the candidate's tokenizer
                    seconds=time.perf_counter() - begun,
                    first_token_seconds=first if come else None,
                    finish="stop" if come == len(words) else "stopped",
                ),
            )

    def _recording(self, candidate: CandidateConfig) -> Recording:
        with self._lock:
            if candidate.model not in self._recordings:
                self._recordings[candidate.model] = read(Path(candidate.model))
            return self._recordings[candidate.model]


def read(path: Path) -> Recording:
    """A score file with `responses`, or a run folder with queries and responses.

    Raises:
        ZooterError: there is no such file or folder, a line is wrong, or there is no response in it.
    """
    made = Recording(path)
    if path.is_dir():
        queries = {record.get("id"): str(record.get("text")) for _, record in read_lines(path / "queries.jsonl")}
        for place, record in read_lines(path / "responses.jsonl"):
            query, name, text = (record.get(key) for key in ("id", "candidate", "text"))
            if query not in queries or not isinstance(name, str) or not isinstance(text, str):
                raise ZooterError(
                    f"a response to one of the run's queries in {place}", repr(record)[:60], "Name another run."
                )
            if record.get("error") is None:
                made.add(queries[query], name, text)
    else:
        for place, record, asked in each_query(path):
            for name, text in read_responses(place, record).items() if "responses" in record else ():
                made.add(asked.text, name, text)
    if not made.texts:
        raise ZooterError(f"responses in {path}", "none", "Name a score file with responses, or a run folder.")
    return made


def _asked(request: Request) -> tuple[str, str]:
    """The query of a request, and how its answer begins."""
    last = request.messages[-1]
    if last.role != "assistant":
        return last.content, ""
    return next((m.content for m in reversed(request.messages) if m.role == "user"), ""), last.content


def plain(text: str) -> str:
    """A text with each run of white space as one space, and none around."""
    return " ".join(text.split())


def _short(text: str) -> str:
    line = plain(text)
    return line if len(line) <= SHOWN else line[: SHOWN - 3] + "..."
