"""Decides which candidate should answer, with topics, router and tagger.

A conversation is reduced to the text that it is about now (`router.turns`). Router and tagger read that text, in one
pass if they have the same encoder. Prices count as set in fleet.toml (data/prices.py), unless a caller overrides that.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from zooter_core.base.records import Decision, Tag
from zooter_core.labelling.taggers import Tagger
from zooter_core.router.router import Router
from zooter_core.router.turns import SmallTalk, Topics

MOST_REMEMBERED = 4096  # texts; their rows take about three megabytes

Turns = Sequence[str]  # the user's texts in a conversation, oldest first
Row = tuple[list[float], tuple[Tag, ...]]  # a text's probabilities in pool order, and its tags


class Routing:
    """Conversations -> decisions (paper, section 3.2). Any number of threads may call it.

    Attributes:
        tagger: the tagger; None if decisions have no tags.
        weigh: applies prices to a decision by probability.
        memory: hash of a recent text -> its row. A tool loop, or a page that is drawn again, asks for the same text
            repeatedly.
    """

    def __init__(
        self,
        router: Router,
        tagger: Tagger | None,
        pool: Sequence[str],
        weigh: Callable[[Decision], Decision] = lambda decision: decision,
    ) -> None:
        self.tagger, self.weigh, self.memory = tagger, weigh, OrderedDict[bytes, Row]()
        self._router, self._pool, self._lock = router, tuple(pool), threading.Lock()
        self._small_talk = SmallTalk(router.encoder)
        self._order = [router.candidates.index(name) for name in pool]

    def __call__(self, conversations: Sequence[Turns]) -> list[Decision]:
        """The decisions on conversations, in one batch."""
        topics = Topics(conversations, self._small_talk)
        rows = self._rows(topics.texts)
        decisions = []
        for n in topics.rows([max(probabilities) for probabilities, _ in rows]):
            probabilities, tags = rows[n]
            by_name = dict(zip(self._pool, probabilities, strict=True))
            decisions.append(self.weigh(Decision.of(topics.texts[n], by_name, tags)))
        return decisions

    def _rows(self, texts: Sequence[str]) -> list[Row]:
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        with self._lock:
            rows = {key: self.memory[key] for key in keys if key in self.memory}
        if missing := {key: text for key, text in zip(keys, texts, strict=True) if key not in rows}:
            rows.update(zip(missing, self._compute(list(missing.values())), strict=True))
        with self._lock:
            for key in keys:
                self.memory[key] = rows[key]
                self.memory.move_to_end(key)
            while len(self.memory) > MOST_REMEMBERED:
                self.memory.popitem(last=False)
        return [rows[key] for key in keys]

    def _compute(self, texts: Sequence[str]) -> list[Row]:
        probabilities = self._router.probabilities(texts)[:, self._order]
        tags = self.tagger.tag(texts) if self.tagger else [()] * len(texts)
        return list(zip(probabilities.tolist(), tags, strict=True))
