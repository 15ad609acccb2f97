"""Logs of other programs as traffic: LiteLLM's, OpenAI batch files, plain JSON lines, and the demo's conversations.

Nothing in logs of others was chosen by a router of ours, so they have no probability: they count as queries to learn
from, not as decisions to judge. An id is made of the record's content: a file that is imported twice is stored once.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zooter_core.base.errors import ZooterError
from zooter_core.base.strict_json import is_number, parse_json
from zooter_core.config.learn import LearnConfig
from zooter_core.data.json_records import Place, each_record, json_files
from zooter_core.learn.chores import is_chore
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import (
    DEMO,
    FEEDBACK,
    IMPORT,
    LONGEST_ANSWER,
    LONGEST_TEXT,
    LoggedDecision,
    LoggedReward,
    id_prefix,
)
from zooter_core.router.turns import topic_of

LITELLM, BATCH, PLAIN = "litellm", "openai-batch", "jsonl"
VOTES = {"good": 1.0, "bad": -1.0, True: 1.0, False: -1.0}
AT_ONCE = 1000
SQLITE = b"SQLite format 3\0"
COMPARISON = "comparison"  # marks the votes of the page Compare
LATEST = 1e11  # seconds: a time above it counts thousandths, millionths or billionths of one
Record = dict[str, Any]
Import = tuple[LoggedDecision, Mapping[str, float]]  # a decision, and feedback on candidates' answers to it


def import_traffic(paths: Sequence[Path], traffic: Traffic, config: LearnConfig) -> tuple[int, Counter[str]]:
    """Add the requests in files to the traffic.

    Args:
        paths: files of JSON or JSON lines, also gzipped, or folders of them.
        config: whether answers are kept.

    Returns:
        how many are new, and why others were left out -> their number.

    Raises:
        ZooterError: a file holds something else. `check_paths` refuses missing ones.
        WorkError: the traffic cannot be written.
    """
    left_out: Counter[str] = Counter()
    part: list[Import] = []
    new = 0

    def store() -> int:
        count = traffic.add(decision for decision, _ in part)
        traffic.add_rewards(
            LoggedReward(entry.request_id, candidate, score, FEEDBACK, time=entry.time)
            for entry, feedback in part
            for candidate, score in feedback.items()
        )
        part.clear()
        return count

    for decision, feedback in _read(paths, left_out):
        part.append((_storable(decision, config), feedback))
        if len(part) >= AT_ONCE:
            new += store()
    return new + store(), left_out


def _storable(decision: LoggedDecision, config: LearnConfig) -> LoggedDecision:
    """A decision with what may be stored of its texts."""
    context, answer = decision.context, decision.answer if config.answers else None
    return replace(
        decision,
        query=decision.query[:LONGEST_TEXT],
        context=context and context[:LONGEST_TEXT],
        answer=answer and answer[:LONGEST_ANSWER],
    )


def check_paths(paths: Sequence[Path]) -> None:
    """Refuse a path with nothing at it, before anything is opened to be written.

    Raises:
        ZooterError: there is one.
    """
    for path in paths:
        if not path.exists():
            raise ZooterError("a file of traffic", f"nothing at {path}", "Check the path.")


def _read(paths: Sequence[Path], left_out: Counter[str]) -> Iterator[Import]:
    batch = defaultdict[str, list[Record]](list)  # inputs of a batch by their custom id, until their output comes
    outputs = defaultdict[str, list[Record]](list)
    count = 0
    for path in paths:
        if _is_history(path):
            count += 1
            yield from _conversations(path)
            yield from _votes(path)
            continue
        for file in json_files(path):
            form = ""  # of the file's first record
            for place, record in each_record(file):
                count += 1
                form = form or _form_of(record, place)
                if form == BATCH:
                    custom = str(record.get("custom_id"))
                    (batch if "body" in record else outputs)[custom].append(record)
                elif (entry := (_litellm if form == LITELLM else _plain)(record)) is None:
                    left_out["no text of a user"] += 1
                elif beyond := [score for score in entry[1].values() if abs(score) > 1]:
                    expected = f"feedback from -1 (bad) to 1 (good) in {place}"
                    raise ZooterError(expected, f"{beyond[0]:g}", "Write one to five stars as (stars - 3) / 2.")
                else:
                    if form == PLAIN and record.get("feedback") is not None and not entry[1]:
                        left_out["feedback that is not good, bad or a number, or names no model"] += 1
                    yield entry
    if not count:
        raise ZooterError("at least one record", "none", "Check the paths.", "The files hold no record.")
    for custom, records in batch.items():
        if custom not in outputs:
            left_out["a request of the batch without its output: name both files"] += len(records)
        elif len(records) > 1 or len(outputs[custom]) > 1:  # nothing tells which output is whose
            left_out["a custom_id of several batches: import each batch by itself"] += len(records)
        elif (entry := _batch(records[0], outputs[custom][0])) is None:
            left_out["no text of a user, or no answer"] += 1
        else:
            yield entry
    if missing := len(outputs.keys() - batch.keys()):
        left_out["an output of the batch without its request: name both files"] += missing


def _is_history(path: Path) -> bool:
    """Whether a file is a database of SQLite, as the demo's conversations are."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def _conversations(path: Path) -> Iterator[Import]:
    """The turns of the demo's history (ui/history.py), with their votes."""
    select = (
        "SELECT c.id, c.fleet, c.changed, t.number, t.record FROM turns t JOIN conversations c ON c.id = t.conversation"
        " ORDER BY c.changed, t.number"
    )
    rows = _history_rows(path, select)
    for conversation, fleet, changed, number, text in rows:
        record = parse_json(text)
        routed, answer = record["decision"], record["responses"].get(record["candidate"]) or {}
        by_router = record["settings"]["mode"] == "router"
        name = f"{conversation} {number}"
        decision = LoggedDecision(
            f"demo-{hashlib.sha256(name.encode()).hexdigest()[:40]}", changed, record["query"], session=conversation,
            context=routed["query"] if routed["query"] != record["query"] else None, fleet=fleet,
            choice=routed["candidate"], candidate=record["candidate"], reason="router" if by_router else "named",
            probability=routed["probabilities"][routed["candidate"]] if by_router else None,
            probabilities=routed["probabilities"], tags=[tag["name"] for tag in routed["tags"]],
            tokens=answer.get("tokens"), seconds=answer.get("seconds"), answer=record["text"], source=DEMO,
        )  # fmt: skip
        vote = record["vote"]
        yield decision, {} if vote is None else _feedback(decision, VOTES[bool(vote)])


