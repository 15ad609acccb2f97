"""Reads logs of many programs. `zooter queries` and `zooter learn import` use this reader.

SHAPES recognises records by their keys. FIELDS lists the names that programs use for the fields of a `Log`. Both use
snake_case, to which keys are converted when they are read. Records without a user's query are counted by reason, and
invalid records do not end the reading.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from zooter_core.base.errors import ZooterError, listed, one_line
from zooter_core.base.strict_json import objects
from zooter_core.data.json_records import (
    FIX_LINE,
    Place,
    as_count,
    as_json,
    as_number,
    as_text,
    as_time,
    each_row,
    json_files,
)

FORMATS = """Known are JSON or tables (CSV) with `query`, `question`, `prompt`, `instruction` or `messages`, \
batch files, pairs of `request` and `response`, logs of LiteLLM, ShareGPT's `conversations`, \
exports of Langfuse (`input`), LangSmith (`inputs`), Open WebUI, ChatGPT and Claude, and a .txt with a query a line."""
JOIN = "If the queries are in another file, as with HELM's, join the two files by their ids first."
RENAME = """Rename the field with the query to `query`. The first line of a table names its columns, and a file with a \
query a line ends in .txt and has no tab in its first line."""
BATCH, LITELLM, LANGSMITH, PLAIN, OTHER = "OpenAI batch", "LiteLLM", "LangSmith", "plain", "other"


class Shape(NamedTuple):
    """A program's record format."""

    form: str  # the program; "" if it is unknown
    keys: set[str]  # the keys that a record must have
    kind: str = ""  # the key with the kind of call, if there are several kinds
    generations: str = ""  # a pattern of the kinds in which a model answers


SHAPES = (
    Shape(BATCH, {"custom_id"}, "url", r".*/(chat/completions|completions|responses)"),
    Shape(
        LITELLM,
        {"call_type"},
        "call_type",
        r"a?(text_)?completion|a?responses|anthropic_messages|a?generate_content\w*",
    ),
    Shape(LANGSMITH, {"run_type"}, "run_type", "llm"),
    Shape(LANGSMITH, {"inputs"}),
    *(Shape(PLAIN, {name}) for name in ("query", "instruction")),
    Shape(OTHER, {"input"}, "type", "generation"),  # Langfuse
    Shape(LITELLM, {"start_time", "model"}),
    # ShareGPT, Chatbot Arena, proxies; Open WebUI (chats, feedback), ChatGPT, Claude.
    *(Shape(OTHER, {name}) for name in ("conversations", "conversation", "conversation_a", "request")),
    *(Shape(OTHER, {name}) for name in ("chat", "turns", "snapshot", "mapping", "chat_messages", "request_body")),
    *(Shape(PLAIN, {name}) for name in ("messages", "prompt", "question", "problem")),
)
NO_SHAPE = Shape("", set())
CALLS = {  # part of another kind's name -> the reason why it is left out
    "embed": "embeddings", "image": "images", "moderation": "moderation", "speech": "speech",
    "transcription": "transcriptions", "rerank": "reranking",
}  # fmt: skip
CUT = {"redacted": r"\A(\s*redacted-by-litellm)+\s*\Z", "cut short by LiteLLM": r"\(litellm_truncated "}
TEXTS = (  # fields with the messages or the user's text
    *("query", "messages", "conversations", "conversation", "prompt", "prompts", "input", "inputs", "question"),
    *("problem", "contents", "proxy_server_request", "request_body", "request", "body", "chat", "chat_messages"),
    *("turns", "snapshot", "conversation_a", "raw", "versions", "inputBodyJson", "text"),
)
HEADINGS = {  # field -> its names in tables and other programs
    "query": """queries questions user_query user_question user_prompt user_input user_message query_text question_text
frage anfrage pregunta consulta pergunta domanda requête vraag pytanie вопрос запрос 问题 提问 質問 질문 سؤال प्रश्न""",
    "model": "modell modelo modèle modello модель 模型 モデル 모델",
    "score": "bewertung punkte puntuación pontuação punteggio оценка 得分 分数 评分 点数 점수",
    "winner": "preferred preferred_model gewinner ganador gagnant vincitore победитель 胜者",
    "response": "antwort respuesta réponse resposta risposta ответ 回答",
}
NAMES = {word: name for name, words in HEADINGS.items() for word in words.split()}
USER = ("user", "human", "humanmessage", "humanmessagechunk")
ASSISTANT = ("assistant", "gpt", "chatgpt", "bot", "ai", "aimessage", "aimessagechunk", "model")
FIRST = ("choices", "generations", "candidates", "versions")  # lists of alternatives, of which the first is used
ANSWERS = (*FIRST, "message", "messages", "output", "outputBodyJson", "content", "parts", "text", "answer", "response")
DEEPEST = 12  # levels of objects and lists around a text
HUMP = re.compile(r"(?<=[a-z\d])(?=[A-Z])|\s+")
INSIDE = re.compile(r"(inputs?|outputs?|vars|feedback(_scores)?)[./]")  # as in LangSmith's "inputs.question"
Record = dict[str, Any]
Source = tuple[Path, Place, Shape]


