"""`zooter` with an exam of four questions in arithmetic and four in programming: python -m support.short_exam ..."""

from __future__ import annotations

import sys

from zooter_core.base.records import Query
from zooter_core.cli.main import main as zooter
from zooter_core.fleet import skills

SKILLS = ("arithmetic", "programming")
A_SKILL = 4  # queries


def short(quick: bool = False) -> list[Query]:
    """The first queries of both skills."""
    queries = starter_queries(quick)
    return [query for skill in SKILLS for query in [one for one in queries if one.dataset == skill][:A_SKILL]]


def main(arguments: list[str] | None = None) -> int:
    """The command line, with such an exam."""
    global starter_queries
    if skills.starter_queries is not short:
        starter_queries, skills.starter_queries = skills.starter_queries, short
    return zooter(arguments)


if __name__ == "__main__":
    sys.exit(main())
