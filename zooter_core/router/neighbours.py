"""The training queries in a router's folder: which of them are similar to a query, and which candidates were best.

`neighbours.safetensors` holds the encoder's vectors, plain labels, rewards, the router's probabilities, and a map of
the queries. `neighbours.json` holds ids, data sets and tags. It holds texts only if they may be shared.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from zooter_core.base.errors import ZooterError, loading
from zooter_core.base.records import Query
from zooter_core.base.strict_json import dump_json, of_type, parse_json
from zooter_core.data.scores import Scores
from zooter_core.method import selection
from zooter_core.method.labels import tag_priors
from zooter_core.method.tags import TagIndex
from zooter_core.router.head import replacing_step
from zooter_core.router.router import restrict_rows

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Projection:
    """A linear map onto a plane: (vector - mean) @ axes."""

    mean: Array  # shape (width,)
    axes: Array  # shape (width, 2), orthonormal; the first is the direction of the largest variance

    def __call__(self, vectors: NDArray[np.floating[Any]]) -> Array:
        """The positions on the map, shape (..., 2), of vectors of shape (..., width)."""
        return np.asarray((vectors - self.mean) @ self.axes, dtype=np.float32)


def principal(vectors: NDArray[np.floating[Any]]) -> Projection:
    """The map onto the two principal axes of n vectors, shape (n, width), with n and width at least 1.

    The axes are eigenvectors of the covariance matrix, whose size does not grow with n. The sign of an axis is chosen
    so that its largest component is positive; thus the same vectors always give the same map. An axis without variance
    is zero.
    """
    values = np.asarray(vectors, dtype=np.float64)
    mean = values.mean(axis=0)
    centred = values - mean
    _, strengths, rows = np.linalg.svd(centred.T @ centred)
    axes = np.zeros((values.shape[1], 2))
    for number, (strength, row) in enumerate(zip(strengths[:2], rows[:2], strict=True)):
        if strength > 1e-12 * max(strengths[0], 1e-12):
            axes[:, number] = row * np.sign(row[np.abs(row).argmax()])
    return Projection(mean.astype(np.float32), axes.astype(np.float32))


ARRAYS, RECORDS = "neighbours.safetensors", "neighbours.json"
LEARNED = "learned.npy"  # in a router's folder: the hashes of all its training texts
MOST = 20_000  # training queries that a router stores
AT_ONCE = 1 << 10  # queries whose similarities to all stored queries are in memory at once
SAMPLE = 300  # stored queries whose expected gains are compared with those of new queries


@dataclass(frozen=True)
class Neighbour:
    """A training query of the router."""

    id: str
    similarity: float  # cosine of the sentence embeddings, up to 1
    label: Mapping[str, float]  # candidate -> its probability in the plain label
    tags: tuple[str, ...]
    dataset: str | None
    text: str | None  # None if the router was saved without texts
    rewards: Mapping[str, float]  # candidate -> its reward; without missing rewards


@dataclass(frozen=True)
class Neighbours:
    """n training queries of a router for N candidates."""

    candidates: tuple[str, ...]
    queries: Sequence[Query]  # with empty texts if the router was saved without texts
    vectors: Array  # unit sentence embeddings, shape (n, width)
    labels: Array  # plain labels, shape (n, N)
    rewards: NDArray[np.float64]  # shape (n, N), on the reward model's scale; NaN where a reward is missing
    probabilities: Array  # the router's probabilities, shape (n, N)
    places: Array  # the queries' positions on the map, shape (n, 2)
    projection: Projection  # maps a sentence embedding onto the same plane
    # The encoder's vectors of a middle layer, shape (n, width). They predict better than sentence embeddings for which
    # queries models perform similarly. None in older folders.
    middle: Array | None = None

    @classmethod
    def of(
        cls,
        learned: Scores,
        vectors: NDArray[np.floating[Any]],
        labels: NDArray[np.floating[Any]],
        probabilities: NDArray[np.floating[Any]],
        texts: bool = False,
        middle: NDArray[np.floating[Any]] | None = None,
    ) -> Neighbours:
        """The training queries `learned` with their tags and rewards, and with their texts if `texts` is true."""
        queries = [replace(query, text=query.text if texts else "", key=None) for query in learned.queries]
        projection = principal(vectors)
        return cls(
            learned.candidates,
            queries,
            vectors=vectors.astype(np.float32),
            labels=labels.astype(np.float32),
            rewards=learned.scores,
            probabilities=probabilities.astype(np.float32),
            places=projection(vectors),
            projection=projection,
            middle=None if middle is None else middle.astype(np.float32),
        )

    def save(self, folder: str | Path) -> None:
        """Write both files into a router's folder."""
        half = {"vectors": self.vectors, "labels": self.labels, "probabilities": self.probabilities, "map": self.places}
        if self.middle is not None:
            half["middle"] = self.middle
        arrays: dict[str, Any] = {name: array.astype(np.float16) for name, array in half.items()}
        arrays |= {"rewards": self.rewards, "map_mean": self.projection.mean, "map_axes": self.projection.axes}
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, str(Path(folder) / ARRAYS))
        lines = [
            {key: value for key, value in query.to_json().items() if value or key != "text"} for query in self.queries
        ]
        shape = {"candidates": self.candidates, "queries": lines}
        (Path(folder) / RECORDS).write_text(dump_json(shape, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Neighbours | None:
        """The training queries in a router's folder; None if it has none.

        Raises:
            WorkError: the files are damaged or not readable.
        """
        path = Path(folder)
        if not (path / RECORDS).is_file():
            return None
        with loading(f"complete neighbours in {path}", replacing_step(path)):
            stored = load_file(str(path / ARRAYS))
            exact = {"rewards": np.float64}
            arrays = {name: array.astype(exact.get(name, np.float32)) for name, array in stored.items()}
            shape = parse_json((path / RECORDS).read_text(encoding="utf-8"))
            candidates = of_type(tuple[str, ...], shape["candidates"])
            queries = of_type(list[Query], [{"text": ""} | record for record in shape["queries"]])
            if arrays["rewards"].shape != (len(queries), len(candidates)):
                raise ValueError("rewards of other queries or candidates than are listed")
            projection = Projection(arrays.pop("map_mean"), arrays.pop("map_axes"))
            places = arrays.pop("map")
            if (missing := arrays.pop("missing", None)) is not None:  # of version 0.2
                arrays["rewards"][missing > 0] = np.nan
            return cls(candidates, queries, **arrays, places=places, projection=projection)

    def for_pool(self, pool: Sequence[str], routed_as: Sequence[str]) -> Neighbours | None:
        """The queries for another pool, as in `DistilledRouter.for_pool`.

        Candidates of the pool that have not answered the queries are left out; None if all of them have not.
        """
        learned = {name: as_ for name, as_ in zip(pool, routed_as, strict=True) if as_ in self.candidates}
        if tuple(learned) == tuple(learned.values()) == self.candidates:
            return self
        if not learned:
            return None
        columns = [self.candidates.index(name) for name in learned.values()]
        return replace(
            self,
            candidates=tuple(learned),
            labels=restrict_rows(self.labels, columns).astype(np.float32),
            rewards=self.rewards[:, columns],
            probabilities=restrict_rows(self.probabilities, columns).astype(np.float32),
        )

    def nearest(self, vector: NDArray[np.floating[Any]], count: int = 10) -> list[Neighbour]:
        """The training queries that are most similar to a unit sentence embedding, shape (width,)."""
        rows = self.nearest_rows(vector, count)
        similarities = self.vectors[rows] @ np.asarray(vector, dtype=np.float32)
        return list(map(self._neighbour, rows, similarities.tolist()))

    def _neighbour(self, row: int, similarity: float) -> Neighbour:
        query, rewards = self.queries[row], self._by_name(self.rewards[row])
        return Neighbour(
            query.id,
            similarity,
            self._by_name(self.labels[row]),
            query.tags,
            query.dataset,
            query.text or None,
            {name: reward for name, reward in rewards.items() if not math.isnan(reward)},
        )

    def nearest_rows(self, vector: NDArray[np.floating[Any]], count: int = 10) -> list[int]:
        """The row numbers of the training queries that `nearest` returns, in the same order."""
        similarities = self.vectors @ np.asarray(vector, dtype=np.float32)
        return [int(row) for row in np.argsort(-similarities, kind="stable")[:count]]

    def gain_ranks(self, vectors: Array, columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """The rank of each query's expected gain from several responses instead of one, among the stored queries.

        A rank of 0.8 means that the expected gain (`selection.expected_gains`) is larger than for 80% of the stored
        queries.

        Args:
            vectors: the encoder's vectors of m queries, shape (m, 2 * width).
            columns: the indices of the candidates that would answer, the router's choice first, shape (m, k).

        Returns:
            Ranks in [0, 1], shape (m,).
        """
        count = columns.shape[1]
        if count not in self._usual_gains:
            rows = np.sort(np.random.default_rng(0).permutation(len(self.vectors))[:SAMPLE])
            middle = self.vectors if self.middle is None else self.middle
            similarities = self._similarities(np.hstack([middle[rows], self.vectors[rows]]))
            similarities[np.arange(len(rows)), rows] = -np.inf  # exclude the query itself
            usual = selection.ranking(self.probabilities[rows].astype(np.float64))[:, :count]
            self._usual_gains[count] = np.sort(selection.expected_gains(similarities, self.rewards, usual))
        parts = [slice(first, first + AT_ONCE) for first in range(0, len(vectors), AT_ONCE)]
        gains = [selection.expected_gains(self._similarities(vectors[p]), self.rewards, columns[p]) for p in parts]
        usual_gains = self._usual_gains[count]
        return np.searchsorted(usual_gains, np.concatenate(gains)) / len(usual_gains)

    @cached_property
    def _usual_gains(self) -> dict[int, NDArray[np.float64]]:
        """Number of responses -> the sorted expected gains on a sample of the stored queries."""
        return {}

    def _similarities(self, vectors: Array) -> NDArray[np.float64]:
        """Similarities of vectors of the encoder, shape (m, 2 * width), to all stored queries, shape (m, n)."""
        width = self.vectors.shape[1]
        similarities = vectors[:, width:] @ self.vectors.T
        if self.middle is not None:
            similarities += vectors[:, :width] @ self.middle.T
        return similarities.astype(np.float64)

    def _by_name(self, row: NDArray[np.floating[Any]]) -> dict[str, float]:
        return dict(zip(self.candidates, row.tolist(), strict=True))

    def tag_shares(self) -> dict[str, tuple[int, dict[str, float]]]:
        """Tag -> its number of queries, and each candidate's mean label over them (tag prior: paper, section 3.3)."""
        index = TagIndex.of(query.tags for query in self.queries)
        rows = zip(index.names, index.counts.tolist(), tag_priors(self.labels.astype(np.float64), index), strict=True)
        return {tag: (count, self._by_name(prior)) for tag, count, prior in rows}

    def share(self, candidate: str) -> float:
        """A candidate's mean label over all queries."""
        return float(self.labels[:, self.candidates.index(candidate)].mean())

    def scores(self) -> Scores:
        """The training queries whose texts are stored, with their rewards as scores.

        Their ids differ from those in the run, because the id decides whether a query is held back, and none of these
        queries was.

        Raises:
            ZooterError: no text is stored.
        """
        rows = [row for row, query in enumerate(self.queries) if query.text]
        if not rows:
            raise ZooterError(
                "training queries with their texts in the router's folder",
                "none" if not self.queries else "queries without texts",
                "Take the score file that the router was trained on.",
            )
        queries = [replace(self.queries[row], id=f"kept-{self.queries[row].id}") for row in rows]
        return Scores(tuple(queries), self.candidates, self.rewards[rows])


def text_hashes(texts: Iterable[str]) -> NDArray[np.uint64]:
    """The 64-bit hash of each text without leading and trailing white space."""
    digests = b"".join(
        hashlib.blake2b(text.strip().encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts
    )
    return np.frombuffer(digests, dtype="<u8")


def familiar_rows(queries: Sequence[Query], folder: Path) -> NDArray[np.bool_] | None:
    """A mask of the queries that the router in a folder was trained on; None if the folder does not record them."""
    try:
        learned = np.load(folder / LEARNED, allow_pickle=False)
    except Exception:  # an older router, or a damaged file
        return None
    if learned.dtype != np.uint64 or learned.ndim != 1:
        return None
    return np.isin(text_hashes(query.text for query in queries), learned)


def in_sample_note(queries: Sequence[Query], folder: Path) -> str:
    """A warning for a router that is evaluated on some of its training queries; "" if there are none."""
    rows = familiar_rows(queries, folder)
    if rows is None or not rows.any():
        return ""
    share = f"{rows.sum():,} of these {len(rows):,} queries"
    return f"The router has learned from {share}, so it looks better here than it is. Use other queries."


def sample_rows(tags: TagIndex, most: int = MOST, seed: int = 0) -> NDArray[np.intp]:
    """Sorted row numbers of at most `most` queries: a random sample that includes rare tags.

    The weight of a query is 1 / (number of queries with its rarest tag). Sampling is without replacement (Efraimidis
    and Spirakis, 2006).
    """
    if len(tags) <= most:
        return np.arange(len(tags))
    counts = np.append(tags.counts, len(tags))  # queries without tags count as if they had a tag that all queries have
    codes = np.append(tags.codes, len(counts) - 1)
    sizes = np.minimum.reduceat(counts[codes], tags.starts[:-1])
    sizes = np.where(tags.sizes > 0, sizes, len(tags))
    keys = np.random.default_rng(seed).exponential(size=len(tags)) * sizes
    return np.sort(np.argpartition(keys, most)[:most])
