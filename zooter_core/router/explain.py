"""Why a candidate was chosen: how the query's words, its tags and similar training queries contribute."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from zooter_core.base.records import Decision
from zooter_core.router.router import Router

if TYPE_CHECKING:
    from zooter_core.router.neighbours import Neighbour, Neighbours

MOST_PIECES = 40  # queries with more words are split into longer pieces
SENTENCE = re.compile(r"\S.*?(?:[.!?:;](?=\s)|\n|$)", re.DOTALL)


@dataclass(frozen=True)
class QueryPart:
    """A part of the query. `contribution` is how much the chosen candidate's probability falls without this part."""

    text: str
    contribution: float


@dataclass(frozen=True)
class TagShare:
    """A tag of the query. `contribution` is the chosen candidate's mean label over queries with this tag, minus its
    overall mean label."""

    name: str
    queries: int
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """Reasons for a decision: pieces and tags in the query's order, neighbours by similarity."""

    candidate: str
    pieces: list[QueryPart]
    tags: list[TagShare]
    neighbours: list[Neighbour]

    def to_json(self) -> dict[str, Any]:
        shape: dict[str, Any] = _rounded(asdict(self))
        del shape["candidate"]
        return shape


def _rounded(value: Any) -> Any:
    """The value, in which all numbers are rounded to 4 decimals."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def explain(router: Router, decision: Decision, neighbours: Neighbours | None = None, count: int = 10) -> Explanation:
    """The reasons for a decision, from one batch of the router.

    The router is run without each word or sentence in turn (occlusion: Zeiler and Fergus, 2014, arXiv 1311.2901,
    section 4.2). Tags and neighbours come from the router's training queries, if its folder contains them.
    """
    chosen = router.candidates.index(decision.candidate)
    parts = split_query(decision.query)
    texts = [decision.query, *(decision.query[:start] + decision.query[end:] for start, end in parts)]
    texts = [text if text.strip() else " " for text in texts]
    complete, *shorter = router.probabilities(texts)[:, chosen].tolist()
    pieces = [
        QueryPart(decision.query[start:end].strip(), complete - value)
        for (start, end), value in zip(parts, shorter, strict=True)
    ]
    tags: list[TagShare] = []
    near: list[Neighbour] = []
    if neighbours is not None:
        if decision.candidate in neighbours.candidates:  # otherwise it joined the pool after the training
            shares, mean = neighbours.tag_shares(), neighbours.share(decision.candidate)
            tags = [
                TagShare(tag.name, shares[tag.name][0], shares[tag.name][1][decision.candidate] - mean)
                for tag in decision.tags
                if tag.name in shares
            ]
        near = neighbours.nearest(router.encoder.sentence(router.encoder.embed(texts))[0], count)  # from the same pass
    return Explanation(decision.candidate, pieces, tags, near)


def split_query(query: str) -> Sequence[tuple[int, int]]:
    """Start and end of the parts of a query: its words, or its sentences if there are too many words.

    A single long sentence is split into runs of words, so that there are never more than MOST_PIECES parts.
    """
    words = [match.span() for match in re.finditer(r"\S+", query)]
    if len(words) <= MOST_PIECES:
        return words
    sentences = [match.span() for match in SENTENCE.finditer(query)]
    if 1 < len(sentences) <= MOST_PIECES:
        return sentences
    step = -(-len(words) // MOST_PIECES)
    return [(words[at][0], words[min(at + step, len(words)) - 1][1]) for at in range(0, len(words), step)]
