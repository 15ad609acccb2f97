from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.hostile_texts import ATOMS, PAYLOADS, faults, payload
from zooter_core.ui.markdown import LONGER, MOST, message, safe
from zooter_core.ui.text import plain, with_commands

TEXT = st.lists(st.sampled_from(ATOMS), max_size=24).map("".join)


@pytest.mark.parametrize("name", PAYLOADS)
def test_nothing_is_loaded_and_no_link_hides_its_host(name: str) -> None:
    assert faults(safe(payload(name))) == []


# Atoms in every order; tests/support/hostile_texts.py names what is known to be dangerous.
@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEXT)
@example("".join(ATOMS))
def test_no_text_loads_anything_or_hides_a_host(text: str) -> None:
    assert faults(safe(text)) == []


@given(TEXT)
def test_a_name_forms_nothing(text: str) -> None:
    written = plain(text)
    assert "\n" not in written
    for around in (written, f"**{written}** x", f"- {written}", f":blue-badge[{written}]", f"x {written}"):
        assert faults(around) == []


def test_what_the_check_finds() -> None:
    for markdown in (
        "![a](http://e.example)",
        "<b>",
        "[a](http://e.example)",
        "[a]: http://e.example",
        "www.e.example",
    ):
        assert faults(markdown), markdown
    assert faults("[a e.example](http://e.example/b)") == []


def test_the_address_of_an_image_is_shortened() -> None:
    assert safe("![](data:image/png;base64," + "A" * 5000 + ")").count("A") < 300


