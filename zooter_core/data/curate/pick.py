"""How queries are picked: even shares of the sources, and greedy coverage of tags."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence

Tags = tuple[str, ...]
UNTAGGED: Tags = ("",)  # queries without tags share a tag, so that they are picked in turn with the others


def shares(counts: Sequence[int], n: int) -> list[int]:
    """n places shared out as evenly as the number of queries in each source allows; min(n, sum(counts)) in all.

    Example: shares([100, 2, 100], 11) is [4, 2, 5].
    """
    places, remaining = [0] * len(counts), n
    for served, source in enumerate(sorted(range(len(counts)), key=counts.__getitem__)):
        places[source] = min(counts[source], remaining // (len(counts) - served))
        remaining -= places[source]
    return places


def sample(sources: Sequence[int], n: int) -> list[int]:
    """Places of up to n queries: the first ones of every source, in even shares. The order must be random already."""
    counts = Counter(sources)
    room = dict(zip(counts, shares(list(counts.values()), n), strict=True))
    drawn = []
    for place, source in enumerate(sources):
        if room[source]:
            room[source] -= 1
            drawn.append(place)
    return drawn


def worth(count: int) -> float:
    """The gain of a query by a tag that `count` picked ones have: 1 / (1 + count), count cut to three binary digits.

    A tag's worth then changes about fifty times while thousands are picked, instead of every time.
    """
    shift = max(0, count.bit_length() - 3)
    return 1 / (1 + (count >> shift << shift))


def cover(tags: Sequence[Tags], sources: Sequence[int], n: int) -> list[int]:
    """Places of up to n queries in the order picked: always the one whose tags are the rarest among those picked.

    A query's gain is the sum of the worth of its tags; a tie goes to the earlier place. No source gets more than its
    even share. Gains only fall while queries are picked, so an earlier gain is an upper bound (lazy greedy: Minoux,
    1978), and queries with the same tags and source are evaluated together.
    """
    counts = Counter(sources)
    room = dict(zip(counts, shares(list(counts.values()), n), strict=True))
    groups: dict[tuple[int, Tags], list[int]] = {}
    for place, (source, names) in enumerate(zip(sources, tags, strict=True)):
        groups.setdefault((source, names or UNTAGGED), []).append(place)
    for places in groups.values():
        places.reverse()  # the earliest is popped first
    uses = dict.fromkeys((name for _, names in groups for name in names), 0)
    value = dict.fromkeys(uses, worth(0))
    heap = [(-float(len(group[1])), places[-1], group) for group, places in groups.items()]
    heapq.heapify(heap)
    picked: list[int] = []
    while heap:
        bound, place, (source, names) = heap[0]
        loss = -sum(map(value.__getitem__, names))
        if not room[source]:
            heapq.heappop(heap)
        elif loss > bound:
            heapq.heapreplace(heap, (loss, place, (source, names)))
        else:
            picked.append(groups[source, names].pop())
            room[source] -= 1
            for name in names:
                uses[name] += 1
                value[name] = worth(uses[name])
            heapq.heappop(heap)
            if remaining := groups[source, names]:  # the last gain is an upper bound of the next query's
                heapq.heappush(heap, (bound, remaining[-1], (source, names)))
    return picked
