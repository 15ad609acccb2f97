"""A port for a server that has to be told its own."""

import random
import socket
from contextlib import suppress


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives out itself.

    One of the system's own could be another server's, or a client's, before this server has started.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with suppress(OSError), socket.create_server(("", port)):
            return port
