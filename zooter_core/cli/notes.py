"""Notes on stderr that several commands print."""

from __future__ import annotations

from collections.abc import Mapping

from zooter_core.cli.consoles import err
from zooter_core.ensemble import Ensemble
from zooter_core.errors import Failure

MOST_LISTED = 20  # queries that are set aside


def print_cost(ensemble: Ensemble, samples: int = 1) -> None:
    """How many comparisons a query takes, where the reward model compares responses in pairs."""
    config = ensemble.fleet.reward
    if config is not None and config.compares:
        responses = len(ensemble.fleet.pool) * samples
        err.print(
            f"The reward model compares all ordered pairs: {responses} responses per query take "
            f"{responses * (responses - 1)} comparisons."
        )


def print_set_aside(reasons: Mapping[str, str], lacking: str = "rewards") -> None:
    """Which queries lack something, and why.

    Args:
        reasons: by the id of a query.
    """
    if not reasons:
        return
    err.print(f"{len(reasons)} {'query is' if len(reasons) == 1 else 'queries are'} set aside, without {lacking}:")
    for name, reason in list(reasons.items())[:MOST_LISTED]:
        err.print(f"  {name}: {reason}")
    if len(reasons) > MOST_LISTED:
        err.print(f"  and {len(reasons) - MOST_LISTED} more")


def print_missing(problems: Mapping[str, Failure]) -> None:
    """Which candidates lack responses, and why.

    Args:
        problems: by the candidate's name.
    """
    for name, failure in problems.items():
        err.print(f"{name} is skipped, and some of its responses are missing: {failure.reason}")
    if problems:
        err.print("The step collect stays open. The same command asks for what is missing.")


def print_note(note: str) -> None:
    if note:
        err.print(note, style="dim")
