"""The policy of fallbacks and retries, for the commands, the demo and the endpoint.

It does no I/O: the caller sends the requests and reports the results.

- `Ensemble.run_candidates` asks some candidates together; if all fail before their first token, it asks the reserves
  one after the other.
- `zooter serve` (serve/chat.py) asks one candidate after the other, or the next one while one is slow, and retries the
  last one.

The functions at the end of this file describe failures to users.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from zooter_core.backends import Piece
from zooter_core.backends.endpoint.retry import retry_pause
from zooter_core.base.errors import MOST_NAMED, WorkError, ZooterError, listed, shortened
from zooter_core.base.records import Response
from zooter_core.config.fleet import Fleet

if TYPE_CHECKING:
    from zooter_core.backends.endpoint.faults import EndpointError

MOST_REASON = 300  # characters of a reason


class Attempts:
    """Decides which candidate is asked next.

    Each candidate is asked once. The last one is asked again after a temporary failure, up to its server's `retries`.

    Args:
        order: the candidates' names, best first.
        together: how many of them are asked at the same time in the first step.

    Attributes:
        last: the last candidate of the order.
        pause: seconds to wait before asking the candidates that `next` returned.
        errors: the latest known error of each candidate that has not answered.
        failures: all errors with their candidates, in order, including those of retries.
    """

    def __init__(self, fleet: Fleet, order: Sequence[str], together: int = 1) -> None:
        self.last, self.pause = order[-1], 0.0
        self.errors: dict[str, EndpointError] = {}
        self._waiting, self._together = deque(order), together
        endpoint = fleet.candidate(self.last).endpoint
        self._retries = endpoint.retries if endpoint else 0
        self._repeats, self._temporary, self._answered = 0, False, False
        self.failures: list[tuple[str, EndpointError]] = []

    @property
    def has_reserve(self) -> bool:
        """Whether there is a candidate that has not been asked yet."""
        return bool(self._waiting)

    def next(self) -> list[str]:
        """The candidates to ask next. Call this when all candidates that were asked have failed, or if one is slow.

        Empty if a candidate has answered or none is left.
        """
        if self._answered:
            return []
        self.pause = 0.0
        if self._waiting:
            count, self._together = self._together, 1
            return [self._waiting.popleft() for _ in range(count)]
        error = self.errors.get(self.last)
        retries = self._retries if self._temporary else 0
        pause = retry_pause(self._repeats, retries, error.retry_after if error else None)
        if pause is None:
            return []
        self.pause, self._repeats = pause, self._repeats + 1
        return [self.last]

    def answered(self, name: str) -> None:
        """Note that a candidate has begun to answer."""
        self._answered = True
        self.errors.pop(name, None)  # of an earlier attempt

    def failed(self, name: str, error: EndpointError | None = None) -> None:
        """Note that a candidate failed before it began to answer, with its error if known."""
        if error is not None:
            self.failures.append((name, error))
            self.errors[name] = error
        if name == self.last:
            self._temporary = error is not None and error.temporary

    @property
    def unhealthy(self) -> list[str]:
        """The candidates whose failure counts for their circuit breakers, each once.

        If no candidate has answered and several failed with the same status, the request is the likely cause, and these
        failures do not count.
        """
        ways = [error.same_as for error in self.errors.values()]
        blameless = set() if self._answered else {way for way in ways if way is not None and ways.count(way) > 1}
        return [name for name, error in self.errors.items() if error.counts and error.same_as not in blameless]


def iter_text(pieces: Iterator[Piece]) -> Iterator[str]:
    """Yield the text of one answer with fallback.

    Raises:
        WorkError: no candidate answered, or the answer broke off.
    """
    responses: list[Response] = []
    for piece in pieces:
        if piece.text:
            yield piece.text
        if piece.response is not None:
            responses.append(piece.response)
    check_answered(responses, may_be_empty=True)


def check_answered(responses: Sequence[Response], may_be_empty: bool = False) -> None:
    """Raise an error unless there is a complete answer.

    Args:
        responses: the failed responses, then the answer.

    Raises:
        WorkError: no candidate answered, or the answer broke off or is empty.
    """
    *failed, last = responses
    if failed and last.failed_before_first_token:
        raise all_failed(responses)
    if last.error:
        raise WorkError.because(last.error, f"an answer of {last.candidate}")
    if not (last.text or last.finish == "stopped" or may_be_empty):
        raise WorkError(f"an answer of {last.candidate}", "an empty one", "Ask again, or ask another candidate.")


def note(failed: Sequence[Response], instead: str | None = None) -> str:
    """One line that says who could not answer and why, and who answers instead; "" if no candidate failed."""
    reasons = []
    for response in failed:
        end = "could not answer" if response.failed_before_first_token else "broke off"
        reason = response.error.reason.removesuffix(".") if response.error else ""
        reasons.append(f"{response.candidate} {end} ({shortened(reason, MOST_REASON)})")
    if not reasons:
        return ""
    return ", ".join(reasons) + (f"; {instead} answers instead." if instead else ".")


def all_failed(failed: Sequence[Response]) -> ZooterError:
    """The error when several candidates have failed, with every reason and next step."""
    names = [response.candidate for response in failed]
    *others, last = names
    reasons = "".join(
        f"\n- {shortened(response.candidate, MOST_NAMED)}: {shortened(_advice(response), MOST_REASON)}"
        for response in failed
    )
    sentence = f"{listed(others)} and {last} could not answer:{reasons}"
    expected, step = f"an answer of {listed(others)} or {last}", "\n\n`zooter check` tries each of them."
    return WorkError(expected, f"none:{reasons}", step, sentence=sentence)


def _advice(response: Response) -> str:
    """The reason and the next step on one line."""
    if response.error is None:
        return ""
    return " ".join(f"{response.error.reason.removesuffix('.')}. {response.error.next_step}".split())
