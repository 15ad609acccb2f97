from __future__ import annotations

from pathlib import Path

import pytest

from support.pdf_files import pdf
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Attachment
from zooter_core.data import documents, pdf_text
from zooter_core.data.documents import MOST_MEGABYTES, read_attachment

TEXT = 'name,city\r\n"Ærø, K.",Århus\r\n'
LINES = 'name,city\n"Ærø, K.",Århus'


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_text_of_any_usual_encoding_is_read(encoding: str) -> None:
    assert read_attachment("people.csv", TEXT.encode(encoding)) == Attachment("people.csv", LINES)


def test_code_is_text_also_where_it_names_the_mark_of_a_pdf() -> None:
    code = Path(documents.__file__).read_bytes()
    assert read_attachment("documents.py", code).text == code.decode().strip("\n")


def test_a_pdf_has_the_text_of_its_pages() -> None:
    assert read_attachment("report.pdf", pdf("412 loaves in May.", "", "380 in June.")).text == (
        "412 loaves in May.\n\n380 in June."
    )


def test_a_name_is_that_of_a_file_in_one_line_and_controls_are_left_out() -> None:
    file = read_attachment("../../etc/pass\nwd" + "x" * 300, b"one\x1b[31m two" + b"\nthree" * 40)
    assert "/" not in file.name
    assert "\n" not in file.name
    assert len(file.name) <= 81
    assert file.text.startswith("one[31m two\nthree")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"a" * (MOST_MEGABYTES * 1_000_000 + 1), "is larger than 10 MB"),
        (b"a" * 5001, "has 5,001 characters, more than 5,000"),
        (b"a" * 999 + b"\0", "is neither text nor PDF"),
        (b"PK\x03\x04" + b"\x14\x06" * 200, "is neither text nor PDF"),  # without a null byte
        (pdf("Private.", password="secret"), "is encrypted"),
        (pdf("A page.")[:-300], "is a broken PDF"),
        (pdf("", ""), "has no text that can be read; its pages may be pictures"),
        (pdf(*["A page."] * 21), "has 21 pages, more than 20"),
        (pdf("A line of text that is repeated.", repeat=200), "has more than 5,000 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_one_sentence_and_a_way_out(
    monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    monkeypatch.setattr(documents, "MOST_CHARACTERS", 5_000)
    monkeypatch.setattr(documents, "MOST_PAGES", 20)
    with pytest.raises(ZooterError) as refusal:
        read_attachment("file.bin", content)
    assert f"file.bin {reason}" in str(refusal.value)
    assert refusal.value.failure.next_step in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_pdf_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PDF_SECONDS", 0.05)
    with pytest.raises(ZooterError, match=r"takes longer than 0.05 s to read"):
        read_attachment("slow.pdf", pdf("A line of text that is repeated.", repeat=20_000))


def test_a_pdf_whose_process_runs_out_of_memory_or_dies_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = Path(pdf_text.__file__).read_text()
    for name, line in (("large.py", "    bytearray(1 << 46)"), ("dead.py", "    import os; os.abort()")):
        script = tmp_path / name
        script.write_text(source.replace("    logging.disable()", line))
        monkeypatch.setattr(pdf_text, "__file__", str(script))
        with pytest.raises(ZooterError, match=r"takes too much memory to read"):
            read_attachment("large.pdf", pdf("A page."))
