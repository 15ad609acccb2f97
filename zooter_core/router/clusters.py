"""Clusters queries by k-means on their vectors, and names the clusters. They serve as tags if a score file has none."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.cores import one_thread
from zooter_core.method.tags import TagIndex
from zooter_core.router.kinds.arrays import Array, unit

WORD = re.compile(r"[^\W\d_]{3,30}")
WORDS_IN_NAME = 3
NUMBER = re.compile(r" \(\d+\)$")  # distinguishes a cluster from an earlier one with the same words
TEXTS_READ = 10_000  # queries whose words are counted
CHARACTERS_READ = 500  # characters per query
LEAST_SHARING = 2  # queries of a cluster that must contain a word of its name


def name_clusters(clusters: TagIndex, texts: Sequence[str]) -> TagIndex:
    """The clusters with names such as "python · function · list". A cluster without typical words keeps its number."""
    step = -(-len(texts) // TEXTS_READ) or 1
    overall: Counter[str] = Counter()
    within: list[Counter[str]] = [Counter() for _ in clusters.names]
    sizes: Counter[int] = Counter()
    for row in range(0, len(texts), step):
        words = set(WORD.findall(texts[row][:CHARACTERS_READ].lower()))
        overall.update(words)
        for code in clusters.codes[clusters.starts[row] : clusters.starts[row + 1]].tolist():
            within[code].update(words)
            sizes[code] += 1
    read, taken, names = len(range(0, len(texts), step)), Counter[str](), []
    for code, number in enumerate(clusters.names):
        name = " · ".join(_typical(within[code], sizes[code], overall, read)) or number
        taken[name] += 1
        names.append(f"{name} ({taken[name]})" if taken[name] > 1 else name)
    return TagIndex.named(names, clusters.codes, clusters.starts)


def by_words(tags: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Each query's tags for display. Clusters whose names differ only by a number are merged; most of them come from
    different clusterings."""
    names = {name for row in tags for name in row}
    shown = {name: words if (words := NUMBER.sub("", name)) in names else name for name in names}
    return [tuple(dict.fromkeys(shown[name] for name in row)) for row in tags]


def _typical(words: Counter[str], size: int, overall: Counter[str], read: int) -> list[str]:
    """A cluster's most typical words, in descending order."""
    weights = {
        word: count / size * math.log(count / size * read / overall[word])
        for word, count in words.items()
        if count >= LEAST_SHARING and count * read > overall[word] * size
    }
    return sorted(weights, key=lambda word: (-weights[word], word))[:WORDS_IN_NAME]


Vectors = NDArray[np.float32] | NDArray[np.float16]
Units = NDArray[np.float32]
Owners = NDArray[np.intp]

CLUSTERS = 30
TIMES = 5  # clusterings from different initial centres, since the borders of a single clustering are arbitrary
LEAST = 10  # queries per cluster, on average
SAMPLE = 1 << 14  # the most vectors in memory for Lloyd's algorithm
BATCHES, BATCH = 20, 1 << 13  # mini-batches and their size, if there are more vectors
ROUNDS = 30  # the most iterations; further ones hardly move the centres
REPEAT = 1e-6  # relative to the squared norms; smaller squared distances are rounding errors


