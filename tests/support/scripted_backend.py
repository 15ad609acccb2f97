"""A backend whose texts a function writes, for what asks a language model: judges and taggers."""

from __future__ import annotations

import threading

from zooter_core.backends import Piece
from zooter_core.base.records import Response


class ScriptedBackend:
    """`write` gives the text for a request and its settings, or a response, or an error; `requests` are these pairs."""

    def __init__(self, write):
        self.write, self.requests = write, []

    def load(self, candidate):
        pass

    def stream(self, requests, generation, stop):
        assert isinstance(stop, threading.Event)
        for request in reversed(requests):
            self.requests.append((request, generation))
            written = self.write(request, generation)
            if isinstance(written, Exception):
                yield Piece.failed(request, written)
            else:
                response = written if isinstance(written, Response) else Response(request.candidate.name, written)
                yield Piece(request, response.text, response)