@dataclass(frozen=True, slots=True)
class Log:
    """One request of a user."""

    file: Path
    place: Place
    form: str
    record: Record  # unchanged from the file
    # The record's fields with names in snake_case. Fields of its metadata and usage also have names such as
    # `usage.input`.
    fields: Mapping[str, Any]
    turns: Sequence[str]  # the user's texts, oldest first; at least one
    unanswered: str  # why the answer of a batch request is not known; otherwise empty
    # FIELDS, seconds, first_token_seconds and answer; None if not known. Times are seconds since 1970.
    values: Mapping[str, Any]


def read_logs(paths: Sequence[Path], left_out: Counter[str]) -> Iterator[Log]:
    """Yield the requests of users in files, plain or gzipped, and in folders of them. Batch requests come last.

    Args:
        left_out: counts the other records by reason.

    Raises:
        ZooterError: a file is missing, damaged or of an unknown format, or there are no records.
    """
    requests, outputs = defaultdict[str, list[Any]](list), defaultdict[str, list[Record]](list)
    total = 0
    for file in (file for path in paths for file in json_files(path, (".json", ".jsonl", ".csv", ".tsv", ".parquet"))):
        forms, strange = set[str](), list[Any]()
        for place, record, shape in records_in(file):
            total += 1
            forms.add(shape.form)
            if not shape.form:
                left_out["of an unknown format" if isinstance(record, dict) else "broken"] += 1
                strange = strange or [record]
            elif shape.form != BATCH:
                yield from _log(left_out, (file, place, shape), record, record)
            elif isinstance(record.get("body", record.get("params")), dict):  # OpenAI's, or Anthropic's
                requests[str(record["custom_id"])].append(((file, place, shape), record))
            else:
                outputs[str(record["custom_id"])].append(record)
        if forms == {""}:
            if isinstance(strange[0], ZooterError):
                raise strange[0]
            first = f"records with the fields {listed(read_fields(strange[0])) or 'none'}"
            raise ZooterError(f"a log of a known format in {file}", first, f"{FORMATS} {RENAME}")
    if not total:
        raise ZooterError.saying("The files hold no record.", "Check the paths.")
    for name, group in requests.items():
        replies = outputs.pop(name, [])
        for source, record in group:
            yield from _log(left_out, source, *_answered(record, replies, len(group) + len(replies) > 2))
    if alone := sum(map(len, outputs.values())):
        left_out["an output of the batch without its request: name both files"] += alone


def _answered(record: Record, outputs: list[Record], several: bool) -> tuple[Record, Record, str]:
    """The fields of a request to OpenAI's Batch API and of its output, and the reason if there is no answer."""
    fields = record | read_fields(record.get("body", record.get("params"))) | {"custom_id": record["custom_id"]}
    if several:
        return record, fields, "a custom_id of several batches: import each batch by itself"
    if not outputs:
        return record, fields, "a request of the batch without its output: name both files"
    message = read_fields(outputs[0].get("result")).get("message")  # of Anthropic
    fields |= _reply(message or outputs[0].get("response"))
    answered = any(map(read_fields(fields["response"]).get, ("choices", "output", "content")))
    return record | {"output": outputs[0]}, fields, "" if answered else "a request of the batch without an answer"


def _reply(response: object) -> Record:
    """The fields of a log from a server's answer."""
    reply = read_fields(response)
    reply = read_fields(reply.get("body")) or reply
    created = reply.get("created", reply.get("created_at"))
    return {"response": reply or response, "usage": reply.get("usage"), "created": created}


def _branch(nodes: Record, name: object) -> list[Record]:
    """The messages up to a node, in a conversation exported from ChatGPT, which may have branches."""
    messages = []
    for _ in nodes:
        node = read_fields(nodes.get(as_text(name) or ""))
        message, name = read_fields(node.get("message")), node.get("parent")
        role, content = (read_fields(message.get(key)) for key in ("author", "content"))
        messages.append({"role": role.get("role"), "content": content.get("parts")})
    return messages[::-1]


def records_in(file: Path) -> Iterator[tuple[Place, Any, Shape]]:
    """Yield the records of a file with their places and shapes. If an object contains records of a known shape, also in
    a text, these are yielded instead."""
    for place, value in each_row(file):
        shape = _find_shape(value)
        parts = list(value.values()) if isinstance(value, dict) and not shape.form else []
        inner = [(place, part, _find_shape(part)) for entries in parts if isinstance(entries, list) for part in entries]
        if not any(part[2].form for part in inner):
            inner = [
                (place, value | part, shape) for part in map(read_fields, parts) if (shape := _find_shape(part)).form
            ]
        yield from inner or [(place, value, shape)]


