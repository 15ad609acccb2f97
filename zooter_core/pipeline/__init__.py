"""The pipeline in order: start, collect, score, tag, label, distill. Each step resumes where it was stopped.

queries --collect--> responses --score--> rewards --+
   '-------tag-------> tags ------------------------+--label--> labels --distill--> router, report.json

`distill` and `score_responses` work on score files, without a run folder. The two that train are imported when they are
first used: they alone need PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zooter_core.pipeline.batches import Progress, quiet
from zooter_core.pipeline.collect import collect, start
from zooter_core.pipeline.label import label, tag
from zooter_core.pipeline.score import score, score_responses

if TYPE_CHECKING:
    from zooter_core.pipeline.train import distill, distill_run

__all__ = [
    "Progress",
    "collect",
    "distill",
    "distill_run",
    "label",
    "quiet",
    "score",
    "score_responses",
    "start",
    "tag",
]


def __getattr__(name: str) -> Any:
    if name not in ("distill", "distill_run"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from zooter_core.pipeline import train

    return getattr(train, name)
