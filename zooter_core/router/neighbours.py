"""The queries that a router learned from, kept in its folder: which of them are like a query, and who was best there.

`neighbours.safetensors` holds unit sentence embeddings (fp16, 2 * width bytes a query) and plain labels, and, in
folders made since they are kept, the rewards, the router's own probabilities, and a map of the queries with what places
a new one on it; `neighbours.json` holds ids, data sets and tags, and texts only where these may be passed on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from zooter_core.data.scores import Scores
from zooter_core.errors import WorkError, first_line
from zooter_core.method.projection import Projection, principal
from zooter_core.strict_json import dump_json, parse_json
from zooter_core.weights import check_readable

ARRAYS, RECORDS = "neighbours.safetensors", "neighbours.json"
COARSE = 1e-3  # of the range of rewards: fp16 may be that far off
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Neighbour:
    """A query that the router learned from.

    Attributes:
        similarity: cosine of the sentence embeddings, up to 1.
        label: candidate -> its share of the plain label.
        text: None where the router was saved without texts.
        rewards: candidate -> what it earned there; None where the router was saved without rewards.
    """

    id: str
    similarity: float
    label: Mapping[str, float]
    tags: tuple[str, ...]
    dataset: str | None
    text: str | None
    rewards: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Outcomes:
    """What else a router's folder keeps of its n queries; a folder of an older version has nothing of it.

    Attributes:
        rewards: shape (n, candidates), in the reward model's own numbers.
        probabilities: shape (n, candidates), what the finished router says of the queries it learned from.
        places: shape (n, 2), the queries on the map.
        projection: what places a sentence embedding on the same map.
    """

    rewards: Array
    probabilities: Array
    places: Array
    projection: Projection


class Neighbours:
    """n queries with their vectors, shape (n, width), labels, shape (n, candidates), and what else was kept."""

    def __init__(
        self,
        vectors: NDArray[np.floating[Any]],
        labels: NDArray[np.floating[Any]],
        candidates: Sequence[str],
        records: Sequence[Mapping[str, Any]],
        outcomes: Outcomes | None = None,
    ) -> None:
        self.outcomes = outcomes
        self.vectors, self.labels = vectors.astype(np.float32), labels.astype(np.float32)
        self.candidates, self.records = tuple(candidates), list(records)

    @classmethod
    def of(
        cls,
        learned: Scores,
        vectors: NDArray[np.floating[Any]],
        labels: NDArray[np.floating[Any]],
        texts: bool,
        probabilities: NDArray[np.floating[Any]] | None = None,
    ) -> Neighbours:
        """What is kept of training queries with their tags; their texts only if `texts`.

        With the router's `probabilities` of them, their rewards and a map of them are kept too.
        """
        records = [
            {"id": query.id, "dataset": query.dataset, "tags": list(query.tags)}
            | ({"text": query.text} if texts else {})
            for query in learned.queries
        ]
        more = None
        if probabilities is not None:
            projection = principal(vectors)
            said = probabilities.astype(np.float32)
            more = Outcomes(learned.scores.astype(np.float32), said, projection(vectors), projection)
        return cls(vectors, labels, learned.candidates, records, more)

    def save(self, folder: str | Path) -> None:
        """Write both files into a router's folder."""
        arrays: dict[str, Any] = {"vectors": self.vectors.astype(np.float16), "labels": self.labels.astype(np.float16)}
        if self.outcomes is not None:
            arrays |= {
                "rewards": _small(self.outcomes.rewards),
                "probabilities": self.outcomes.probabilities.astype(np.float16),
                "map": self.outcomes.places.astype(np.float16),
                "map_mean": self.outcomes.projection.mean,
                "map_axes": self.outcomes.projection.axes,
            }
        save_file(arrays, str(Path(folder) / ARRAYS))
        shape = {"candidates": self.candidates, "queries": self.records}
        (Path(folder) / RECORDS).write_text(dump_json(shape, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Neighbours | None:
        """Those of a router's folder; None where it keeps none.

        Raises:
            WorkError: the files are broken, or closed to this user.
        """
        path = Path(folder)
        check_readable(path, (ARRAYS, RECORDS))
        if not (path / RECORDS).is_file():
            return None
        try:
            arrays = load_file(str(path / ARRAYS))
            shape = parse_json((path / RECORDS).read_text(encoding="utf-8"))
            more = _outcomes(arrays, len(shape["queries"]), len(shape["candidates"]))
            found = cls(arrays["vectors"], arrays["labels"], shape["candidates"], shape["queries"], more)
            if not len(found.vectors) == len(found.labels) == len(found.records):
                raise ValueError("rows are missing")
            if name := next((name for name, array in arrays.items() if not np.isfinite(array).all()), None):
                raise ValueError(f"NaN or infinity in {name}")
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
            found.append(
                Neighbour(
                    record["id"],
                    float(near[row]),
                    self._named(self.labels[row]),
                    tuple(record["tags"]),
                    record["dataset"],
                    record.get("text"),
                    None if self.outcomes is None else self._named(self.outcomes.rewards[row]),
                )
            )
        return found

    def _named(self, row: Array) -> dict[str, float]:
        return dict(zip(self.candidates, row.tolist(), strict=True))

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


def _small(rewards: Array) -> NDArray[np.floating[Any]]:
    """Rewards in half the bytes, where that changes them by next to nothing: scores of millions stay as they are."""
    exact = rewards.astype(np.float64)
    with np.errstate(over="ignore"):
        half = rewards.astype(np.float16)
    same = np.abs(half - exact).max(initial=0.0) <= COARSE * np.ptp(exact)
    return half if same else rewards


def _outcomes(arrays: Mapping[str, NDArray[np.floating[Any]]], queries: int, candidates: int) -> Outcomes | None:
    """Of a folder's arrays what older folders do not have.

    Raises:
        KeyError, ValueError: some of it is missing or of another shape.
    """
    if "rewards" not in arrays:
        return None
    names = ("rewards", "probabilities", "map", "map_mean", "map_axes")
    rewards, probabilities, places, mean, axes = (arrays[name].astype(np.float32) for name in names)
    width = arrays["vectors"].shape[1]
    if rewards.shape != (queries, candidates) or probabilities.shape != (queries, candidates):
        raise ValueError("rewards or probabilities are missing")
    if places.shape != (queries, 2) or mean.shape != (width,) or axes.shape != (width, 2):
        raise ValueError("the map is broken")
    return Outcomes(rewards, probabilities, places, Projection(mean, axes))