def _find_shape(record: object) -> Shape:
    names = read_fields(record).keys() if isinstance(record, dict) else set[str]()
    return next((shape for shape in SHAPES if shape.keys <= names), NO_SHAPE)


def query_in(place: Place, fields: Mapping[str, Any]) -> str:
    """The query in the fields of a record with a single text of the user; "" if the text is empty.

    Raises:
        ZooterError: no field contains a query, or a conversation contains several.
    """
    for name in ("query", "question", "prompt"):  # the record may also have the messages that followed
        if isinstance(text := fields.get(name), str) and isinstance(as_json(text), str):
            return text
    turns = turns_in(messages_in(fields))
    if len(turns) == 1:
        return turns[0]
    if turns:
        step = "Make queries of conversations with `zooter queries --from FILE`."
        raise ZooterError(f"one text of a user in {place}", str(len(turns)), step)
    texts = [fields[name] for name in TEXTS if name in fields]
    if texts and not any(str(value or "").strip() for value in texts):
        return ""
    described = repr(texts[0])[:60] if texts else f"the fields {listed(name for name in fields if name != 'scores')}"
    step = FIX_LINE if texts else f"{RENAME} {JOIN}"
    raise ZooterError(f'"query" as a text that is not empty in {place}', described, step)


def read_fields(record: object) -> Record:
    """The fields of an object, also of a JSON text, with keys from `field_name`; {} for any other value.

    An instruction becomes the `query`, together with its input (as in Alpaca's data) or its context (as in Dolly's).
    """
    value = as_json(record)
    fields: Record = {}
    for heading, part in value.items() if isinstance(value, dict) else ():
        if (name := field_name(str(heading))) not in fields or name == heading:
            fields[name] = part
    if isinstance(instruction := fields.get("instruction"), str):
        about = as_text(fields.get("input")) or as_text(fields.get("context")) or ""
        fields.setdefault("query", f"{instruction}\n\n{about}".strip())
    return fields


@lru_cache(1000)
def field_name(heading: str) -> str:
    """A key or a column heading in snake_case, translated to the names in FIELDS and SHAPES: "Frage" is a `query`."""
    name = INSIDE.sub("", HUMP.sub("_", heading.strip()).lower())
    return NAMES.get(name, name)


