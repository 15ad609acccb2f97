"""Names for clusters of queries: the words that are frequent in a cluster and rare elsewhere."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from zooter_core.method.tags import TagIndex

WORD = re.compile(r"[^\W\d_]{3,30}")
WORDS = 3  # in a name
SAMPLE = 10_000  # queries that are read
START = 500  # characters of a query that are read
LEAST = 2  # queries of a cluster that share a word of its name


def named(clusters: TagIndex, texts: Sequence[str]) -> TagIndex:
    """The clusters with names such as "python · function · list"; one without common words keeps its number."""
    step = -(-len(texts) // SAMPLE) or 1
    overall: Counter[str] = Counter()
    within: list[Counter[str]] = [Counter() for _ in clusters.names]
    sizes: Counter[int] = Counter()
    for row in range(0, len(texts), step):
        words = set(WORD.findall(texts[row][:START].lower()))
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
        if count >= LEAST and count * read > overall[word] * size
    }
    return sorted(weights, key=lambda word: (-weights[word], word))[:WORDS]
