"""Generation that outlives a page's run: a thread writes what comes, a page reads it whenever it is drawn again."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from zooter_core.errors import ZooterError
from zooter_core.records import Message, Ranked, Response

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble


class Job:
    """Candidates answering one conversation, and their ranking where it is asked for.

    Attributes:
        texts: candidate -> what has come so far.
        responses: candidate -> its whole response, once it has ended.
        ranked: the responses by reward, once all have ended.
        problem: why the job as a whole failed.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        candidates: Sequence[str],
        messages: Sequence[Message],
        *,
        rank: bool = False,
        retry: int = 0,
    ) -> None:
        self.candidates = tuple(candidates)
        self.texts = dict.fromkeys(self.candidates, "")
        self.responses: dict[str, Response] = {}
        self.ranked: list[Ranked] | None = None
        self.problem: str | None = None
        self._ensemble, self._messages, self._rank = ensemble, tuple(messages), rank
        base = ensemble.fleet.generation
        self._generation = replace(base, seed=base.seed + retry)  # else an answer made again would be the same
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="job", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        """End generation at the next token; what has come is kept. A short wait lets a page show the end at once."""
        self._stop.set()
        self.wait(0.25)

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the end, for tests and for whoever needs the whole."""
        self._thread.join(seconds)

    def _work(self) -> None:
        try:
            for piece in self._ensemble.answer(self.candidates, self._messages, self._stop, self._generation):
                name = self.candidates[piece.index]
                self.texts[name] += piece.text
                if piece.response is not None:
                    self.responses[name] = piece.response
            if self._rank:
                ended = [self.responses[name] for name in self.candidates]
                self.ranked = self._ensemble.rank(self._messages[-1].content, ended)
        except ZooterError as problem:
            self.problem = str(problem)
        except Exception as problem:  # shown on the page: a thread has nobody else to tell
            self.problem = f"The answer failed: {type(problem).__name__}: {problem}"