DRAWN = {
    "images become their words and address": (
        ("see ![a cat](http://a.example/cat.png) there", "see a cat (`http://a.example/cat.png`) there"),
        ("![a][ref]\n\n[ref]: /cat.png", "!\\[a\\]\\[ref\\]\n\n\\[ref\\]: /cat.png"),
        ("!http://host.example/", "\\![http\\://host.example/](<http://host.example/>)"),
    ),
    "a link names its host, and leads only to web pages": (
        (
            "[your bank](https://evil.example/?x=1&y=2)",
            "[your bank (evil.example)](<https://evil.example/?x=1&amp;y=2>)",
        ),
        ("[**your** [bank]](http://evil.example)", "[**your** \\[bank\\] (evil.example)](<http://evil.example>)"),
        ("[run](javascript:alert(1))", "run (`javascript:alert(1)`)"),
        ("[file](file:///etc/passwd)", "file (`file:///etc/passwd`)"),
        ("see [docs/a.md](docs/a.md)", "see `docs/a.md`"),
        ("f[x](y)", "f\\[x\\](y)"),
        ('[a](http://host.example/ "your bank")', "[a (host.example)](<http://host.example/>)"),
        ("[a](http://host.example/b\\_c?d&amp;e)", "[a (host.example)](<http://host.example/b_c?d&amp;e>)"),
        ("see [this][1]\n\n[1]: /x", "see \\[this\\]\\[1\\]\n\n\\[1\\]: /x"),
    ),
    "a bare address is a link where its host is beyond doubt": (
        ("See http://host.example/a_b.", "See [http\\://host.example/a\\_b](<http://host.example/a_b>)."),
        ("(www.host.example/a_(b))", "([www.host.example/a\\_(b)](<http://www.host.example/a_(b)>))"),
        ("<http://host.example>", "[http\\://host.example](<http://host.example>)"),
        ("[www.host.example](http://www.host.example)", "[www.host.example](<http://www.host.example>)"),
        ("http://bank.example@evil.example/", "`http://bank.example@evil.example/`"),
        ("http://[::1]/ http:// http://2130706433/", "`http://[::1]/` `http://` `http://2130706433/`"),
        ("http://bänk.example/", "`http://bänk.example/`"),
        ("见（http://host.example/a），详见", "见（[http\\://host.example/a](<http://host.example/a>)），详见"),
        ("<me@host.example>", "\\<me@host.example\\>"),
    ),
    "HTML is text": (
        ("<b>costs $5</b> if a < b", r"\<b\>costs \$5\</b\> if a \< b"),
        ("<!-- x -->\n<script>y</script>", "\\<!-- x --\\>  \n\\<script\\>y\\</script\\>"),
        ("`<b>` and \\<i> &lt;u>", r"`<b>` and \<i\> \<u\>"),
    ),
    "a text cannot pretend to be a badge of the page": (
        (
            ":green-badge[best] :material/check: :streamlit:",
            "\\:green-badge\\[best\\] \\:\u2060material/check: \\:\u2060streamlit:",
        ),
        ("\\:streamlit: :strea-[mlit:](x)", "\\:\u2060streamlit: \\:strea-\u2060mlit: (`x`)"),
        ("At 10:30 he said: yes", "At 10\\:30 he said: yes"),
    ),
    "one structure, whatever the dialect": (
        ("Title\n=====\n\n* a\n    b\n\n3) c\n\n    code", "### Title\n\n*   a  \n    b\n\n3)  c\n\n    code"),
        ("text\n\n    x = 1\n\nmore", "text\n\n```\nx = 1\n```\n\nmore"),
        ("__b__ _i_ a_b_c 2 * 3 ~~d~~ ~e", r"__b__ _i_ a\_b\_c 2 \* 3 ~~d~~ \~e"),
        ("2*3*4 is (1+3)*4*(2+1)*.5", "2\\*3\\*4 is (1+3)\\*4\\*(2+1)\\*.5"),
        ("x**2 + y**2, w*h*d, n*(n-1)*(n-2)", "x\\*\\*2 + y\\*\\*2, w\\*h\\*d, n\\*(n-1)\\*(n-2)"),
        ("2*π*r + 3*√2*x", "2\\*π\\*r + 3\\*√2\\*x"),
        ("½*½*½, 2²*3²*4", "½\\*½\\*½, 2²\\*3²\\*4"),
        ("[a-z]*[0-9]* or x^{2}_{1} + y^{2}_{1}", r"\[a-z\]\*\[0-9\]\* or x\^\{2\}\_\{1\} + y\^\{2\}\_\{1\}"),
        ("#", "\\#"),
        ("+\n-", "\\+  \n\\-"),
        ("a/*.ts, b/**/*.js, **src/**, *src/*", "a/\\*.ts, b/\\*\\*/\\*.js, **src/**, *src/*"),
        ("/* c */ and /* d */", r"/\* c \*/ and /\* d \*/"),
        ("dir\\*.txt in C:\\*, but a\\*b is escaped", r"dir\\\*.txt in C\:\\\*, but a\*b is escaped"),
        ("SELECT *, count(*) or C:/*.* or *.*", r"SELECT \*, count(\*) or C\:/\*.\* or \*.\*"),
        ("/^\\d+$/ and /^\\w+$/", r"/\^\\d+\$/ and /\^\\w+\$/"),
        ("__init__ and __main__", "\\_\\_init\\_\\_ and \\_\\_main\\_\\_"),
        ("**bold**text, *it*, **a:**(b)", "**bold**text, *it*, **a:**(b)"),
        ("is **42**. **A**(*1*), the **2**nd, **2020**-**21**", "is **42**. **A**(*1*), the **2**nd, **2020**-**21**"),
        ("**a *b* c**, *.js and *.css, **/*.py", "**a *b* c**, \\*.js and \\*.css, \\*\\*/\\*.py"),
        ("6 * 4 = 24.\nThe answer is 24.\n\nBye", "6 \\* 4 = 24.  \nThe answer is 24.\n\nBye"),
        ("1\\. one\n\\- two\n\\# three\n&#32;four", "1\\. one  \n\\- two  \n\\# three  \n four"),
        (r"^\w+(\.\w+)+\/?$ or 1\. one", r"\^\\w+(\\.\\w+)+\\/?\$ or 1. one"),
        ("a\n    - b\n    ~~~~c~~~~\n    * * *", "a  \n\\- b  \n\\~\\~\\~\\~c\\~\\~\\~\\~  \n\\* \\* \\*"),
        ("a | b\n:--|--:|-\n", "a \\| b  \n\\:--\\|--\\:\\|-"),
        ("x <- 5; git add -- a", "x \u2060\\<- 5; git add \u2060-- a"),
        ("a\u202eb\x1b[31m\ud800", "a\ufffdb\ufffd\\[31m\ufffd"),
    ),
    "emphasis also where words have no spaces between them": (
        ("**注意：**要有，是**“阶乘”**。", "**注意：\u2060**要有，是**\u2060“阶乘”**。"),
        ("**서울(Seoul)**은 `a(**은`", "**서울(Seoul)\u2060**은 `a(**은`"),
        ("**Note:**be *quick*", "**Note:\u2060**be *quick*"),
    ),
    "code stays code": (
        ("````\n```\n![x](y)\n```\n````", "````\n```\n![x](y)\n```\n````"),
        ("`` a`b ``, ` `` `, ```", r"``a`b``, ``` `` ```, \`\`\`"),
        ("`a``b` `c`", "```a``b``` `c`"),
        ("| a |\n|---|\n| `x \\| y` |", "| a |\n| --- |\n| `x \\| y` |"),
        ("| a | b |\n|---|---|\n| `x | y` | $|x|$ |", "| a | b |\n| --- | --- |\n| `x \\| y` | $$\\vert x\\vert $$ |"),
        ("| a |\n|---|\n| x<br>y `<br>` |", "| a |\n| --- |\n| x&#10;y `<br>` |"),
        ("```C\na\n```", "```c\na\n```"),
        ("| a |\n|---|\n| `x\\\\|![y](z)` |", "| a |\n| --- |\n| `x\\|![y](z)` |"),
        ("```python\ncost = '$5'", "```python\ncost = '$5'\n```"),
        ("```c++ linenos\na\n```", "```c++\na\n```"),
        *((f"Here:\n\n{empty}", "Here:") for empty in ("```", "```python\n", "```\n\n```", "~~~ \n  \n~~~")),
    ),
    "a language that is drawn as a picture is only code": tuple(
        (f"```{info}\na\n```", "```\na\n```")
        for info in ("mermaid", "Mermaid x", "+language-mermaid", "mermaid-x", "&#109;ermaid", "math")
    ),
    "formulas are drawn": (
        (r"so \(x^2\) costs $5", r"so $$x^2$$ costs \$5"),
        (r"$\$5 \times 3 = \$15$ or $\$6$, and $5 or \$6", r"$$\$5 \times 3 = \$15$$ or $$\$6$$, and \$5 or \$6"),
        ("\\[a + b\\]", "$$\na + b\n$$"),
        ("$$a + b$$", "$$\na + b\n$$"),
        ("So:\n\\[\na\n- b\n\\]\nthen", "So:\n\n$$\na\n- b\n$$\n\nthen"),
        (
            "So\n\\begin{align*}\nx &= 1 \\\\\n\\end{align*}\nis",
            "So\n\n$$\n\\begin{align*}\nx &= 1 \\\\\n\\end{align*}\n$$\n\nis",
        ),
        ("\\begin{bmatrix} 1 \\\\ 2 \\end{bmatrix}", "$$\n\\begin{bmatrix} 1 \\\\ 2 \\end{bmatrix}\n$$"),
        (r"is \[ x < y \] or", "is \n\n$$\nx < y\n$$\n\nor"),
        ("is $$x\\$$ or", "is $$x\\ $$ or"),
        ("is $$x$$ or $$y$$", "is $$x$$ or $$y$$"),
        (r"\(x\)\(y\)", "$$x$$\u2060$$y$$"),
        (r"\( 6 \times \$4 = \$24 \)", r"$$6 \times \$4 = \$24$$"),
        ("1. so \\[ x \\]", "1.  so \n\n    $$\n    x\n    $$"),
        ("| a |\n|---|\n| \\(\\|x\\|\\) |", "| a |\n| --- |\n| $$\\vert x\\vert $$ |"),
        ("the $x^2$ of $x$", "the $$x^2$$ of $$x$$"),
        ("$$y=1$$ and $z_1$", "$$y=1$$ and $$z_1$$"),
        ("add $3$ to $2x - 5$; $f'(x)$, $5!$, $AB$", "add $$3$$ to $$2x - 5$$; $$f'(x)$$, $$5!$$, $$AB$$"),
        ("$|x| > -2$, $(1, 2)$.", r"$$\vert x\vert  > -2$$, $$(1, 2)$$."),
    ),
    "money and variables are no formulas": (
        (
            "$5 and $6, `$HOME`\n\n```sh\necho $PATH ![x](y)\n```",
            "\\$5 and \\$6, `$HOME`\n\n```sh\necho $PATH ![x](y)\n```",
        ),
        ("$5-$6 a=b", r"\$5-\$6 a=b"),
        ("A$10, R$ 20", r"A\$10, R\$ 20"),
        ("$HOME=x and $PATH", r"\$HOME=x and \$PATH"),
        ("$5/$6 ($7 a day), $a:$b, ${x}${y}", r"\$5/\$6 (\$7 a day), \$a\:\$b, \$\{x\}\$\{y\}"),
        ("5$, 10$ or 5$/6$; ($$) and ($$)", r"5\$, 10\$ or 5\$/6\$; (\$\$) and (\$\$)"),
        ("$HOME/$USER, $5 a day in US$", r"\$HOME/\$USER, \$5 a day in US\$"),
        (r"$\def{x}$", r"\$\\def\{x\}\$"),
    ),
}


