"""Whether a query in other words goes to the same model: python benchmarks/paraphrases.py FILE [--without]

Routers are trained on random parts of a score file. For each size, the script prints the gain of `auto` over the best
single model on unseen queries, and the share of pairs in paraphrases.jsonl whose queries go to the same model, by the
way in which they differ. With --without, it also prints the figures of routers without a head start
(method/mixture.py), and the difference.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from heads import Bench, by_head
from learning_curves import Lessons, difference
from score_file import parsed, parser_of

from zooter_core.data.json_records import each_record
from zooter_core.data.scores import read_scores
from zooter_core.method import metrics, mixture
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import AUTO_KIND

SIZES, SEEDS = (200, 1000, 4000), 6
PAIRS = Path(__file__).with_name("paraphrases.jsonl")


def with_pairs(bench: Bench, pairs: list[dict[str, str]]) -> np.ndarray:
    """The vectors of the score file's queries, of the first texts of the pairs, and of the second ones."""
    texts = [pair[side] for side in ("query", "paraphrase") for pair in pairs]
    return np.concatenate([bench.vectors, bench.encoder.embed_all(texts)])


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--without", action="store_true")
    call = parsed(parser)
    pairs = [line for _, line in each_record(PAIRS)]
    ways = np.array([pair["way"] for pair in pairs])
    bench = Bench(read_scores([call.scores]), Encoder(call.encoder))
    table, count = bench.scores.scores, len(bench.scores.scores)
    lessons = Lessons(bench, SEEDS)
    bench.__dict__["vectors"] = with_pairs(bench, pairs)
    variants = {"auto": (mixture.STARTS, mixture.FAR_START)}
    if call.without:
        variants = {"no head start": ((0.0,), 0.0)} | variants
    for size in SIZES:
        gains: dict[str, list[float]] = {name: [] for name in variants}
        same: dict[str, list[np.ndarray]] = {name: [] for name in variants}
        for seed, train, judged in lessons.of("folds", size):
            single = mixture.level(table[train]).argmax()
            for name, variant in variants.items():
                mixture.STARTS, mixture.FAR_START = variant
                places = by_head(bench, AUTO_KIND, {}, seed)(
                    train, np.append(judged, np.arange(count, len(bench.vectors)))
                )
                chosen, first, second = np.split(places, [len(judged), len(judged) + len(pairs)])
                gains[name].append(float(metrics.mean(table[judged, chosen] - table[judged, single])))
                same[name].append(first == second)
        for name in variants:
            shares = np.mean(same[name], axis=0)
            by_way = ", ".join(f"{way} {shares[ways == way].mean():.0%}" for way in dict.fromkeys(ways))
            print(f"{size} queries, {name}: {100 * np.mean(gains[name]):+.2f} above the best single model", end="; ")
            print(f"{shares.mean():.1%} of {len(pairs)} pairs ({by_way})")
        if call.without:
            change = difference(np.array(gains["auto"]) - gains["no head start"])
            print("difference {:+.2f} ({:.2f} to {:.2f})".format(*(100 * value for value in change)))


if __name__ == "__main__":
    main()
