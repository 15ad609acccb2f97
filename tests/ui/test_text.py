from __future__ import annotations

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


def test_an_open_fence_is_code_to_the_end() -> None:
    assert safe("```python\ncost = '$5'") == "```python\ncost = '$5'"


@given(st.text(alphabet="![]()`$ \nax:/.\\", max_size=60))
def test_no_image_is_left_outside_code(text: str) -> None:
    prose = "".join(part for number, part in enumerate(CODE.split(safe(text))) if number % 2 == 0)
    assert not IMAGE.search(prose)