@pytest.mark.parametrize("what", DRAWN)
def test_how_texts_are_drawn(what: str) -> None:
    assert [(text, safe(text)) for text, _ in DRAWN[what]] == list(DRAWN[what])


def test_a_message_keeps_its_code_and_lists_and_shows_what_a_server_says() -> None:
    reply = "*boom* at __init__ in _x_: a_b, <p> $5 $6"
    shown = r"\*boom\* at \_\_init\_\_ in \_x\_: a\_b, \<p\> \$5 \$6"
    assert (
        message(f"Nobody answered:\n- b: {reply}\n\nCall `a *b*`.")
        == f"Nobody answered:\n\n-   b: {shown}\n\nCall `a *b*`."
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("llama-3:8b *x*\n[y](z) <b>", "llama-3\\:8b \\*x\\* \\[y\\](z) \\<b\\>"),
        ("- http://e.example/ me@e.example", "\\- http\\:\u2060//e.example/ me@\u2060e.example"),
        ("$5 `x`", "\\$5 \\`x\\`"),
        ("git add -- a >= 3", "git add \u2060-- a \u2060\\>= 3"),
    ],
)
def test_a_name_shows_its_characters(name: str, shown: str) -> None:
    assert plain(name) == shown


def test_commands_in_a_sentence_of_ours_stay_code() -> None:
    shown = with_commands("`a*b*` gains. `zooter queries --from` selects more, `zooter run; rm` nothing.")
    assert shown.replace("\\", "") == "`a*b*` gains. `zooter queries --from` selects more, `zooter run; rm` nothing."
    assert " `zooter queries --from` " in shown
    assert "\\`zooter run; rm\\`" in shown
    assert "\\`a\\*b\\*\\`" in shown
    assert with_commands("Ask for `auto`, not `b`.") == "Ask for `auto`, not \\`b\\`."


