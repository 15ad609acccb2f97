"""A driver to kill: python -m support.ray_driver OPTIONS is `zooter run` on a local Ray, in parts of few queries."""

from __future__ import annotations

import sys

from zooter_core.cli.main import main
from zooter_core.pipeline import on_ray

PART = 64  # queries; one batch

if __name__ == "__main__":
    on_ray.PART_QUERIES = PART
    sys.exit(main(["run", "--engine", "ray", *sys.argv[1:]]))
