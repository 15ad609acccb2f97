"""Imports logs of other programs, as read by `data/logs.py`, and the demo's conversations as traffic.

Choices in logs of other programs were not made by Zooter's router and have no probability. So their queries are used
for learning, but the choices are not evaluated. Ids are hashes of the records' contents, so that a file that is
imported twice is stored once.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Decision, Vote
from zooter_core.base.sqlite_file import UNUSABLE
from zooter_core.base.strict_json import of_type, parse_json
from zooter_core.config.fleet import Fleet
from zooter_core.data.json_records import as_number
from zooter_core.data.logs import FIELDS, Log, read_logs
from zooter_core.data.score_cells import WORDS
from zooter_core.learn.chores import is_chore
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import (
    DEMO,
    FEEDBACK,
    IMPORT,
    LoggedDecision,
    LoggedReward,
    id_prefix,
    user_ids,
)
from zooter_core.router.turns import current_topic

VERDICTS = {word: 2 * score - 1 for word, score in WORDS.items()} | {True: 1.0, False: -1.0}
AT_ONCE = 1000
SQLITE = b"SQLite format 3\0"
Import = tuple[LoggedDecision, Mapping[str, float]]  # a decision, and candidate -> feedback on its answer


def import_traffic(paths: Sequence[Path], traffic: Traffic, fleet: Fleet) -> tuple[int, Counter[str]]:
    """Add the requests in files (logs or folders of them, or databases of the demo) to the traffic of a fleet.

    Returns:
        The number of new requests, and the number of others by the reason why they were left out.

    Raises:
        ZooterError: a file is missing, or is of another kind.
        WorkError: the traffic cannot be written.
    """
    left_out, new, now = Counter[str](), 0, time.time()
    entries = ((_as_kept(decision, fleet, now), feedback) for decision, feedback in _read(paths, fleet, left_out))
    while part := list(islice(entries, AT_ONCE)):
        new += traffic.add(decision for decision, _ in part)
        traffic.add_rewards(
            LoggedReward(decision.request_id, _own_name(candidate, fleet), score, FEEDBACK, time=decision.time)
            for decision, feedback in part
            for candidate, score in feedback.items()
        )
    return new, left_out


def _own_name(name: str, fleet: Fleet) -> str:
    """The fleet's name for a model whose name in a log is that of the fleet or of the model's server."""
    if name in fleet.pool:
        return name
    called = zip(fleet.pool, fleet.names_in([name]), strict=True)
    return next((candidate for candidate, logged in called if logged == name), name)


def _as_kept(decision: LoggedDecision, fleet: Fleet, now: float) -> LoggedDecision:
    """The decision without data that the fleet does not store.

    Its time is limited to `now`, because with a later time it would be kept longer than the retention period.
    """
    return replace(
        decision,
        time=min(decision.time, now),
        candidate=decision.candidate and _own_name(decision.candidate, fleet),
        answer=decision.answer if fleet.learn.answers else None,
    )


def _read(paths: Sequence[Path], fleet: Fleet, left_out: Counter[str]) -> Iterator[Import]:
    histories = [path for path in paths if _is_history(path)]
    for path in histories:
        yield from _read_history(path, TURNS, _read_turn, left_out)
        yield from _read_history(path, CAST, _read_vote, left_out)
    for log in read_logs([path for path in paths if path not in histories], left_out) if histories != paths else ():
        if log.unanswered:
            left_out[log.unanswered] += 1
        else:
            yield _read_log(log, fleet, left_out)


def _is_history(path: Path) -> bool:
    """Whether a file is an SQLite database, like the demo's history."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


TURNS = (
    "SELECT c.id || ' ' || t.number, c.id, c.fleet, c.changed, t.record"
    " FROM turns t JOIN conversations c ON c.id = t.conversation ORDER BY c.changed, t.number"
)
CAST = "SELECT 'vote ' || id, '', fleet, time, record FROM votes ORDER BY time"


@dataclass
class _Figures:
    """The fields that are read from a response in the demo's history."""

    tokens: int | None = None
    thought_tokens: int | None = None
    seconds: float | None = None


@dataclass
class _DemoTurn:
    """The fields that are read from a turn in the demo's history (ui/chat/turns.py)."""

    query: str
    text: str
    candidate: str
    decision: Decision
    settings: dict[str, Any]
    responses: dict[str, _Figures]
    vote: int | None


