from __future__ import annotations

from xml.etree import ElementTree

import pytest

from support.hostile_texts import NAMES
from zooter_core.ui import charts

POOL = list(NAMES)
SHAPES = {"svg", "rect", "circle", "text"}
PLAIN = {"viewBox", "width", "height", "preserveAspectRatio", "x", "y", "rx", "cx", "cy", "r", "fill", "opacity",
         "text-anchor", "font-family", "font-size", "font-weight"}  # fmt: skip


@pytest.mark.parametrize(
    "picture",
    [charts.stacked(NAMES, POOL), charts.filled(0.4, "#0072B2"), *(charts.avatar(POOL, n) for n in POOL)],
)
def test_whatever_a_model_is_called_a_picture_holds_shapes_alone(picture: str) -> None:
    for element in ElementTree.fromstring(picture).iter():
        assert element.tag.removeprefix(f"{{{charts.SVG}}}") in SHAPES
        assert set(element.keys()) <= PLAIN
        assert all("url" not in value for value in element.attrib.values())


def test_a_stacked_bar_has_shares_of_its_width_the_largest_first() -> None:
    bar = ElementTree.fromstring(charts.stacked({"a": 0.25, "b": 0.75}, ["a", "b"]))
    assert [(part.get("x"), part.get("width")) for part in bar] == [("0.00", "75.00"), ("75.00", "25.00")]


def test_an_avatar_shows_the_initial_even_if_it_is_a_sign_of_xml() -> None:
    assert "".join(ElementTree.fromstring(charts.avatar(["<b>"], "<b>")).itertext()) == "<"


def test_a_fonts_name_with_a_number_in_it_is_quoted() -> None:
    """A browser ignores the whole list otherwise, and takes its own font, often one with serifs."""
    names = [name.strip() for name in charts.FONT.split(",")]
    assert [name for name in names if not (name[0] == name[-1] == "'" or name.replace("-", "").isalpha())] == []
