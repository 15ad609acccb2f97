"""Messages between two processes: JSON objects of limited length, one on each line."""

from __future__ import annotations

import json


class ChannelError(Exception):
    """The other side has ended, or wrote something that is not a message."""


class Channel:
    """One side of a connection by two pipes. A socket would also carry descriptors and credentials.

    Args:
        read, write: descriptors of this side's ends.
        most: bytes of the longest line that is read.
    """

    def __init__(self, read: int, write: int, most: int) -> None:
        self.most = most
        self._reader = open(read, "rb")  # noqa: SIM115  (open for as long as the process lives)
        self._writer = open(write, "wb")  # noqa: SIM115

    def send(self, message: dict[str, object]) -> None:
        """Write a message.

        Raises:
            ChannelError: the other side has ended.
        """
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            self._writer.flush()
        except OSError as problem:
            raise ChannelError(f"nobody reads what is sent ({problem})") from problem

    def receive(self) -> dict[str, object]:
        """Wait for the next message.

        Raises:
            ChannelError: the other side has ended, or its line is too long or not a JSON object.
        """
        try:
            line = self._reader.readline(self.most)
        except OSError as problem:
            raise ChannelError(f"nothing can be received ({problem})") from problem
        if not line:
            raise ChannelError("it ended before its check did")
        if not line.endswith(b"\n") and len(line) >= self.most:
            raise ChannelError(f"more than {self.most:,} bytes returned")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise ChannelError("it sent bytes that are no message") from problem
        if not isinstance(message, dict):
            raise ChannelError("it sent bytes that are no message")
        return message
