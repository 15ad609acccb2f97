"""PDF files with text, as a word processor writes them."""

from __future__ import annotations

from io import BytesIO

from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

FONT = DictionaryObject({
    NameObject("/Type"): NameObject("/Font"),
    NameObject("/Subtype"): NameObject("/Type1"),
    NameObject("/BaseFont"): NameObject("/Helvetica"),
})  # fmt: skip


def pdf(*pages: str, password: str = "", repeat: int = 1) -> bytes:
    """A PDF with these texts, one a page; each is drawn so often."""
    writer = PdfWriter()
    for text in pages:
        page = writer.add_blank_page(612, 792)
        fonts = DictionaryObject({NameObject("/F1"): FONT})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        content = DecodedStreamObject()
        content.set_data(f"BT /F1 12 Tf 72 720 Td 14 TL {f'({text}) Tj T* ' * repeat}ET".encode())
        page[NameObject("/Contents")] = writer._add_object(content.flate_encode())
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    buffer = BytesIO()
    writer.write(buffer)
    return buffer.getvalue()
