from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.ui.text import CODE, IMAGE, safe


def test_an_image_becomes_its_words_and_address() -> None:
    assert safe("see ![a cat](http://elsewhere.example/cat.png) there") == (
        "see a cat (`http://elsewhere.example/cat.png`) there"
    )
    assert safe("![][ref]") == "image (`ref`)"


def test_money_is_no_formula_but_code_stays() -> None:
    assert safe("$5 and $6, `$HOME`\n```sh\necho $PATH ![x](y)\n```") == (
        "\\$5 and \\$6, `$HOME`\n```sh\necho $PATH ![x](y)\n```"
    )


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
