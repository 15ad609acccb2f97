"""What happens when a candidate fails: before its first token the next one answers; after it, its text is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from zooter_core.backends import Piece, Request
from zooter_core.base.errors import MOST_NAMED, WorkError, ZooterError, listed, shortened
from zooter_core.base.records import Response

MOST_REASONS, MOST_REASON = 5, 300  # candidates whose reasons a message gives, and characters of a reason


def with_fallback(
    stream: Callable[[Sequence[Request]], Iterator[Piece]],
    first: Sequence[Request],
    reserves: Sequence[Request],
    stop: threading.Event,
) -> Iterator[Piece]:
    """Run the first requests together. If all of them fail before their first token, run the reserves in turn.

    An empty piece announces a reserve before it runs. A response that fails keeps all text that was streamed for it.
    """
    for requests in (first, *([reserve] for reserve in reserves)):
        if requests is not first:
            yield Piece(requests[0])
            if stop.is_set():
                yield Piece.stopped(requests[0])
                return
        texts, answered = dict.fromkeys(requests, ""), False
        for piece in stream(requests):
            texts[piece.request] += piece.text
            response = piece.response
            if response is not None:
                if response.failed_before_first_token:
                    response = replace(response, text=texts[piece.request].strip())
                    piece = replace(piece, response=response)
                answered = answered or not response.failed_before_first_token
            yield piece
        if answered:
            return


def iter_text(pieces: Iterator[Piece]) -> Iterator[str]:
    """Yield the text of one answer with fallback.

    Raises:
        WorkError: no candidate has answered, or the answer broke off.
    """
    responses: list[Response] = []
    for piece in pieces:
        if piece.text:
            yield piece.text
        if piece.response is not None:
            responses.append(piece.response)
    check_answered(responses, may_be_empty=True)


def check_answered(responses: Sequence[Response], may_be_empty: bool = False) -> None:
    """Refuse an answer with fallback that failed or is empty.

    Args:
        responses: those that failed, and last the answer.

    Raises:
        WorkError: no candidate has answered, the answer broke off, or it is empty.
    """
    *failed, last = responses
    if failed and last.failed_before_first_token:
        raise all_failed(responses)
    if last.error:
        raise WorkError.because(last.error, f"an answer of {last.candidate}")
    if not (last.text or last.finish == "stopped" or may_be_empty):
        raise WorkError(f"an answer of {last.candidate}", "an empty one", "Ask again, or ask another candidate.")


def note(failed: Sequence[Response], instead: str | None = None, around: str = "") -> str:
    """One line on who could not answer and why, and who answers instead; "" if no candidate failed.

    Args:
        around: a mark around every name, as in Markdown.
    """
    ends = ("could not answer" if response.failed_before_first_token else "broke off" for response in failed)
    reasons = ", ".join(
        f"{around}{response.candidate}{around} {end} ({shortened(_reason(response), MOST_REASON)})"
        for response, end in zip(failed, ends, strict=True)
    )
    if reasons and instead:
        return f"{reasons}; {around}{instead}{around} answers instead."
    return f"{reasons}." if reasons else ""


def all_failed(failed: Sequence[Response]) -> ZooterError:
    """The error when several candidates have failed, with every reason and next step."""
    names = [response.candidate for response in failed]
    *others, last = names
    reasons = "".join(
        f"\n- {shortened(response.candidate, MOST_NAMED)}: {shortened(_advice(response), MOST_REASON)}"
        for response in failed[:MOST_REASONS]
    )
    if len(failed) > MOST_REASONS:
        reasons += f"\n- and {len(failed) - MOST_REASONS:,} more"
    sentence = f"{listed(others)} and {last} could not answer:{reasons}"
    expected = f"an answer of {listed(others)} or {last}"
    return WorkError(expected, f"none:{reasons}", "\n\n`zooter check` tries each of them.", sentence)


def _reason(response: Response) -> str:
    return response.error.reason.removesuffix(".") if response.error else ""


def _advice(response: Response) -> str:
    """The reason and the next step on one line."""
    if response.error is None:
        return ""
    return " ".join(f"{response.error.reason.removesuffix('.')}. {response.error.next_step}".split())