def test_what_people_write_stays() -> None:
    text = (
        "# Title\n\nSome *light*, **heavy** and ~~gone~~ words.\n\n-   one\n    -   two\n-   three\n\n"
        "1.  first\n\n    ```python\n    x = [1]\n    ```\n\n2.  second\n\n"
        "___\n\n-   tight\n    ```\n    x\n    ```\n-   list\n\n"
        "| a | b |\n| --- | ---: |\n| `x` | 1 |\n\n> quoted\n>\n> > twice\n\n___\n\n-   [x] done"
    )
    assert safe(text) == text.replace("# Title", "### Title")  # the page has titles of its own


def test_an_answer_that_comes_piece_by_piece_keeps_what_was_drawn() -> None:
    answer = "Intro:\n\n```python\nx = 1\nprint(x)\n```\n\n- a **b**\n- c\n"
    drawn = [safe(answer[:end]) for end in range(len(answer) + 1)]
    begun = [text for text in drawn if "```python" in text]
    assert all(text.count("```") == 2 and text.startswith("Intro:\n\n```python") for text in begun)


@pytest.mark.parametrize(
    "program",
    [
        "def count(s):\n    return len(s)\n\nresult = count('a')\nprint(result)",
        "#include <iostream>\nusing namespace std;\n\nint main() {\n    return 0;\n}",
        "SELECT name FROM customers\nWHERE city = 'Bonn'\nORDER BY name\nLIMIT 5;",
        "<html>\n<body>\n<p>Hi</p>\n</body>\n</html>",
        "def reverse(s):\n    return s[::-1]",
        '{\n  "name": "Ann",\n  "age": 30,\n  "tags": []\n}',
    ],
)
def test_a_program_without_a_fence_gets_one(program: str) -> None:
    assert safe(program) == f"```\n{program}\n```"


