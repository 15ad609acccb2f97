"""A driver to kill: python -m support.ray_driver OPTIONS is `zooter run` on Ray, with two workers for three batches."""

from __future__ import annotations

import sys
from functools import partial

from zooter_core.cli.main import main
from zooter_core.method import selection
from zooter_core.pipeline import batches, lanes

BATCH = 16  # queries

if __name__ == "__main__":
    batches.BATCH, lanes.WORKER_QUERIES = BATCH, BATCH * 3 // 2
    selection.lifts = partial(selection.lifts, draws=20)  # as in run_folders
    sys.exit(main(["run", "--engine", "ray", *sys.argv[1:]]))
