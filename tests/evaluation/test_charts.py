"""The charts that pages and commands share: what plotly is given to read, and how it looks."""

from __future__ import annotations

import html
import re

import plotly.graph_objects as go
import pytest
from streamlit.elements.lib.streamlit_plotly_theme import GRAY_90

from support.hostile_texts import PAYLOADS, generated, payload
from support.sample_report import sweep
from zooter_core.base.paths import ROOT
from zooter_core.evaluation import charts
from zooter_core.ui.charts import label

MARKUP = ["<b>x</b>", '<a href="http://evil.example">x</a>', "%{y}", "%{customdata[0]}", "$x$", "&lt;b&gt;", "a<br>b"]
TEXTS = [*MARKUP, *map(payload, PAYLOADS), *generated(200)]
READ = re.compile(r"<[a-z/!?]|%\{|\$|&(?!#\d+;)", re.IGNORECASE)  # what plotly would make something of


@pytest.mark.parametrize("make", [charts.text, lambda words: charts.hover(words).replace("<br>", " "), label])
def test_plotly_finds_nothing_in_a_strangers_words(make) -> None:
    for words in TEXTS:
        assert not READ.search(make(words)), words
    assert html.unescape(charts.text(MARKUP[1])) == MARKUP[1]


def test_a_hover_is_sentences_in_lines_that_fit_on_a_phone() -> None:
    lines = charts.hover("A sentence that goes on and on until it is too long for a line.", "Another.").split("<br>")
    assert len(lines) == 3
    assert max(map(len, lines)) <= charts.WIDEST
    assert lines[-1] == "Another."


TWO_TAUS = sweep((-0.5, -0.1), taus=2)


def test_a_sweep_has_a_line_per_tau_in_order_of_beta_with_intervals_and_a_star() -> None:
    figure = charts.sweep_chart(TWO_TAUS)
    line = next(trace for trace in figure["data"] if trace["name"] == "tau 1")
    assert (line["x"], line["y"]) == ([0.0, 0.3], [1.5, 1.5])
    assert (line["error_y"]["array"], line["error_y"]["arrayminus"]) == ([0.5, 0.5], [0.25, 0.25])
    assert line["marker"]["symbol"] == ["circle", "star"]
    assert line["hovertext"][1].startswith("With beta 0.3, the best, the mean score is")
    assert figure["layout"]["showlegend"]
    single = charts.sweep_chart(sweep((-0.5, -0.1)))
    assert not single["layout"]["showlegend"]
    assert single["data"][0]["line"]["color"] == charts.ROUTER


def test_an_interval_that_is_not_finite_is_not_drawn() -> None:
    assert charts.error_bars([1.0, 2.0], [(float("nan"), 2.0), (1.0, 3.0)], "#000000")["array"] == [None, 1.0]


def test_plotly_knows_every_part_of_the_layout() -> None:
    drawn = go.Figure(charts.on_white(charts.sweep_chart(TWO_TAUS), 300))  # refuses what it does not know
    assert (drawn.layout.height, drawn.layout.dragmode, drawn.layout.xaxis.fixedrange) == (300, False, True)


def test_a_file_has_the_colours_of_a_light_page() -> None:
    theme = (ROOT / ".streamlit" / "config.toml").read_text()
    light = theme.partition("[theme.light]")[2].partition("[theme.")[0]
    colours = {"backgroundColor": charts.GROUND, "borderColor": charts.THIN}
    assert all(f'{name} = "{value}"' in light for name, value in colours.items())


def test_words_have_the_ink_of_the_page_also_in_a_picture_of_it_that_is_downloaded() -> None:
    drawn = charts.on_white(charts.sweep_chart(TWO_TAUS), 300)["layout"]
    parts = (drawn, drawn["legend"], drawn["hoverlabel"], drawn["xaxis"]["title"], drawn["yaxis"]["title"])
    fonts = [part["font"] for part in parts] + [drawn[axis]["tickfont"] for axis in ("xaxis", "yaxis")]
    assert {font["color"] for font in fonts} == {GRAY_90}  # which Streamlit's frontend replaces
