"""The process that reads a PDF: `python pdf_text.py PAGES CHARACTERS`, with the file on standard input.

It writes the text to standard output and exits with 0, or writes a reason and a next step in two lines and exits with
1. An untrusted PDF may unpack to gigabytes or take hours, so the caller limits the time, and this process limits its
memory. It imports nothing from this package, so that it starts fast.
"""

import logging
import resource
import sys
from contextlib import suppress
from io import BytesIO
from typing import Any

MEMORY = 2 << 30  # bytes of address space
PART = "Attach the part that you need, or paste it."
ENCRYPTED = ("is encrypted", "Save it without a password, or paste its text.")


class RefusedError(Exception):
    """A PDF cannot be read. The arguments are the reason and the next step."""


def main() -> None:
    with suppress(ValueError, OSError):  # macOS does not support this limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    pages, characters = map(int, sys.argv[1:])
    status = 1
    try:
        output, status = _read(sys.stdin.buffer.read(), pages, characters), 0
    except RefusedError as refusal:
        output = "\n".join(refusal.args)
    except MemoryError:
        output = f"takes too much memory to read\n{PART}"
    except Exception as problem:  # pypdf raises many kinds of errors for damaged files
        reason = " ".join(f"{type(problem).__name__}: {problem}"[:200].split())
        output = f"is a broken PDF ({reason})\nSave it again, or paste its text."
    sys.stdout.buffer.write(output.encode(errors="replace"))
    sys.exit(status)


def _read(content: bytes, most_pages: int, most_characters: int) -> str:
    from pypdf import PasswordType, PdfReader
    from pypdf.errors import DependencyError

    logging.disable()
    reader = PdfReader(BytesIO(content))
    try:
        if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
            raise RefusedError(*ENCRYPTED)
        return _text(reader, most_pages, most_characters)
    except DependencyError as problem:  # an encryption that needs another package
        raise RefusedError(*ENCRYPTED) from problem


def _text(reader: Any, most_pages: int, most_characters: int) -> str:
    if (count := len(reader.pages)) > most_pages:
        raise RefusedError(f"has {count:,} pages, more than {most_pages}", PART)
    texts: list[str] = []
    length = 0
    for page in reader.pages:
        texts.append(page.extract_text().strip())
        length += len(texts[-1])
        if length > most_characters:
            raise RefusedError(f"has more than {most_characters:,} characters", PART)
    return "\n\n".join(filter(None, texts))


if __name__ == "__main__":
    main()
