"""Tagger kind `instag`: a causal language model that writes tags as JSON, such as OFA-Sys/InsTagger (arXiv 2308.07074).

The prompt is the one InsTagger was trained on, inside the template of Vicuna v1.1, from which it was trained. Any chat
model can stand in for it: name its backend and model in `[tagger.instagger]`, and a `template` where it needs other
words. Models write JSON badly, so tags are also read where the whole is broken.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from zooter_core.backends import Backend, Request, iter_responses
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.config.labelling import InstagConfig
from zooter_core.errors import Failure, WorkError
from zooter_core.labelling.taggers import Encoders
from zooter_core.records import Message, Query, Response, Tag

PROMPT = (
    "Please identify tags of user intentions in the following user query and provide an explanation for each tag. "
    'Please respond in the JSON format {"tag": str, "explanation": str}.\nUser query: {query}'
)
VICUNA = (
    "<s>A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the human's questions. USER: {query} ASSISTANT:"
)
INSTAGGER = "instagger"  # in the name of a model that VICUNA is for
BATCH = 16
ENOUGH = 4  # queries of which none is taken: then the tagger is at fault, not they
LONGEST = 60  # characters of a tag's name; what is longer is a sentence
LOOSE = re.compile(r"""["']?tag["']?\s*:\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""", re.IGNORECASE)


class InsTagger:
    """Tags in the order in which the model writes them, at most `most`; all of score 1, for it gives none.

    Raises:
        WorkError: the model cannot be loaded.
    """

    quick = False

    def __init__(self, config: InstagConfig, encoders: Encoders, backend: Callable[[str], Backend]) -> None:
        candidate: CandidateConfig = config.instagger
        if candidate.prompt_template is None and INSTAGGER in candidate.model.lower():
            candidate = replace(candidate, prompt_template=VICUNA)
        self.config, self.candidate = config, candidate
        self.backend = backend(candidate.backend)
        self.backend.load(candidate)

    def tag(self, queries: Sequence[str]) -> list[tuple[Tag, ...]]:
        """The tags of each query.

        Raises:
            WorkError: the model failed, or refused several queries and took none. A query that it refuses, as it is too
                long for it, and a text in which there is no tag, are queries without tags.
        """
        found: list[Response] = []
        for first in range(0, len(queries), BATCH):
            found += self._responses(queries[first : first + BATCH])
            refused = [response for response in found if response.finish == "refused"]
            failed = [response for response in found if response.error and response.finish != "refused"]
            if failed or len(refused) == len(found) >= ENOUGH:
                failure = (failed or refused)[0].error or Failure.of("an empty response")
                raise WorkError.because(failure, "tags from the tagger", "Check [tagger.instagger] in fleet.toml.")
        written = [[] if response.error else names(response.text) for response in found]
        return [tuple(Tag(name, 1.0) for name in row[: self.config.most]) for row in written]

    def tag_all(self, queries: Sequence[Query]) -> list[tuple[Tag, ...]]:
        return self.tag([query.text for query in queries])

    def _responses(self, queries: Sequence[str]) -> list[Response]:
        template = self.config.template or PROMPT
        requests = [
            Request(self.candidate, (Message("user", template.replace("{query}", query)),)) for query in queries
        ]
        generation = GenerationConfig(self.config.max_new_tokens, temperature=0.0)
        responses = dict(iter_responses(self.backend.stream(requests, generation, threading.Event())))
        return [responses[request] for request in requests]


def names(text: str) -> list[str]:
    """The tags in a model's text: from its JSON where that is whole, else from each `"tag": "..."` in it.

    Names are in lower case with single spaces; a name twice, an empty or a long one is left out.
    """
    whole, loose = list(_from_json(text)), [one or other for one, other in LOOSE.findall(text)]
    written = whole if len(whole) >= len(loose) else loose  # of a list that breaks off JSON gives the first parts only
    tidy = (" ".join(name.replace("\\", "").split()).lower() for name in written)
    return list(dict.fromkeys(name for name in tidy if name and len(name) <= LONGEST))


def _from_json(text: str) -> Iterator[str]:
    """The names in all whole JSON values of a text."""
    decoder, at = json.JSONDecoder(), 0
    while (start := _next(text, at)) is not None:
        try:
            value, at = decoder.raw_decode(text, start)
        except RecursionError:  # no list of tags is nested like that, and each bracket in it would be tried
            return
        except ValueError:
            at = start + 1
            continue
        yield from _names_of(value)


def _next(text: str, at: int) -> int | None:
    places = [place for mark in "[{" if (place := text.find(mark, at)) >= 0]
    return min(places) if places else None


def _names_of(value: Any) -> Iterator[str]:
    """Names of {"tag": name}, of a list of such, of a list of names, or of {"tags": [...]}."""
    if isinstance(value, dict):
        tags = value.get("tag", value.get("tags"))
        yield from [tags] if isinstance(tags, str) else _names_of(tags)
    elif isinstance(value, list):
        for entry in value:
            yield from [entry] if isinstance(entry, str) else _names_of(entry)