def _votes(path: Path) -> Iterator[Import]:
    """The votes on comparisons (ui/compare/comparisons.py): the best response is good and the others are not.

    Equally good responses have 0 each, and where none is good, all are bad.
    """
    for name, fleet, moment, text in _history_rows(path, "SELECT id, fleet, time, record FROM votes ORDER BY time"):
        record = parse_json(text)
        if record.get("kind") != COMPARISON:
            continue
        best, score = record["best"], {"best": -1.0, "none": -1.0, "tie": 0.0}[record["outcome"]]
        decision = LoggedDecision(
            f"demo-{hashlib.sha256(f'vote {name}'.encode()).hexdigest()[:40]}", moment, record["query"],
            fleet=Path(fleet).name, choice=record["router"], candidate=best or record["router"], reason="compare",
            tags=[record["tag"]] if record.get("tag") else (), source=DEMO,
        )  # fmt: skip
        yield decision, {candidate: 1.0 if candidate == best else score for candidate in record["candidates"]}


def _history_rows(path: Path, select: str) -> list[Any]:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return database.execute(select).fetchall()
    except sqlite3.Error as problem:
        expected = f"the conversations of the demo in {path}"
        raise ZooterError(expected, str(problem), "The page History of the demo shows the path.") from problem


def _feedback(decision: LoggedDecision, score: float | None) -> dict[str, float]:
    """Feedback on the answer that was served; none without a score, or if nobody answered."""
    return {decision.candidate: score} if decision.candidate and score is not None else {}


def _form_of(record: Record, place: Place) -> str:
    if "custom_id" in record:
        return BATCH
    if "call_type" in record or ("startTime" in record and "model" in record):
        return LITELLM
    if "query" in record or "messages" in record:
        return PLAIN
    expected = "a log of LiteLLM, an OpenAI batch file, or lines with `query` or `messages`"
    raise ZooterError(
        f"{expected} in {place}", f"a record with {', '.join(list(record)[:5]) or 'nothing'}", "Check the path."
    )


