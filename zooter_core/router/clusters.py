"""Clusters of queries by k-means on their vectors, used as tags where a score file has none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

CLUSTERS = 30
TIMES = 5  # clusterings from different first centres: a single border between clusters means little
LEAST = 10  # queries in a cluster, on average
ROUNDS = 30  # later ones hardly move a centre


def cluster_tags(
    vectors: NDArray[np.float32], seed: int = 0, most: int = CLUSTERS, times: int = TIMES
) -> Sequence[tuple[str, ...]]:
    """Tags of queries from their vectors, shape (n, width): the number of a query's cluster in each clustering.

    A tag prior is then the mean label of similar queries. More queries give finer clusters, up to `most` of them.
    """
    clusters = max(1, min(most, len(vectors) // LEAST))
    units = functional.normalize(torch.from_numpy(vectors), dim=-1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        owners = [k_means(units, clusters)[1].tolist() for _ in range(times)]
    return [tuple(f"cluster {turn}-{number}" for turn, number in enumerate(row)) for row in zip(*owners, strict=True)]


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
