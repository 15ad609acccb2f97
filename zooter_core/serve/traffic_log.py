"""Stores the endpoint's traffic for learning (learn/traffic.py). It is written in a thread, so no answer waits for it.

If the disk is full or the file is locked, lines are lost, never requests.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zooter_core.backends.endpoint.faults import TOOLS, finish_name
from zooter_core.base.errors import ZooterError
from zooter_core.config.fleet import LearnConfig
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import (
    FEEDBACK,
    SERVED,
    VOTES,
    LoggedDecision,
    LoggedReward,
    user_ids,
)
from zooter_core.router.turns import current_topic
from zooter_core.serve.exchange import CHATS, GONE, Exchange

LOG = logging.getLogger("zooter.serve")
PATHS = (*CHATS, "/v1/responses")
MOST_WAITING = 2_000  # entries that are not yet written; further entries are lost
AT_ONCE = 500  # entries per transaction
CLEAN_SECONDS, DAY = 3600.0, 86_400.0
EARLY_SECONDS = 60.0  # how long feedback waits for its decision, which is written after the client has the answer
Entry = LoggedDecision | LoggedReward


class TrafficLog:
    """Stores each exchange that has ended. `close` writes the remaining entries.

    Args:
        folder: the folder of the file.
        config: how long entries are kept.

    Raises:
        ZooterError: the file cannot be opened.
    """

    def __init__(self, folder: Path, config: LearnConfig) -> None:
        self.config = config
        self._traffic = Traffic.open(folder)
        self._waiting: queue.Queue[Entry | None] = queue.Queue(MOST_WAITING)
        self._failing, self._early = False, list[LoggedReward]()
        self._cleaned = self._rewritten = -math.inf
        self._thread = threading.Thread(target=self._write_all, name="traffic", daemon=True)
        self._thread.start()

    def __call__(self, exchange: Exchange) -> None:
        """Queue an exchange to be stored."""
        if exchange.path in PATHS and (decision := make_logged_decision(exchange)):
            self._put(decision)

    def add_feedback(self, record: Mapping[str, Any]) -> None:
        """Queue feedback on an answer to be stored. Feedback with only a comment is not a reward."""
        score = VOTES.get(record.get("verdict", ""), record.get("score"))
        if score is not None:
            reward = LoggedReward(record["request_id"], "", float(score), FEEDBACK, SERVED, None, record["time"])
            self._put(reward)

    def decision(self, request_id: str) -> LoggedDecision | None:
        """The stored decision of a request; None if there is none, or none yet."""
        return self._traffic.decision(request_id)

    def _put(self, entry: Entry) -> None:
        try:
            self._waiting.put_nowait(entry)
        except queue.Full:
            self._warn("the disk is too slow")

    def close(self) -> None:
        """Write the remaining entries and close the file."""
        self._waiting.put(None)
        self._thread.join()
        self._traffic.close()

    def _write_all(self) -> None:
        entries: list[Entry | None] = []  # none at first: old entries are deleted even if no request comes
        while True:
            try:
                self._write([entry for entry in entries if entry is not None])
                self._clean()
            except ZooterError as problem:
                self._warn(str(problem))
            except Exception:  # e.g. SQLite's: the thread goes on
                LOG.exception("entries of the traffic are lost")
            else:
                self._failing = False
            if None in entries:
                return
            entries = self._next()

    def _next(self) -> list[Entry | None]:
        """The waiting entries, as soon as there are any; empty if it is time to clean up first."""
        try:
            entries = [self._waiting.get(timeout=CLEAN_SECONDS)]
        except queue.Empty:
            return []
        while len(entries) < AT_ONCE and not self._waiting.empty():
            entries.append(self._waiting.get())
        return entries

    def _write(self, entries: list[Entry]) -> None:
        self._traffic.add([entry for entry in entries if isinstance(entry, LoggedDecision)])
        rewards = self._early + [entry for entry in entries if isinstance(entry, LoggedReward)]
        for reward in rewards:
            decision = self._traffic.decision(reward.request_id)
            if decision is not None and decision.candidate is not None:
                reward.candidate = decision.candidate
        self._traffic.add_rewards(reward for reward in rewards if reward.candidate)
        since = time.time() - EARLY_SECONDS
        self._early = [reward for reward in rewards if not reward.candidate and reward.time > since]

    def _clean(self) -> None:
        """Delete old entries once an hour; rewrite the file once a day."""
        if self.config.retention_days and time.monotonic() >= self._cleaned + CLEAN_SECONDS:
            self._cleaned, oldest = time.monotonic(), time.time() - self.config.retention_days * DAY
            rewrite = self._cleaned >= self._rewritten + DAY
            try:
                self._traffic.delete(older_than=oldest, rewrite=rewrite)
            except ZooterError as problem:
                LOG.warning("old traffic was not deleted; the next attempt is in an hour: %s", problem)
                return
            self._rewritten = self._cleaned if rewrite else self._rewritten

    def _warn(self, reason: str) -> None:
        if not self._failing:
            LOG.warning("entries of the traffic are lost: %s", reason)
        self._failing = True


def make_logged_decision(exchange: Exchange) -> LoggedDecision | None:
    """What is stored of an exchange that has ended; None if no candidate was chosen, or it has no text from a user."""
    fleet, outcome = exchange.fleet, exchange.outcome
    request, choice = outcome.request, outcome.choice
    if not (fleet and request and choice and request.user_texts and request.user_texts[-1].strip()):
        return None

    turns, usage, progress = request.user_texts, exchange.usage, outcome.progress
    # Requests in a tool loop are not decisions of their own: the router decided at the user's turn.
    decision = None if request.in_tool_loop else choice.decision
    routed = decision.query if decision else current_topic(turns)
    complete = exchange.status != GONE or progress.finish is not None  # not if the client disconnected
    calls = progress.calls or finish_name(progress.finish) in TOOLS  # text beside tool calls is not yet an answer
    answer = progress.parts.text if fleet.learn.answers and complete and not calls else ""
    first, sender = choice.order[0], exchange.sender
    return LoggedDecision(
        request_id=exchange.request_id,
        time=time.time(),
        query=turns[-1],
        key=sender.key,
        **user_ids({"user": sender.user} if sender.user else request.body, "user", "safety_identifier"),
        session=request.session[:16],
        context=routed if routed != turns[-1] else None,
        fleet=fleet.name,
        router=exchange.router_version,
        choice=first,
        candidate=outcome.candidate,
        probability=decision.probabilities[first] if decision else None,
        probabilities=decision.probabilities if decision else {},
        reason=choice.reason,
        tags=[tag.name for tag in decision.tags] if decision else (),
        prompt_tokens=usage.prompt,
        tokens=usage.answer,
        dollars=usage.dollars,
        seconds=exchange.seconds,
        first_token_seconds=outcome.first_token_seconds,
        finish=progress.finish or exchange.error,
        answer=answer or None,
        chore=request.chore,
        thought_tokens=usage.thoughts,
    )
