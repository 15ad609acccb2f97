"""Labelling: reward models and taggers. Some of them are language models; `ask` returns their responses."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from zooter_core.backends import Backend, Request, iter_responses
from zooter_core.base.records import Message, Response
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

BATCH = 16  # prompts at the same time


def ask(
    backend: Backend, candidate: CandidateConfig, prompts: Sequence[str], generation: GenerationConfig
) -> list[Response]:
    """A model's responses to prompts, in their order."""
    requests = [Request(candidate, (Message("user", prompt),)) for prompt in prompts]
    responses = dict(iter_responses(backend.stream(requests, generation, threading.Event())))
    return [responses[request] for request in requests]
