"""Tagger kind `instag`: a causal language model that writes tags as JSON, such as OFA-Sys/InsTagger (arXiv 2308.07074).

The prompt is the one that InsTagger was trained with, inside the template of Vicuna v1.1, its base model. Any chat
model can replace it: name its backend and model in `[tagger.instagger]`.
Models often write broken JSON, so tags are read from its fragments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from zooter_core.backends import Backend
from zooter_core.backends.gguf import choose_backend
from zooter_core.base.errors import Failure, WorkError
from zooter_core.base.records import Query, Response, Tag
from zooter_core.base.strict_json import replace_surrogates
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.config.labelling import InstagConfig
from zooter_core.labelling import BATCH, ask
from zooter_core.labelling.taggers import Encoders

PROMPT = (
    "Please identify tags of user intentions in the following user query and provide an explanation for each tag. "
    'Please respond in the JSON format {"tag": str, "explanation": str}.\nUser query: {query}'
)
VICUNA = (
    "<s>A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the human's questions. USER: {query} ASSISTANT:"
)
INSTAGGER = "instagger"  # part of the names of models that need VICUNA
MANY = 4  # refused queries, with none accepted, after which the tagger counts as failed
LONGEST = 60  # characters of a tag's name; longer ones are sentences
MAX_NEW_TOKENS = 512
NAME = re.compile(r'"([^"]*)"(?!\s*:)')
TAG = re.compile(r"""["']?tag["']?\s*:\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""", re.IGNORECASE)
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


class InsTagger:
    """Tags in the order in which the model writes them, at most `most`. All have the score 1."""

    quick = False

    def __init__(self, config: InstagConfig, encoders: Encoders, backend: Callable[[str], Backend]) -> None:
        candidate: CandidateConfig = config.instagger
        if candidate.prompt_template is None and INSTAGGER in candidate.model.lower():
            candidate = replace(candidate, prompt_template=VICUNA)
        self.config, self.candidate = config, candidate
        self.backend = backend(choose_backend(candidate))
        self.backend.load(candidate)

    def tag(self, queries: Sequence[str]) -> list[tuple[Tag, ...]]:
        """Each query's tags. A query that the model refuses as too long has none.

        Raises:
            WorkError: the model failed, or refused several queries and accepted none.
        """
        prompts = [PROMPT.replace("{query}", query) for query in queries]
        generation = GenerationConfig(MAX_NEW_TOKENS, temperature=0.0)
        responses: list[Response] = []
        for first in range(0, len(prompts), BATCH):
            responses += ask(self.backend, self.candidate, prompts[first : first + BATCH], generation)
            refused = [response for response in responses if response.finish == "refused"]
            failed = [response for response in responses if response.error and response.finish != "refused"]
            if failed or len(refused) == len(responses) >= MANY:
                failure = (failed or refused)[0].error or Failure.of("an empty response")
                raise WorkError.because(failure, "tags from the tagger", "Check [tagger.instagger] in fleet.toml.")
        written = [[] if response.error else read_tags(response.text) for response in responses]
        return [tuple(Tag(name, 1.0) for name in row[: self.config.most]) for row in written]

    def tag_all(self, queries: Sequence[Query]) -> list[tuple[Tag, ...]]:
        return self.tag([query.text for query in queries])


def read_tags(text: str) -> list[str]:
    """The tags in a model's text: every `"tag": "..."`, else the names in a list.

    Names are in lower case with single spaces. Duplicates, empty and long names are left out.
    """
    written = [double or single for double, single in TAG.findall(text)] or NAME.findall(text.partition("[")[2])
    decoded = (replace_surrogates(ESCAPE.sub(lambda code: chr(int(code[1], 16)), name)) for name in written)
    tidy = (" ".join(name.replace("\\", "").split()).lower() for name in decoded)
    return list(dict.fromkeys(name for name in tidy if name and len(name) <= LONGEST))