def cluster_tags(vectors: Vectors, seed: int = 0, most: int = CLUSTERS, times: int = TIMES) -> TagIndex:
    """The tags of queries: the number of the query's cluster in each of several clusterings.

    A tag prior is then the mean label of similar queries. More queries give finer clusters, up to `most` of them.

    Args:
        vectors: the queries' vectors, shape (n, width).
    """
    clusters = max(1, min(most, len(vectors) // LEAST))
    owners = np.stack(clusterings(vectors, clusters, np.random.default_rng(seed), times)[1], axis=1)
    names = [f"cluster {turn}-{number}" for turn in range(times) for number in range(clusters)]
    codes = (owners + np.arange(times) * clusters).reshape(-1)
    return TagIndex.named(names, codes, np.arange(len(vectors) + 1) * times)


def clusterings(
    vectors: Vectors, clusters: int, rng: np.random.Generator, times: int = 1
) -> tuple[list[Units], list[Owners]]:
    """Several clusterings of the vectors' directions: the centres of each, and the index of each vector's centre.

    Up to SAMPLE vectors are clustered by Lloyd's algorithm. If there are more, a sample is clustered, and random
    batches of all vectors then update the centres (mini-batch k-means: Sculley, 2010).
    """
    if len(vectors) <= SAMPLE:
        units = _units(vectors, slice(None))
        with one_thread():
            runs = [k_means(units, clusters, rng) for _ in range(times)]
        return [centres for centres, _ in runs], [owners for _, owners in runs]
    all_centres = []
    for _ in range(times):
        centres, owners = k_means(_units(vectors, rng.integers(len(vectors), size=SAMPLE)), clusters, rng)
        counts = np.bincount(owners, minlength=clusters).astype(np.float32)
        for _ in range(BATCHES):
            units = _units(vectors, rng.integers(len(vectors), size=BATCH))
            members = _members(nearest(units, centres), clusters)
            more = members.sum(axis=0)
            counts += more
            steps = members.T @ units - more[:, np.newaxis] * centres
            centres = centres + steps / np.maximum(counts, 1)[:, np.newaxis]  # an empty cluster keeps its centre
        all_centres.append(centres)
    together = np.concatenate(all_centres)
    parts = [
        _distances(_units(vectors, slice(first, first + BATCH)), together).reshape(-1, times, clusters).argmin(axis=-1)
        for first in range(0, len(vectors), BATCH)
    ]
    return all_centres, list(np.concatenate(parts).T)


def _units(vectors: Vectors, rows: NDArray[np.intp] | slice) -> Units:
    units: Units = unit(np.asarray(vectors[rows], dtype=np.float32))
    return units


def nearest(vectors: Array, centres: Array) -> Array:
    """The index of each vector's nearest centre, shape (n,). In a tie, the first one."""
    return _distances(vectors, centres).argmin(-1)


def _distances(vectors: Array, centres: Array) -> Array:
    """Squared distances minus the vectors' squared norms, shape (n, centres)."""
    return (centres**2).sum(-1) - 2 * vectors @ centres.T


def _members(owners: Owners, clusters: int) -> Units:
    """One-hot rows for the cluster of each vector, shape (n, clusters)."""
    return np.eye(clusters, dtype=np.float32)[owners]


def k_means(vectors: Units, clusters: int, rng: np.random.Generator) -> tuple[Units, Owners]:
    """The result of Lloyd's algorithm from k-means++ centres.

    Returns:
        The centres, shape (clusters, width), and the index of each vector's centre, shape (n,).
    """
    squares = (vectors**2).sum(axis=1)
    centres = vectors[rng.integers(len(vectors), size=1)]
    far = np.full(len(vectors), np.inf)
    for _ in range(1, clusters):
        last, square = centres[-1], (centres[-1] ** 2).sum()
        distances = squares - 2 * (vectors @ last) + square
        far = np.minimum(far, np.where(distances < REPEAT * (squares + square), 0, distances))
        odds = far if far.sum() > 0 else np.ones(len(vectors))  # otherwise, all vectors equal a centre
        centres = np.concatenate([centres, vectors[rng.choice(len(vectors), size=1, p=odds / odds.sum())]])
    owners = nearest(vectors, centres)
    for _ in range(ROUNDS):
        members = _members(owners, clusters)
        counts = members.sum(axis=0)[:, np.newaxis]
        centres = np.where(counts > 0, members.T @ vectors / np.maximum(counts, 1), centres)
        before, owners = owners, nearest(vectors, centres)
        if np.array_equal(owners, before):
            break
    return centres, owners
