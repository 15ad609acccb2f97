"""Clusters of queries by k-means on their vectors, used as tags where a score file has none, and names for them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from zooter_core.method.tags import TagIndex

WORD = re.compile(r"[^\W\d_]{3,30}")
WORDS_IN_NAME = 3  # in a name
TEXTS_READ = 10_000  # queries that are read
CHARACTERS_READ = 500  # characters of a query that are read
LEAST_SHARING = 2  # queries of a cluster that share a word of its name


def named(clusters: TagIndex, texts: Sequence[str]) -> TagIndex:
    """The clusters with names such as "python · function · list"; one without common words keeps its number."""
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


def _typical(words: Counter[str], size: int, overall: Counter[str], read: int) -> list[str]:
    """The words that say most about a cluster, the most typical first."""
    weights = {
        word: count / size * math.log(count / size * read / overall[word])
        for word, count in words.items()
        if count >= LEAST_SHARING and count * read > overall[word] * size
    }
    return sorted(weights, key=lambda word: (-weights[word], word))[:WORDS_IN_NAME]


Vectors = NDArray[np.float32] | NDArray[np.float16]

CLUSTERS = 30
TIMES = 5  # clusterings from different first centres: a single border between clusters means little
LEAST = 10  # queries in a cluster, on average
SAMPLE = 1 << 14  # vectors that are clustered at once
BATCHES, BATCH = 20, 1 << 13  # of the rest
ROUNDS = 30  # later ones hardly move a centre


def cluster_tags(vectors: Vectors, seed: int = 0, most: int = CLUSTERS, times: int = TIMES) -> TagIndex:
    """Tags of queries from their vectors, shape (n, width): the number of a query's cluster in each clustering.

    A tag prior is then the mean label of similar queries. More queries give finer clusters, up to `most` of them.
    """
    clusters = max(1, min(most, len(vectors) // LEAST))
    table = torch.from_numpy(vectors)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        owners = torch.stack(clusterings(table, clusters, times)[1], dim=1).numpy()
    names = [f"cluster {turn}-{number}" for turn in range(times) for number in range(clusters)]
    codes = (owners + np.arange(times) * clusters).reshape(-1)
    return TagIndex.named(names, codes, np.arange(len(vectors) + 1) * times)


def clusterings(vectors: torch.Tensor, clusters: int, times: int = 1) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Several clusterings of vectors' directions: the centres of each, and the number of each vector's centre.

    Up to SAMPLE vectors are clustered by Lloyd's algorithm. Of more, a sample is; the centres then follow random
    batches of all (mini-batch k-means: Sculley, 2010), and the vectors are read in batches too.
    """
    if len(vectors) <= SAMPLE:
        units = functional.normalize(vectors.float(), dim=-1)
        runs = [k_means(units, clusters) for _ in range(times)]
        return [centres for centres, _ in runs], [owners for _, owners in runs]
    all_centres = []
    for _ in range(times):
        centres, owners = k_means(_units(vectors, torch.randint(len(vectors), (SAMPLE,))), clusters)
        counts = functional.one_hot(owners, clusters).sum(dim=0).to(centres.dtype)
        for _ in range(BATCHES):
            units = _units(vectors, torch.randint(len(vectors), (BATCH,)))
            members = functional.one_hot(nearest(units, centres), clusters).to(units.dtype)
            counts += members.sum(dim=0)
            centres = centres + (members.T @ units - members.sum(dim=0).unsqueeze(-1) * centres) / counts.unsqueeze(-1)
        all_centres.append(centres)
    together = torch.cat(all_centres)
    parts = [
        _distances(_units(vectors, slice(first, first + BATCH)), together).reshape(-1, times, clusters).argmin(dim=-1)
        for first in range(0, len(vectors), BATCH)
    ]
    return all_centres, list(torch.cat(parts).unbind(dim=1))


def _units(vectors: torch.Tensor, rows: torch.Tensor | slice) -> torch.Tensor:
    return functional.normalize(vectors[rows].float(), dim=-1)


def nearest(vectors: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """The number of the nearest centre of each vector, shape (n,); of equally near ones the first."""
    return _distances(vectors, centres).argmin(dim=-1)


def _distances(vectors: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Squared distances minus the vectors' squared lengths, shape (n, centres): three times as fast as torch.cdist."""
    return (centres**2).sum(dim=-1) - 2 * vectors @ centres.T


def k_means(vectors: torch.Tensor, clusters: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Lloyd's algorithm from k-means++ centres, with torch's global random numbers.

    Returns the centres, shape (clusters, width), and the number of each vector's centre, shape (n,).
    """
    centres = vectors[torch.randint(len(vectors), (1,))]
    far = torch.full((len(vectors),), torch.inf)
    for _ in range(1, clusters):
        far = torch.minimum(far, ((vectors - centres[-1]) ** 2).sum(dim=-1))  # exactly 0 for a repeat
        odds = far if far.sum() > 0 else torch.ones_like(far)  # only repeats are left
        centres = torch.cat([centres, vectors[torch.multinomial(odds, 1)]])
    owners = nearest(vectors, centres)
    for _ in range(ROUNDS):
        members = functional.one_hot(owners, clusters).to(vectors.dtype)
        counts = members.sum(dim=0).unsqueeze(-1)
        centres = torch.where(counts > 0, members.T @ vectors / counts.clamp(min=1), centres)
        before, owners = owners, nearest(vectors, centres)
        if torch.equal(owners, before):
            break
    return centres, owners
