"""The layout of a run folder. Records are only appended, so that work can stop at any point and resume later.

`run.json` holds the settings of each step, library versions, and the finished steps under `seals`. Settings are fixed
when a step first starts, except for those that follow the fleet's pool (FOLLOWS). All other files are JSON lines,
written in batches. A step appends only the lines that its file lacks. An incomplete last line is removed before the
next append. The folder is private, because it holds queries and answers. Writing raises a WorkError if the disk is full
or the file cannot be written.

    queries    id, text, dataset, tags; key if the query has an answer key
    responses  id, candidate, sample (of a benchmark: turn), and the fields of `records.Response`
    rewards    id, rewards (candidate -> mean) and samples (candidate -> list), verified if there is an answer key; or
               set_aside (why the query has no rewards); missing (candidates without responses at that time)
    tags       id, tags (name and score)
    labels     id, fold (train or held_back), plain, enhanced, entropy of plain
    scores     id, candidate, score; of a benchmark
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUERIES, RESPONSES, REWARDS = "queries.jsonl", "responses.jsonl", "rewards.jsonl"
TAGS, LABELS, ROUTER, REPORT = "tags.jsonl", "labels.jsonl", "router", "report.json"
CHECKPOINT = "finetune.checkpoint"  # of an unfinished fine-tuning, in the router's folder or its parent
STATE, LOCK = "run.json", ".lock"
SCORES = "scores.jsonl"
RUN_FILES = (QUERIES, RESPONSES, REWARDS, TAGS, LABELS, ROUTER, REPORT, STATE, LOCK)
FILE_OF = {"start": QUERIES, "collect": RESPONSES, "score": REWARDS, "tag": TAGS, "label": LABELS, "distill": REPORT}
STEPS = tuple(FILE_OF)
# Step -> the setting that follows the fleet's pool. `answer` is a step of benchmarks.
FOLLOWS = {"start": "pool", "collect": "candidates_sha256", "score": "pool", "answer": "candidates_sha256"}
Settings = Mapping[str, Any]
