"""Reads files that a user attaches to a query: text files of any kind, and the text of PDFs.

Other files are refused with one sentence. A PDF is read in a separate process, with limits of time and memory.
"""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import PurePath

from zooter_core.base.errors import ZooterError, one_line
from zooter_core.base.records import Attachment
from zooter_core.data import pdf_text
from zooter_core.data.pdf_text import PART

MOST_FILES = 10  # per query
MOST_MEGABYTES = 10  # per file
MOST_CHARACTERS = 500_000  # per file
MOST_PAGES = 500
PDF_SECONDS = 30
MOST_NAME = 80  # characters
PDF = b"%PDF-"
# Byte order marks, longer ones first, since the mark of UTF-32 begins with that of UTF-16.
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
         (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))  # fmt: skip
BINARY_SHARE = 0.01  # the largest share of control characters in a text


def read_attachment(name: str, content: bytes) -> Attachment:
    """The text of a file. Bytes that are not UTF-8 and have no byte order mark are read as Windows-1252.

    Raises:
        ZooterError: the file is empty, too large, protected or damaged, or neither text nor PDF.
    """
    name = one_line(PurePath(name).name, MOST_NAME) or "file"
    if len(content) > MOST_MEGABYTES * 1_000_000:
        raise _refusal(name, f"is larger than {MOST_MEGABYTES} MB", PART)
    is_pdf = content.lstrip().startswith(PDF)
    text = _pdf(name, content) if is_pdf else _decoded(name, content)
    if len(text) > MOST_CHARACTERS:
        raise _refusal(name, f"has {len(text):,} characters, more than {MOST_CHARACTERS:,}", PART)
    text = "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs"))
    if not text.strip():
        reason = "has no text that can be read; its pages may be pictures" if is_pdf else "is empty"
        raise _refusal(name, reason, "Attach a version with text.")
    return Attachment(name, text.strip("\n"))


def detect_encoding(start: bytes) -> str:
    """The encoding of a text according to its byte order mark; UTF-8 if there is none."""
    return next((encoding for mark, encoding in MARKS if start.startswith(mark)), "utf-8")


def _decoded(name: str, content: bytes) -> str:
    """The content of a text file, with normalised line ends."""
    try:
        text = content.decode(detect_encoding(content))
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    controls = sum(unicodedata.category(letter) == "Cc" and letter not in "\n\r\t\f\v" for letter in text[:10_000])
    if "\0" in text or controls > BINARY_SHARE * min(len(text), 10_000):
        raise _refusal(name, "is neither text nor PDF", "Save it as text or PDF, and attach that.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _pdf(name: str, content: bytes) -> str:
    command = [sys.executable, "-I", pdf_text.__file__, str(MOST_PAGES), str(MOST_CHARACTERS)]
    try:
        process = subprocess.run(command, input=content, capture_output=True, timeout=PDF_SECONDS)
    except subprocess.TimeoutExpired as problem:
        raise _refusal(name, f"takes longer than {PDF_SECONDS} s to read", PART) from problem
    output = process.stdout.decode(errors="replace")
    if process.returncode:
        reason, _, next_step = output.partition("\n")
        raise _refusal(name, reason or "takes too much memory to read", next_step or PART)  # no output: killed
    return output


def _refusal(name: str, reason: str, next_step: str) -> ZooterError:
    return ZooterError.saying(f"{name} {reason}.", next_step)