def messages_in(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The role and text of each message in a record's fields."""
    if isinstance(nodes := fields.get("mapping"), dict):
        return _messages(_branch(nodes, fields.get("current_node")), TEXTS)
    return _messages({name: fields.get(name) for name in TEXTS}, TEXTS)


def has_logged_answer(fields: Mapping[str, Any]) -> bool:
    """Whether a record's `answer` is a model's answer and not a key, because the record has its model or its time."""
    names = ("candidate", "time", "tokens")
    return isinstance(fields.get("answer"), str) and any(_first(fields, *FIELDS[name]) is not None for name in names)


def turns_in(messages: Sequence[tuple[str, str]]) -> list[str]:
    """The user's texts in a conversation, oldest first."""
    return [text for role, text in messages if role in USER and text.strip()]


def _log(left_out: Counter[str], source: Source, record: Record, request: Record, no_answer: str = "") -> Iterator[Log]:
    """Yield the request in a record, unless it is left out. `request` has fields that may be missing in the record."""
    file, place, shape = source
    fields = read_fields(request)
    if body := read_fields(fields.get("request_body", fields.get("request"))):  # of logs with request and response
        body = read_fields(body.get("body")) or body
        fields = body | fields | _reply(fields.get("response_body", fields.get("response")))
    fields = _vote_in(fields) | fields
    messages = messages_in(fields)
    turns = turns_in(messages)
    if reason := _why_left_out(fields, shape, turns):
        left_out[reason] += 1
        return
    fields.pop({LANGSMITH: "session_id", LITELLM: ""}.get(shape.form, "api_key"), None)  # a project's id; a secret
    fields["metadata"] = read_fields(fields.get("metadata")) | read_fields(
        read_fields(fields.get("extra")).get("metadata")
    )
    fields["usage"] = read_fields(fields.get("usage")) | read_fields(fields.get("usage_details"))
    fields |= {f"{name}.{key}": value for name in ("metadata", "usage") for key, value in fields[name].items()}
    yield Log(file, place, shape.form, record, fields, turns, no_answer, _values(fields, messages))


def _why_left_out(fields: Record, shape: Shape, turns: Sequence[str]) -> str:
    """The reason why a record is not a user's query; "" if it is one."""
    call = str(fields.get(shape.kind) or "").lower() if shape.kind else ""
    if call and not re.fullmatch(shape.generations, call):
        return next((name for part, name in CALLS.items() if part in call), f"other calls ({one_line(call, 40)})")
    if not turns:
        return "without text"
    return next((reason for reason, pattern in CUT.items() if re.search(pattern, turns[-1])), "")


def _values(fields: Record, messages: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """`Log.values`."""
    values = {name: _first(fields, read, names) for name, (read, names) in FIELDS.items()}
    began, ended = as_time(fields.get("start_time")), as_time(fields.get("end_time"))
    first = _first(fields, as_time, "completion_start_time first_token_time")
    values["first_token_seconds"] = first - began if began and first and first >= began else None
    seconds = ended - began if began and ended and ended >= began else None
    reply = messages[-1][1] if messages[-1][0] in ASSISTANT else None
    answer = _first(fields, _answer, "answer response output outputs completion choices") or reply
    values["answer"] = None if re.search(CUT["redacted"], answer or "") else answer
    values["seconds"] = _first(fields, as_number, "seconds") or seconds
    return values


def _first(fields: Mapping[str, Any], read: Callable[[object], Any], names: str) -> Any:
    """The value of the first readable field with one of these names."""
    return next((value for name in names.split() if (value := read(fields.get(name))) is not None), None)


def _vote_in(fields: Record) -> Record:
    """The model and the thumb of the last answer in a chat of Open WebUI, or in its feedback."""
    if "snapshot" in fields:
        data = read_fields(fields.get("data"))
        return {"model": data.get("model_id"), "feedback": data.get("rating")}
    answer = (objects(read_fields(fields.get("chat")).get("messages")) or [{}])[-1]
    return {"model": answer.get("model"), "feedback": read_fields(answer.get("annotation")).get("rating")}


def _messages(value: object, names: Sequence[str], depth: int = DEEPEST) -> list[tuple[str, str]]:
    """The role and text of each message in a value of any program. A single text counts as the user's.

    Args:
        names: the fields to search for messages, until one of them has a text: of the user, or, for answers, of anyone.
    """
    value = as_json(value)
    if isinstance(value, str):
        return [("user", value)]
    if isinstance(value, list) and depth:
        entries = value[0] if value and isinstance(value[0], list) else value  # LangChain's list of conversations
        return [message for entry in entries for message in _messages(entry, names, depth - 1)]
    if not isinstance(value, dict) or not depth:
        return []
    body = next((part for part in map(value.get, ("kwargs", "data")) if isinstance(part, dict)), value)  # LangChain's
    content = next((body[name] for name in ("content", "value", "text", "parts") if body.get(name) is not None), None)
    path = value.get("id")  # ["langchain", "schema", "messages", "HumanMessage"]
    roles = (path[-1] if isinstance(path, list) and path else None, *map(value.get, ("role", "from", "sender", "type")))
    role = next((role for role in roles if isinstance(role, str) and role), "user" if "parts" in value else "")
    if role and content is not None:
        parts = content if isinstance(content, list) else [content]
        texts = (part.get("text") if isinstance(part, dict) else part for part in parts)
        return [(role.lower(), "\n".join(text for text in texts if isinstance(text, str)))]
    for name in names:
        part = value.get(name)
        messages = _messages(part[:1] if name in FIRST and isinstance(part, list) else part, names, depth - 1)
        if isinstance(part, str) and (name == "query" or (name == "prompt" and not messages)):
            messages = [("user", part)]  # unchanged, even if it is JSON
        if any(text.strip() for role, text in messages if role in USER or names is ANSWERS):
            return messages
    return []


def _answer(value: object) -> str | None:
    """The text of an answer in the format of any server or program."""
    messages = _messages(value, ANSWERS)
    replies = [text for role, text in messages if role in ASSISTANT]
    text = "\n".join(filter(None, replies[-1:] or [text for _, text in messages]))
    return text or (value if isinstance(value, str) and as_json(value) else None)


TOKENS = "completion_tokens tokens output_tokens usage.completion_tokens usage.output_tokens usage.output"
FIELDS: dict[str, tuple[Callable[[object], Any], str]] = {
    "name": (as_text, "custom_id request_id id run_id"),
    "time": (as_time, "end_time start_time time timestamp @timestamp ts datetime created created_at create_time"),
    "key": (as_text, "metadata.user_api_key_alias api_key key"),
    "session": (as_text, "session metadata.session_id metadata.thread_id session_id trace_id conversation_id"),
    "candidate": (as_text, "candidate model_group model model_id provided_model_name metadata.ls_model_name"),
    "prompt_tokens": (as_count, "prompt_tokens input_tokens usage.prompt_tokens usage.input_tokens usage.input"),
    "tokens": (as_count, TOKENS),
    "dollars": (as_number, "dollars response_cost spend total_cost calculated_total_cost"),
    "finish": (as_text, "finish status"),
}
