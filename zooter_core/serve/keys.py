"""API keys: a private file with the hash and the limits of each key, and the check of a request's key.

A key is `zk-NAME-SECRET`. The secret has 256 random bits, so one SHA-256 protects it as well as a slow hash would.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zooter_core.base.errors import FIX_PERMISSIONS, ZooterError, did_you_mean, shortened
from zooter_core.base.files import atomic, locked, private_folder, writing
from zooter_core.base.strict_json import dump_json, of_type, parse_json

LOG = logging.getLogger("zooter.serve")
LOCK_SECONDS = 30
PREFIX = "zk-"
KEY_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,39}")
SECRET = 43  # characters of 256 bits in base64
NOBODY = hashlib.sha256(b"").hexdigest()  # compared with if no key has the name


@dataclass(frozen=True, slots=True)
class Key:
    """What a key may do. 0 and None mean no limit for this key.

    Attributes:
        digest: SHA-256 of the whole key.
        admin: whether it may reload the fleet.
        models: the candidates that it may use.
        concurrent: the maximum of requests at the same time.
        requests_per_minute, tokens_per_minute: averages; a burst may use up a whole minute's allowance.
    """

    name: str
    digest: str
    created: float
    admin: bool = False
    models: tuple[str, ...] | None = None
    concurrent: int = 0
    requests_per_minute: int = 0
    tokens_per_minute: int = 0


def keys_file() -> Path:
    """The default of `--keys`: a file in the user's configuration folder."""
    settings = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(settings).expanduser() / "zooter" / "keys.json"


def read_keys(path: Path) -> dict[str, Key]:
    """The keys in a file by name; empty if the file does not exist.

    Raises:
        ZooterError: the file cannot be read, or is not a key file.
    """
    if not os.path.lexists(path):
        return {}
    try:
        entries = parse_json(path.read_bytes())
        keys = [_key(entry) for entry in entries["keys"]]
    except OSError as problem:
        raise ZooterError(f"a readable key file at {path}", str(problem), FIX_PERMISSIONS) from problem
    except (ValueError, TypeError, KeyError) as problem:
        next_step = "Restore a copy of it, or delete it and add the keys again."
        raise ZooterError(f"a key file at {path}", f"something else ({problem})", next_step) from problem
    return {key.name: key for key in keys}


def _key(entry: Mapping[str, Any]) -> Key:
    key = of_type(Key, entry)
    limits = (key.concurrent, key.requests_per_minute, key.tokens_per_minute)
    if min(limits) < 0 or entry.keys() - asdict(key).keys():  # a misspelt limit would have no effect
        raise ValueError("an entry with wrong values")
    return key


def add_key(path: Path, key: Key) -> str:
    """Add a key to a file. Return the key's text, which is not stored anywhere.

    Raises:
        ZooterError: the name is taken or not allowed, or the file cannot be written.
    """
    if not KEY_NAME.fullmatch(key.name):
        next_step = "Use 1 to 40 lower-case letters, digits, hyphens, underscores and dots."
        raise ZooterError("a name for the key", repr(shortened(key.name, 80)), next_step)
    text = f"{PREFIX}{key.name}-{secrets.token_urlsafe(32)}"
    with _changing(path) as keys:
        if key.name in keys:
            next_step = f"Use another name, or remove it first: zooter serve keys remove {key.name}."
            raise ZooterError.saying(f"There is a key named {key.name} already.", next_step)
        keys[key.name] = replace(key, digest=_digest(text), created=round(time.time(), 3))
    return text


def remove_key(path: Path, name: str) -> None:
    """Remove a key from a file.

    Raises:
        ZooterError: no key has this name, or the file cannot be written.
    """
    with _changing(path) as keys:
        if name not in keys:
            suggestion = did_you_mean(name, keys) if keys else "There are no keys."
            raise ZooterError(f"the name of a key in {path}", repr(shortened(name, 80)), suggestion)
        del keys[name]


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, Key]]:
    """The keys of a file, locked against other processes. Changes to the dict are written at the end."""
    with writing(path):
        private_folder(path.parent, ours=False)
    with locked(path.with_name(f".{path.name}.lock"), f"the file {path}", LOCK_SECONDS):
        keys = read_keys(path)
        yield keys
        with writing(path), atomic(path, private=True) as partial:
            partial.write_text(dump_json({"keys": [asdict(key) for key in keys.values()]}, indent=1) + "\n")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class KeyRing:
    """The current keys of a file: an added or removed key takes effect at the next request.

    Raises:
        ZooterError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._state = path, read_file_state(path)
        self._keys = read_keys(path)

    def find(self, text: str) -> Key | None:
        """The key with this text; None if there is none. Takes the same time however much of a secret is right."""
        if (state := read_file_state(self._path)) != self._state:
            self._state = state
            try:
                self._keys = read_keys(self._path)
            except ZooterError as problem:
                LOG.warning("the changed key file cannot be read, so the old keys stay: %s", problem)
        key = self._keys.get(text.removeprefix(PREFIX)[: -SECRET - 1])
        same = hmac.compare_digest(_digest(text), key.digest if key else NOBODY)
        return key if same else None


def read_file_state(path: Path) -> tuple[int, int, int] | None:
    """A value that changes when the file changes; None if the file does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
