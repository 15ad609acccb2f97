"""Normalised texts: which ones are the same, and which share a run of words with a benchmark."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from zooter_core.base.records import Query
from zooter_core.data.scores import each_query

EXAMPLES = 5
SIGNS = {"-": "−", "*": "×", "/": "÷"}
_SIGN = re.compile(r"[-*/](?=\s*\d)")
_BETWEEN_DIGITS = re.compile(r"(?<=\d) (?=\d)")
_UNSPACED = (  # scripts without spaces: every character counts as a word
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF)),
    (0x20000, 0x3FFFF),
)


class _Plain(dict[int, str | None]):
    """For str.translate: what replaces a character, computed when it first occurs."""

    def __missing__(self, code: int) -> str | None:
        kind = unicodedata.category(chr(code))
        plain: str | None = chr(code)
        if kind == "Cf":  # invisible: joiners and direction marks
            plain = None
        elif kind[0] in "PZ" or kind == "Cc":
            plain = " "
        elif kind[0] == "S" or any(first <= code <= last for first, last in _UNSPACED):
            plain = f" {chr(code)} "
        self[code] = plain
        return plain


_PLAIN = _Plain()


def normalise(text: str) -> str:
    """A text's words with single spaces, without case and punctuation; "" if there are none.

    Symbols (+, =, emoji) are separate words, and so are - * / before a number: "12 - 30" is not "12 * 30".
    """
    text = unicodedata.normalize("NFC", text.casefold())
    text = _SIGN.sub(lambda sign: SIGNS[sign[0]], text)
    return " ".join(text.translate(_PLAIN).split())


def key(normal: str) -> str:
    """The key that repeats share: a normalised text without spaces, except between numbers (1.5 is not 15)."""
    return _BETWEEN_DIGITS.sub("\0", normal).replace(" ", "")


def digest(normal: str) -> bytes:
    """An 8-byte hash of the key of a normalised text. A million texts collide with probability 1 in 30 million."""
    return blake2b(key(normal).encode(), digest_size=8).digest()


def grams(normal: str, n: int) -> Iterable[str]:
    """The runs of n words of a normalised text. A shorter text has its key instead, which no run equals."""
    words = normal.split(" ")
    if len(words) < n:
        return (key(normal),)
    return (" ".join(words[start : start + n]) for start in range(len(words) - n + 1))


class Benchmarks:
    """The texts to keep out of training, as runs of n words, with counts of the queries that overlap a file.

    Attributes:
        count: file -> number of queries that overlap it and no file before it.
        examples: file -> the ids of the first EXAMPLES of them.
    """

    def __init__(self, texts: Mapping[str, Iterable[str]], n: int) -> None:
        self.n = n
        self.count = dict.fromkeys(texts, 0)
        self.examples: dict[str, list[str]] = {name: [] for name in texts}
        self._owner: dict[str, str] = {}
        for name, group in texts.items():
            for text in group:
                if normal := normalise(text):
                    for gram in grams(normal, n):
                        self._owner.setdefault(gram, name)
        self._rank = {name: rank for rank, name in enumerate(texts)}

    @classmethod
    def read(cls, paths: Sequence[Path], n: int) -> Benchmarks:
        """Benchmarks from queries files or score files."""
        return cls({str(path): (query.text for _, _, query in each_query(path, blank=True)) for path in paths}, n)

    def overlap(self, normal: str) -> str | None:
        """The first file that shares a run of n words, or a whole shorter text, with a normalised text."""
        owners = {self._owner[gram] for gram in grams(normal, self.n) if gram in self._owner} if self._owner else ()
        return min(owners, key=self._rank.__getitem__, default=None)

    def exclude(self, normal: str, query: Query) -> bool:
        """Whether a query overlaps a file. Counts it if so."""
        name = self.overlap(normal)
        if name is None:
            return False
        self.count[name] += 1
        if len(self.examples[name]) < EXAMPLES:
            self.examples[name].append(query.id)
        return True
