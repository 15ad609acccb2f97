"""The pipeline's steps in order: start, collect, score, tag, label, distill. Each step resumes where it was stopped.

queries --collect--> responses --score--> rewards --+
   '-------tag-------> tags ------------------------+--label--> labels --distill--> router, report.json

`distill` and `score_responses` work on score files, without a run folder.
"""

from zooter_core.base.progress import Progress, quiet
from zooter_core.pipeline.collect import collect, start
from zooter_core.pipeline.label import label, tag
from zooter_core.pipeline.score import score, score_responses
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
