"""The record of one request, from which its metadata, headers, logs and metrics are made."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from zooter_core.backends.endpoint.abilities import get_nested, read_count
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.config.fleet import Fleet
from zooter_core.data.prices import cost
from zooter_core.serve.bodies import ChatRequest, Sender, estimate_tokens
from zooter_core.serve.choice import Choice
from zooter_core.serve.errors import MESSAGES, is_messages
from zooter_core.serve.targets import AnswerProgress

GONE = 499  # the status, in logs, of a request whose client went away
CHATS = ("/v1/chat/completions", MESSAGES)  # paths on which candidates are asked for a chat completion


@dataclass
class Outcome:
    """What is asked for, which candidates were chosen and asked, and which one answers. chat.py fills it."""

    request: ChatRequest | None = None  # None if the body was refused or has several conversations
    choice: Choice | None = None
    # Candidates that failed before their first token (`Attempts.failures`).
    failures: list[tuple[str, EndpointError]] = field(default_factory=list)
    hedged: bool = False  # whether another candidate was asked because one was slow
    candidate: str | None = None  # the candidate that answers; None until its first token
    first_token_seconds: float | None = None
    # The progress of its answer; until its first token, of the candidate that was asked last.
    progress: AnswerProgress = field(default_factory=AnswerProgress)
    # If the reward model chooses: candidate -> progress of its answer, including that of `progress`.
    compared: dict[str, AnswerProgress] = field(default_factory=dict)
    rewards: dict[str, float | None] = field(default_factory=dict)  # of these answers

    @property
    def routed(self) -> bool:
        """Whether the router, not the client, has chosen the candidates."""
        return self.choice is not None and self.choice.decision is not None


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens and the cost of answers."""

    prompt: int
    answer: int
    # Whether the candidates' servers counted the tokens. Otherwise they are estimates: one token per four bytes of
    # text, and per event in a stream.
    reported: bool
    dollars: float | None  # for prompts and answers; None if no candidate has a price in fleet.toml
    cached: int = 0  # prompt tokens that the candidates' servers report as cached
    thoughts: int = 0  # answer tokens that are thoughts; estimated if a server does not report them


@dataclass
class Exchange:
    """What has happened to a request so far. Observers get it when the request has ended.

    reply.py fills everything except the outcome.
    """

    path: str  # of the API, such as `/v1/chat/completions`
    sender: Sender
    request_id: str
    wants_metadata: bool = False  # whether the client asked for the field `zooter`
    started: float = field(default_factory=time.perf_counter)
    fleet: Fleet | None = None  # the fleet in use; None if the body was refused
    router_version: str | None = None  # of the fleet's router (`Gateway.router_version`)
    outcome: Outcome = field(default_factory=Outcome)
    status: int = 200  # of the answer; 499 if the client went away
    error: str | None = None  # what went wrong after the answer had begun, or the error's code
    seconds: float | None = None

    @property
    def asker(self) -> str:
        """Who takes a turn at the router: the request's key; without keys, each request for itself."""
        return self.sender.key or self.request_id

    @property
    def is_chat(self) -> bool:
        """Whether candidates are asked for a chat completion. Other APIs say nothing about a server's health."""
        return self.path in CHATS

    @property
    def headers(self) -> dict[str, str]:
        headers, choice = {"x-request-id": self.request_id}, self.outcome.choice
        if is_messages(self.path):
            headers["request-id"] = self.request_id  # as Anthropic's clients read it
        if (candidate := self.outcome.candidate) is not None:
            headers["x-model-router-selected-model"] = candidate.encode("ascii", "backslashreplace").decode()
            headers["x-zooter-attempts"] = str(len(self.outcome.failures) + 1)
            if choice and choice.decision:
                headers["x-zooter-probability"] = f"{choice.decision.probabilities[candidate]:.4f}"
        return headers

    @property
    def metadata(self) -> dict[str, Any]:
        """The field `zooter` for the answer; empty unless the client asked for it."""
        if not self.wants_metadata:
            return {}
        outcome = self.outcome
        shape: dict[str, Any] = {"request_id": self.request_id, "candidate": outcome.candidate}
        if outcome.choice is not None:
            shape |= outcome.choice.to_json()
        if outcome.rewards:
            shape["rewards"] = outcome.rewards
        shape["hedged"] = outcome.hedged
        shape["failed"] = [{"candidate": name, "reason": error.client_message} for name, error in outcome.failures]
        return {"zooter": shape}

    @cached_property
    def usage(self) -> Usage:
        """The tokens and the cost of all answers together, once they have ended; no tokens if there are no answers."""
        usages = list(self.usages.values())
        priced = [usage.dollars for usage in usages if usage.dollars is not None]
        return Usage(
            sum(usage.prompt for usage in usages),
            sum(usage.answer for usage in usages),
            bool(usages) and all(usage.reported for usage in usages),
            sum(priced) if priced else None,
            sum(usage.cached for usage in usages),
            sum(usage.thoughts for usage in usages),
        )

    @property
    def usages(self) -> dict[str, Usage]:
        """The usage so far of each candidate that answers, whether or not its answer is sent."""
        answers = dict(self.outcome.compared)
        if self.outcome.candidate is not None:
            answers[self.outcome.candidate] = self.outcome.progress
        return {name: self._usage(name, progress) for name, progress in answers.items()}

    def _usage(self, candidate: str, progress: AnswerProgress) -> Usage:
        assert self.outcome.request is not None
        assert self.fleet is not None
        report = progress.usage or {}
        prompt = _count(report, "prompt_tokens", "input_tokens")
        answer = _count(report, "completion_tokens", "output_tokens")
        tokens = answer or progress.tokens
        reported = prompt > 0 and (answer > 0 or not tokens)  # embeddings have no answer to count
        prompt = prompt or self.outcome.request.prompt_tokens
        details = ("prompt_tokens_details.cached_tokens", "input_tokens_details.cached_tokens")
        cached = min(_count(report, *details, "prompt_cache_hit_tokens"), prompt)  # the last one is DeepSeek's
        dollars = cost(self.fleet.candidate(candidate), prompt, tokens, cached)
        details = ("completion_tokens_details.reasoning_tokens", "output_tokens_details.reasoning_tokens")
        thoughts = _count(report, *details) or progress.thoughts or estimate_tokens(progress.parts.thoughts)
        return Usage(prompt, tokens, reported, dollars, cached, min(thoughts, tokens))


def _count(report: Mapping[str, Any], *paths: str) -> int:
    """The first nonzero count at one of these paths (chat completions' and the Responses API's); 0 if there is none."""
    counts = (read_count(get_nested(report, *path.split("."))) for path in paths)
    return next(filter(None, counts), 0)


Observer = Callable[[Exchange], None]
