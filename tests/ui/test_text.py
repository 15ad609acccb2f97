from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.ui.text import CODE, IMAGE, LINK, MOST, safe


def test_an_image_becomes_its_words_and_address() -> None:
    assert safe("see ![a cat](http://elsewhere.example/cat.png) there") == (
        "see a cat (`http://elsewhere.example/cat.png`) there"
    )
    assert safe("![][ref]") == "image (`ref`)"


def test_money_is_no_formula_but_code_stays() -> None:
    assert safe("$5 and $6, `$HOME`\n```sh\necho $PATH ![x](y)\n```") == (
        "\\$5 and \\$6, `$HOME`\n```sh\necho $PATH ![x](y)\n```"
    )


def test_html_is_text_and_shows_no_backslash_of_ours() -> None:
    assert safe("<b>costs $5 :red[x]</b> if a < b") == "\\<b>costs \\$5 \\:red[x]\\</b> if a < b"
    assert safe("`<b>` and \\<i>") == "`<b>` and \\<i>"


def test_lines_stay_lines_and_paragraphs_paragraphs() -> None:
    assert safe("6 * 4 = 24.\nThe answer is 24.\n\nBye") == "6 * 4 = 24.  \nThe answer is 24.\n\nBye"


def test_an_open_fence_is_code_to_the_end() -> None:
    assert safe("```python\ncost = '$5'") == "```python\ncost = '$5'"


@pytest.mark.parametrize(
    "program",
    [
        "def count(s):\n    return len(s)\n\nresult = count('a')\nprint(result)",
        "#include <iostream>\nusing namespace std;\n\nint main() {\n    return 0;\n}",
        "SELECT name FROM customers\nWHERE city = 'Bonn'\nORDER BY name\nLIMIT 5;",
        "<html>\n<body>\n<p>Hi</p>\n</body>\n</html>",
    ],
)
def test_a_program_without_a_fence_gets_one(program: str) -> None:
    assert safe(program) == f"```\n{program}\n```"


@pytest.mark.parametrize(
    "prose",
    [
        "She buys 6 * $4 = $24.\nWith the pen it is 24 + 3 = 27.\nThe answer is 27.",
        "Dear Anna,\n\nThank you for covering my shift.\nFor this I owe you a coffee.\n\nBest,\nTom",
        "If you try this, it works.\nWhile it cooks, stir.\nFrom time to time, taste it.",
        "x = 5",
    ],
)
def test_prose_gets_no_fence(prose: str) -> None:
    assert "```" not in safe(prose)


@given(st.text(alphabet="![]()`$ \nax:/.\\", max_size=60))
def test_no_image_is_left_outside_code(text: str) -> None:
    prose = "".join(part for number, part in enumerate(CODE.split(safe(text))) if number % 2 == 0)
    assert not IMAGE.search(prose)


def test_a_link_names_its_host_and_leads_only_to_web_pages() -> None:
    assert safe("[your bank](https://evil.example/login?x=1)") == (
        "[your bank (evil.example)](https://evil.example/login?x=1)"
    )
    assert safe("[run](javascript:alert(1))").startswith("run (`javascript:alert(1`)")
    assert safe("[file](file:///etc/passwd)") == "file (`file:///etc/passwd`)"
    assert safe('[a](http://host.example/ "your bank")') == "[a (host.example)](http://host.example/)"
    assert safe("see [this][1]\n\n[1]: http://host.example") == "see [this][1]\n\n\\[1]: http://host.example"


def test_a_text_cannot_pretend_to_be_a_badge_of_the_page() -> None:
    assert safe("I am :green-badge[highest reward] :material/check:") == (
        "I am \\:green-badge[highest reward] \\:material/check:"
    )
    assert safe("At 10:30 he said: yes") == "At 10:30 he said: yes"


def test_formulas_are_drawn_and_money_is_not() -> None:
    assert safe(r"so \(x^2\) costs $5") == r"so $x^2$ costs \$5"
    assert safe("\\[a + b\\]") == "$$\na + b\n$$"
    assert safe("$$a + b$$") == "$$\na + b\n$$"


def test_a_very_long_text_is_cut_and_says_so() -> None:
    shown = safe("word " * 20_000)
    assert len(shown) < MOST + 100
    assert "80,000 characters more" in shown
    fenced = safe("```python\n" + "x = 1\n" * 20_000)
    assert fenced.count("```") == 2
    assert fenced.rstrip().endswith("characters more, which an export has*")


@given(st.text(alphabet="[]()<>:/ahtpsjv.\n`\\", max_size=60))
def test_no_link_leads_elsewhere_unnamed(text: str) -> None:
    prose = "".join(part for number, part in enumerate(CODE.split(safe(text))) if number % 2 == 0)
    for words, address in LINK.findall(prose):
        assert f"({urlsplit(address).hostname})" in words
