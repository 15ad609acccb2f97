"""One request from its arrival to its end: what metadata, headers, logs and metrics say about it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.config.fleet import Fleet
from zooter_core.serve.chat_request import ChatRequest, check_size
from zooter_core.serve.choice import Choice, choose
from zooter_core.serve.targets import Progress

if TYPE_CHECKING:
    from zooter_core.serve.gateway import Gateway

METADATA_HEADER, METADATA_ON = "x-zooter-metadata", "enabled"
SESSION_HEADER = "x-session-id"


@dataclass
class Attempt:
    """One request to a candidate.

    Attributes:
        started: on the clock of `time.perf_counter`.
        seconds: until it ended; None while it runs.
        error: why it failed before its first token.
    """

    candidate: str
    started: float
    progress: Progress
    seconds: float | None = None
    error: EndpointError | None = None


@dataclass
class Exchange:
    """What has happened to a request so far. Observers see it when it has ended.

    Attributes:
        path: of the API, such as `/v1/chat/completions`.
        wants_metadata: whether the client asked for the field `zooter`.
        key: the name of the API key.
        session: the value of `x-session-id`.
        traceparent: the client's span, in the form of W3C Trace Context.
        fleet, request: who was asked what; None if the body was refused.
        events: of a stream that were sent, about one a token.
        router_version: of the router that was asked (`Gateway.router_version`).
        attempts: the requests to candidates, in the order in which they began.
        failures: candidates that failed before their first token, in order; a retry counts again.
        hedged: whether a candidate was asked beside another one that was slow.
        candidate: who answers; None until its first token.
        compared: of the candidates that answered, where the reward model chose; one of them is `progress`.
        rewards: of the same.
        status: of the answer; 499 if the client went away.
        error: what went wrong after the answer had begun, or the error's code.
    """

    path: str
    wants_metadata: bool = False
    request_id: str = field(default_factory=lambda: f"req-{uuid.uuid4().hex}")
    key: str | None = None
    session: str | None = None
    traceparent: str | None = None
    fleet: Fleet | None = None
    request: ChatRequest | None = None
    model: str = ""
    stream: bool = False
    events: int = 0
    started: float = field(default_factory=time.perf_counter)
    router_version: str | None = None
    routing_started: float = 0.0
    routing_seconds: float | None = None
    choice: Choice | None = None
    attempts: list[Attempt] = field(default_factory=list)
    failures: list[tuple[str, EndpointError]] = field(default_factory=list)
    hedged: bool = False
    candidate: str | None = None
    first_token_seconds: float | None = None
    seconds: float | None = None
    progress: Progress = field(default_factory=Progress)
    compared: dict[str, Progress] = field(default_factory=dict)
    rewards: dict[str, float | None] = field(default_factory=dict)
    status: int = 200
    error: str | None = None

    def asks(self, fleet: Fleet, request: ChatRequest) -> None:
        """Note what is asked.

        Raises:
            ApiError: it has too many messages or tokens.
        """
        self.fleet, self.request = fleet, request
        self.model, self.stream = request.model, request.stream
        check_size(request, fleet.serve)

    async def choose(self, gateway: Gateway, request: ChatRequest, writer: str | None = None) -> Choice:
        """Choose the candidates (`choice.choose`), and note the choice and how long it took."""
        self.routing_started = time.perf_counter()
        self.router_version = gateway.router_version
        self.choice = await choose(gateway, request, writer, self.asker)
        self.routing_seconds = time.perf_counter() - self.routing_started
        return self.choice

    def tries(self, candidate: str) -> Progress:
        """Note that a candidate is asked. Gives the progress of its answer."""
        self.progress = Progress()
        self.attempts.append(Attempt(candidate, time.perf_counter(), self.progress))
        return self.progress

    def ends(self, candidate: str, error: EndpointError | None = None) -> None:
        """Note that a candidate's answer is complete, or why it has none."""
        if error is not None:
            self.failures.append((candidate, error))
        for attempt in self.attempts:
            if attempt.candidate == candidate and attempt.seconds is None:
                attempt.seconds, attempt.error = time.perf_counter() - attempt.started, error

    def answers(self, candidate: str) -> None:
        """Note that a candidate has begun to answer."""
        self.candidate = candidate
        self.progress = next(attempt.progress for attempt in reversed(self.attempts) if attempt.candidate == candidate)
        self.first_token_seconds = time.perf_counter() - self.started

    @property
    def asker(self) -> str:
        """Whose turn a request takes at the router: its key's; without keys, each request has a turn of its own."""
        return self.key or self.request_id

    @property
    def routed(self) -> bool:
        """Whether the router has chosen, and not the client."""
        return self.choice is not None and self.choice.decision is not None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        headers = {"x-request-id": self.request_id}
        if self.candidate is not None:
            headers["x-model-router-selected-model"] = self.candidate.encode("ascii", "backslashreplace").decode()
            headers["x-zooter-attempts"] = str(len(self.failures) + 1)
            if self.choice and self.choice.decision:
                headers["x-zooter-probability"] = f"{self.choice.decision.probabilities[self.candidate]:.4f}"
        return headers

    @property
    def metadata(self) -> dict[str, Any]:
        """The field `zooter` for the answer; nothing unless the client asked for it."""
        if not self.wants_metadata:
            return {}
        shape: dict[str, Any] = {"request_id": self.request_id, "candidate": self.candidate}
        if self.choice is not None:
            shape |= self.choice.to_json()
        if self.rewards:
            shape["rewards"] = self.rewards
        shape["hedged"] = self.hedged
        shape["failed"] = [{"candidate": name, "reason": error.client_message} for name, error in self.failures]
        return {"zooter": shape}