def test_a_fence_without_its_beginning_is_one_all_the_same() -> None:
    assert safe("def reverse(s):\n    return s[::-1]\n```") == "```\ndef reverse(s):\n    return s[::-1]\n```"
    assert safe("Hello\n```") == "Hello"


@pytest.mark.parametrize(
    "prose",
    [
        "She buys 6 * $4 = $24.\nWith the pen it is 24 + 3 = 27.\nThe answer is 27.",
        "Dear Anna,\n\nThank you for covering my shift.\nFor this I owe you a coffee.\n\nBest,\nTom",
        "If you try this, it works.\nWhile it cooks, stir.\nFrom time to time, taste it.",
        "To buy:\n- milk;\n- bread (two);\n- eggs;\n- salt.",
        "let it be\nfrom dusk till dawn\nwith all my heart,\nfor you",
        "x = 5",
    ],
)
def test_prose_gets_no_fence(prose: str) -> None:
    assert "```" not in safe(prose)


@pytest.mark.parametrize(
    "formula",
    [
        r"\includegraphics{http://e.example/x.png}",
        r"\href{http://e.example}{x}",
        r"\htmlData{a=b}{x}",
        r"\def\a{\a\a}\a",
        r"\rule{500em}{500em}",
        r"x \\[-40em] y",
        "a `b",
    ],
)
def test_a_formula_that_loads_links_or_leaves_its_place_is_code(formula: str) -> None:
    assert "$$" not in safe(f"so \\({formula}\\)").replace("`", "")
    assert safe(f"\\[\n{formula}\n\\]").startswith("```latex\n\\[\n")


@pytest.mark.parametrize("formula", [r"\ce{2H2 + O2 -> 2H2O}", r"v = \SI{3}{m}", r"\begin{multline} a \end{multline}"])
def test_a_formula_that_katex_does_not_know_is_code(formula: str) -> None:
    assert safe(f"so \\({formula}\\)") == f"so `\\({formula}\\)`"
    assert safe(f"\\[\n{formula}\n\\]").startswith("```latex\n\\[\n")
    assert safe("$$\n3\\mbox{ m} \\label{eq:1}\n$$") == "$$\n3\\text{ m}\n$$"


def test_a_very_long_text_is_cut_and_says_so() -> None:
    shown = safe("word " * 20_000)
    assert len(shown) < MOST + 100
    assert "80,000 characters more" in shown
    fenced = safe("```python\n" + "x = 1\n" * 20_000)
    assert fenced.count("```") == 2
    assert fenced.rstrip().endswith("characters more, which an export has*")


@pytest.mark.parametrize("text", ["> " * 40 + "a", "- " * 20 + "a"])
def test_what_is_nested_too_deeply_is_shown_as_it_was_written(text: str) -> None:
    assert safe(text) == f"```\n{text}\n```"


def test_emphasis_is_not_nested_without_end() -> None:
    assert safe("*a " * 300 + "a* " * 300) == ("\\*a " * 300 + "a\\* " * 300).strip()


@pytest.mark.slow
def test_a_bubble_is_bounded() -> None:
    head = "|a" * 40 + "|\n" + "|-" * 40 + "|\n"
    for text in (head + "a\n" * 10_000, "> " * 15 + "a\n" + "b\n" * 10_000, "|a" * 5000 + "|\n" + "|-" * 5000 + "|\n"):
        assert len(safe(text)) <= LONGER * MOST
