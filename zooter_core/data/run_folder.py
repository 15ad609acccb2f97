"""The layout of a run folder. Records are only appended, so that work can stop at any point and resume later.

`run.json` holds the settings of each step, library versions, and under `seals` the finished steps. Settings are fixed
at a step's first start, except for those that follow the fleet's pool (FOLLOWS). Every other file is JSON lines,
written in batches: a step skips what its file has, and appends the rest. An incomplete last line is cut off before the
next append. The folder is private, because it holds queries and answers. Writing raises a WorkError if the disk is full
or the file cannot be written.

    queries    id, text, dataset, tags; key if the query has an answer key
    responses  id, candidate, sample (of a benchmark: turn), and the fields of `records.Response`
    rewards    id, rewards (candidate -> mean) and samples (candidate -> list), verified where there is an answer key;
               or set_aside (why the query has none); missing (candidates without responses then)
    tags       id, tags (name and score)
    labels     id, fold (train or held_back), plain, enhanced, entropy of plain
    scores     id, candidate, score; of a benchmark
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUERIES, RESPONSES, REWARDS = "queries.jsonl", "responses.jsonl", "rewards.jsonl"
TAGS, LABELS, ROUTER, REPORT = "tags.jsonl", "labels.jsonl", "router", "report.json"
CHECKPOINT = "finetune.checkpoint"  # of an unfinished fine-tuning, beside the router's folder or in it
STATE, LOCK = "run.json", ".lock"
SCORES = "scores.jsonl"
RUN_FILES = (QUERIES, RESPONSES, REWARDS, TAGS, LABELS, ROUTER, REPORT, STATE, LOCK)
FILE_OF = {"start": QUERIES, "collect": RESPONSES, "score": REWARDS, "tag": TAGS, "label": LABELS, "distill": REPORT}
STEPS = tuple(FILE_OF)
# The setting of a step that follows the fleet; `answer` is that of a benchmark.
FOLLOWS = {"start": "pool", "collect": "candidates_sha256", "score": "pool", "answer": "candidates_sha256"}
Settings = Mapping[str, Any]