def _litellm(record: Record) -> Import | None:
    """A StandardLoggingPayload, or a row of the table LiteLLM_SpendLogs."""
    turns = _turns(record.get("messages"))
    if not turns and isinstance(request := record.get("proxy_server_request"), str | dict):
        parsed = _json(request)
        turns = _turns(parsed.get("messages")) if isinstance(parsed, dict) else []
    metadata = _json(record.get("metadata"))
    metadata = metadata if isinstance(metadata, dict) else {}
    began, ended = _time(record.get("startTime")), _time(record.get("endTime"))
    first = _time(record.get("completionStartTime"))
    response = _json(record.get("response"))
    return _entry(
        turns,
        record,
        record.get("id") or record.get("request_id"),
        when=ended or began,
        key=_text(metadata.get("user_api_key_alias")) or _text(record.get("api_key")),
        user=_text(record.get("end_user")) or _text(record.get("user")),
        session=_text(record.get("session_id")) or _text(record.get("trace_id")),
        candidate=_text(record.get("model_group")) or _text(record.get("model")),
        prompt_tokens=_count(record.get("prompt_tokens")),
        tokens=_count(record.get("completion_tokens")),
        dollars=_number(record.get("response_cost", record.get("spend"))),
        seconds=ended - began if began and ended and ended >= began else None,
        first_token_seconds=first - began if began and first and first >= began else None,
        finish=_text(record.get("status")),
        answer=response if isinstance(response, str) else _answer(response),
        chore=is_chore(turns, metadata),
    )


def _batch(record: Record, output: Record) -> Import | None:
    """A request of OpenAI's Batch API and its output."""
    body, response = record.get("body"), output.get("response")
    reply = response.get("body") if isinstance(response, dict) else None
    if not isinstance(body, dict) or not isinstance(reply, dict) or not reply.get("choices"):
        return None
    turns, usage = _turns(body.get("messages")), reply.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return _entry(
        turns,
        record | {"output": output},
        record.get("custom_id"),
        when=_time(reply.get("created")),
        user=_text(body.get("user")),
        candidate=_text(body.get("model")),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        tokens=_count(usage.get("completion_tokens")),
        answer=_answer(reply),
        chore=is_chore(turns, body.get("metadata")),
    )


def _plain(record: Record) -> Import | None:
    """A line with `query` or `messages`, and what it has of our names; `feedback` is good, bad or from -1 to 1."""
    query = record.get("query")
    turns = [query] if isinstance(query, str) and query.strip() else _turns(record.get("messages"))
    vote = record.get("feedback")
    score = VOTES.get(vote) if isinstance(vote, str | bool) else _number(vote)
    answer = record.get("answer", record.get("response"))
    entry = _entry(
        turns,
        record,
        record.get("request_id") or record.get("id"),
        when=_time(record.get("time") or record.get("timestamp") or record.get("created")),
        candidate=_text(record.get("candidate")) or _text(record.get("model")),
        **{name: _text(record.get(name)) for name in ("key", "user", "session", "finish")},
        **{name: _count(record.get(name)) for name in ("prompt_tokens", "tokens")},
        **{name: _number(record.get(name)) for name in ("dollars", "seconds")},
        answer=answer if isinstance(answer, str) else None,
        chore=is_chore(turns, record.get("metadata")),
    )
    return entry and (entry[0], _feedback(entry[0], score))


def _entry(turns: list[str], record: Record, name: object, *, when: float | None, **values: Any) -> Import | None:
    if not turns:
        return None
    digest = hashlib.sha256(f"{name} {record}".encode("utf-8", "replace")).hexdigest()
    prefix = "import-" if name is None else id_prefix(str(name))
    routed = topic_of(turns)
    context = routed if routed != turns[-1] else None
    decision = LoggedDecision(
        f"{prefix}{digest[:40]}", when or time.time(), turns[-1], context=context, reason="import", source=IMPORT,
        **values,
    )  # fmt: skip
    decision.choice = decision.candidate
    return decision, {}


def _turns(messages: object) -> list[str]:
    """The texts of the user's turns; LiteLLM may store messages as a text of JSON, or a prompt as it is."""
    messages = _json(messages)
    if isinstance(messages, str):
        return [messages] if messages.strip() else []
    turns = []
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            parts = content if isinstance(content, list) else [{"text": content}]
            texts = [part.get("text") for part in parts if isinstance(part, dict)]
            turns.append("\n".join(text for text in texts if isinstance(text, str)))
    return [turn for turn in turns if turn.strip()]


def _answer(response: object) -> str | None:
    choices = response.get("choices") if isinstance(response, Mapping) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    return _text(message.get("content")) if isinstance(message, dict) else None


def _json(value: object) -> Any:
    """A value, parsed if it is a text of JSON."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return parse_json(value)
        except (ValueError, RecursionError):
            return value
    return value


def _time(value: object) -> float | None:
    """Seconds since 1970, from a number or a date in ISO 8601; without a time zone it is UTC."""
    if is_number(value):
        seconds = next((value / unit for unit in (1, 1e3, 1e6, 1e9) if value / unit <= LATEST), 0.0)
    elif isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    else:
        return None
    return seconds if seconds > 0 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    return float(value) if is_number(value) else None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 40 else None