def _read_turn(row: LoggedDecision, record: object) -> list[Import]:
    """A turn of the demo, with its vote."""
    turn = of_type(_DemoTurn, record)
    routed, answer = turn.decision, turn.responses.get(turn.candidate) or _Figures()
    by_router = turn.settings.get("mode") == "router"
    decision = replace(
        row, query=turn.query, context=routed.query if routed.query != turn.query else None, choice=routed.candidate,
        candidate=turn.candidate, reason="router" if by_router else "named",
        probability=routed.probabilities.get(routed.candidate) if by_router else None,
        probabilities=routed.probabilities, tags=[tag.name for tag in routed.tags], tokens=answer.tokens,
        seconds=answer.seconds, answer=turn.text, thought_tokens=answer.thought_tokens,
    )  # fmt: skip
    return [(decision, {} if turn.vote is None else _feedback(decision, VERDICTS[bool(turn.vote)]))]


def _read_vote(row: LoggedDecision, record: object) -> list[Import]:
    """A vote on a comparison: the best response is good and the others are bad. Other votes are ignored.

    In a tie, the responses have 0 each. If no response is good, all of them are bad.
    """
    if isinstance(record, dict) and record.get("kind") != Vote.KIND:
        return []
    vote = of_type(Vote, record)
    score = 0.0 if vote.outcome == "tie" else -1.0
    answered = vote.choice if vote.choice in vote.candidates else vote.candidates[0]
    decision = replace(
        row, query=vote.query, session=None, fleet=Path(row.fleet or "").name, choice=vote.choice,
        candidate=vote.best or answered, reason="compare", tags=[vote.tag] if vote.tag else (),
    )  # fmt: skip
    return [(decision, {candidate: 1.0 if candidate == vote.best else score for candidate in vote.candidates})]


def _read_history(
    path: Path, select: str, read: Callable[[LoggedDecision, object], list[Import]], left_out: Counter[str]
) -> Iterator[Import]:
    """Yield the complete turns or votes in the demo's history (ui/history.py)."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(select).fetchall()
    except UNUSABLE as problem:
        expected = f"the conversations of the demo in {path}"
        raise ZooterError(expected, str(problem), "Chat shows their path below the list of conversations.") from problem
    for name, session, fleet, moment, text in rows:
        try:
            record = parse_json(text)
            id = f"demo-{hashlib.sha256(name.encode()).hexdigest()[:40]}"
            yield from read(LoggedDecision(id, float(moment), "", session=session, fleet=fleet, source=DEMO), record)
        except (ValueError, TypeError, AttributeError):  # SQLite does not enforce a column's type
            left_out["a damaged record of the demo's history"] += 1


def _feedback(decision: LoggedDecision, score: float | None) -> dict[str, float]:
    """Feedback on the served answer; empty if there is no score or no candidate answered."""
    return {decision.candidate: score} if decision.candidate and score is not None else {}


def _read_log(log: Log, fleet: Fleet, left_out: Counter[str]) -> Import:
    """A request in a log, and the feedback on it: good, bad, or a number from -1 to 1."""
    values, vote = dict(log.values), log.fields.get("feedback")
    vote = vote.strip().lower() if isinstance(vote, str) else vote
    name, moment = values.pop("name"), values.pop("time")
    # LiteLLM logs a model by an alias (`model_group`) and by its provider's name. Use the name that is in the fleet.
    models = [str(log.fields.get(field)) for field in FIELDS["candidate"][1].split()]
    names = (_own_name(one, fleet) for model in models for one in (model, model.partition("/")[2]))
    values["candidate"] = next((one for one in names if one in fleet.pool), values["candidate"])
    digest = hashlib.sha256(f"{name} {log.record}".encode("utf-8", "replace")).hexdigest()
    routed = current_topic(log.turns)
    decision = LoggedDecision(
        f"{'import-' if name is None else id_prefix(name)}{digest[:40]}", moment or time.time(), log.turns[-1],
        context=routed if routed != log.turns[-1] else None, choice=values["candidate"], reason="import", source=IMPORT,
        chore=is_chore(log.turns, log.fields["metadata"]), **values,
        **user_ids(log.fields, "end_user", "user", "safety_identifier", "user_id", "metadata.user_id"),
    )  # fmt: skip
    score = VERDICTS[vote] if isinstance(vote, str | bool) and vote in VERDICTS else as_number(vote)
    if score is not None and abs(score) > 1:
        expected = f"feedback from -1 (bad) to 1 (good) in {log.place}"
        raise ZooterError(expected, f"{score:g}", "Write one to five stars as (stars - 3) / 2.")
    feedback = _feedback(decision, score)
    if vote is not None and not feedback:
        left_out["feedback that is not good, bad or a number, or names no model"] += 1
    return decision, feedback
