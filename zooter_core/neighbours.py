"""The queries that a router learned from, kept in its folder: which of them are like a query, and who was best there.

`neighbours.safetensors` holds unit sentence embeddings (fp16, 2 * width bytes a query) and plain labels;
`neighbours.json` their ids, data sets and tags, and their texts only where these may be passed on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from zooter_core.errors import WorkError, first_line
from zooter_core.scores import Scores

ARRAYS, RECORDS = "neighbours.safetensors", "neighbours.json"


@dataclass(frozen=True)
class Neighbour:
    """A query that the router learned from.

    Attributes:
        similarity: cosine of the sentence embeddings, up to 1.
        label: candidate -> its share of the plain label.
        text: None where the router was saved without texts.
    """

    id: str
    similarity: float
    label: Mapping[str, float]
    tags: tuple[str, ...]
    dataset: str | None
    text: str | None


class Neighbours:
    """n queries with their vectors, shape (n, width), and labels, shape (n, candidates)."""

    def __init__(
        self,
        vectors: NDArray[np.floating[Any]],
        labels: NDArray[np.floating[Any]],
        candidates: Sequence[str],
        records: Sequence[Mapping[str, Any]],
    ) -> None:
        self.vectors, self.labels = vectors.astype(np.float32), labels.astype(np.float32)
        self.candidates, self.records = tuple(candidates), list(records)

    @classmethod
    def of(
        cls, learned: Scores, vectors: NDArray[np.floating[Any]], labels: NDArray[np.floating[Any]], texts: bool
    ) -> Neighbours:
        """What is kept of training queries with their tags; their texts only if `texts`."""
        records = [
            {"id": query.id, "dataset": query.dataset, "tags": list(query.tags)}
            | ({"text": query.text} if texts else {})
            for query in learned.queries
        ]
        return cls(vectors, labels, learned.candidates, records)

    def save(self, folder: str | Path) -> None:
        """Write both files into a router's folder."""
        arrays = {"vectors": self.vectors.astype(np.float16), "labels": self.labels.astype(np.float16)}
        save_file(arrays, str(Path(folder) / ARRAYS))
        shape = {"candidates": self.candidates, "queries": self.records}
        (Path(folder) / RECORDS).write_text(json.dumps(shape, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Neighbours | None:
        """Those of a router's folder; None where it keeps none.

        Raises:
            WorkError: the files are broken.
        """
        path = Path(folder)
        if not (path / RECORDS).is_file():
            return None
        try:
            arrays = load_file(str(path / ARRAYS))
            shape = json.loads((path / RECORDS).read_text(encoding="utf-8"))
            found = cls(arrays["vectors"], arrays["labels"], shape["candidates"], shape["queries"])
            if not len(found.vectors) == len(found.labels) == len(found.records):
                raise ValueError("rows are missing")
        except Exception as problem:  # json and safetensors raise many kinds
            raise WorkError(
                f"whole neighbours in {path}", first_line(problem), "Make the router again with `zooter distill`."
            ) from problem
        return found

    def nearest(self, vector: NDArray[np.floating[Any]], count: int = 10) -> list[Neighbour]:
        """The training queries most like a query with this unit sentence embedding, shape (width,)."""
        near = self.vectors @ np.asarray(vector, dtype=np.float32)
        found = []
        for row in np.argsort(-near, kind="stable")[:count].tolist():
            record = self.records[row]
            label = dict(zip(self.candidates, map(float, self.labels[row]), strict=True))
            found.append(
                Neighbour(
                    record["id"], float(near[row]), label, tuple(record["tags"]), record["dataset"], record.get("text")
                )
            )
        return found

    def tag_shares(self) -> dict[str, tuple[int, dict[str, float]]]:
        """Tag -> how many queries carry it, and each candidate's mean label there: its prior (paper, section 3.3)."""
        rows: dict[str, list[int]] = {}
        for row, record in enumerate(self.records):
            for tag in dict.fromkeys(record["tags"]):
                rows.setdefault(tag, []).append(row)
        return {
            tag: (len(own), dict(zip(self.candidates, self.labels[own].mean(axis=0).tolist(), strict=True)))
            for tag, own in rows.items()
        }

    def share(self, candidate: str) -> float:
        """A candidate's mean label over all queries."""
        return float(self.labels[:, self.candidates.index(candidate)].mean())
