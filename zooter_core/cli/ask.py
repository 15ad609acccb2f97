"""`zooter ask`: streams the answer of the chosen candidate, or of the next one if that fails."""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from zooter_core.backends import Piece
from zooter_core.base.errors import MOST_NAMED, listed, shortened
from zooter_core.base.records import Message, Response
from zooter_core.cli.consoles import err, print_note
from zooter_core.cli.fleets import open_ensemble
from zooter_core.cli.options import FLEET, MAX_NEW_TOKENS, QUERY, TEMPERATURE, WILLINGNESS, choose_generation, option
from zooter_core.cli.stdin import STDIN, stdin_text
from zooter_core.data import prices
from zooter_core.fleet.attempts import check_answered, note


def ask(
    query: str = QUERY,
    fleet: Path | None = FLEET,
    candidate: str | None = option("NAME", "Ask this candidate instead of the router's choice."),
    willingness: float | None = WILLINGNESS,
    temperature: float | None = TEMPERATURE,
    max_new_tokens: int | None = MAX_NEW_TOKENS,
) -> None:
    ensemble = open_ensemble(fleet)
    generation = choose_generation(ensemble.fleet.generation, temperature, max_new_tokens)
    messages = [Message("user", stdin_text() if query == STDIN else query)]
    if candidate is not None:
        ensemble.fleet.candidate(candidate)  # report an unknown name before any work
    names: tuple[str, ...] = () if candidate is None else (candidate,)
    if candidate is None or ensemble.fleet.router:  # a starting router is not needed for a candidate by name
        decision = ensemble.route(messages, willingness)
        names = names or decision.order
        probabilities = listed((f"{name} {p:.0%}" for name, p in decision.probabilities.items()), "  ")
        tags = listed(tag.name for tag in decision.tags) or "none"
        err.print(f"{probabilities}  |  tags: {tags}  ->  {shortened(names[0], MOST_NAMED)}", style="dim")
        if candidate is None and (reason := prices.why(decision)):
            err.print(reason, style="dim")
    pieces = ensemble.run_candidates(names[:1], messages, threading.Event(), generation, names[1:])
    thinks = [config.name for config in ensemble.fleet.candidates if config.thinking]
    _print_answer(names, pieces, () if sys.stdout.isatty() else thinks)


def _print_answer(names: Sequence[str], pieces: Iterator[Piece], waiting: Collection[str]) -> None:
    """Print an answer as it arrives. If another candidate takes over after a failure, print a note on stderr.

    Args:
        waiting: candidates whose answer is printed only when it is complete, since its beginning may turn out to be
            thoughts.
    """
    responses: list[Response] = []
    candidate, thinking = names[0], False
    for piece in pieces:
        if piece.candidate != candidate:
            candidate = piece.candidate
            err.print(note(responses[-1:], candidate))
        print_note(piece.note)
        if piece.thoughts:
            err.print(piece.thoughts, style="dim", end="")
            thinking = True
        if piece.text and thinking:
            err.print()
            thinking = False
        print("" if candidate in waiting else piece.text, end="", flush=True)
        if piece.response is not None:
            responses.append(piece.response)
            print(piece.response.text if candidate in waiting else "", end="")
    if responses[-1].text:
        print()
        if responses[-1].error:
            err.print(f"The answer of {responses[-1].candidate} is incomplete.")
    check_answered(responses)
