"""What visitors do on the Chat page: on the embedded fleet's real models, and where an answer comes as a test says."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator

from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from support.demo_browser import (
    NARROW,
    SLOW,
    WIDE,
    Demo,
    answered,
    ask,
    assert_fits,
    barriers,
    click_when_drawn,
    composer,
    go_to,
    tab_to,
    wait_until_idle,
)
from support.patience import PATIENCE, wait_until
from support.pdf_files import pdf
from support.scripted_server import Scripted
from zooter_core.ui.history import History
from zooter_core.ui.widgets import EXAMPLES

Open = Callable[..., Page]
COPIED = "text => navigator.clipboard.readText().then(copied => copied === text)"
BEHIND = """(button, field) => {
    const below = field.getBoundingClientRect().top - button.getBoundingClientRect().top
    document.querySelector('.stMain').scrollBy(0, -below)
}"""
# How Safari reports the Enter that ends a word of Japanese, or of another language that is composed.
ENDS_WORD = "field => field.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229, bubbles: true}))"
STYLES = "[...document.querySelectorAll('style')].find(style => style.textContent.includes('.st-key-narrow'))"
# Milliseconds in which Streamlit sees that a page was scrolled, or scrolls to the end of one that has grown.
PAUSE = 500


def answer(page: Page | Locator, text: str) -> Locator:
    """The answer with that text; its copy button holds the text once more, hidden, and so does what is read aloud."""
    return page.get_by_test_id("stMarkdownContainer").get_by_text(text).filter(visible=True)


def test_the_keyboard_alone_is_enough(open_tab: Open, demo: str) -> None:
    page, query = open_tab(demo), "What is 30 + 12?"
    box = composer(page)
    expect(box).to_be_focused(timeout=SLOW)
    page.keyboard.type(query)  # at once: the first keys arrive
    wait_until_idle(page)
    box.evaluate(ENDS_WORD)
    wait_until_idle(page)
    expect(box).to_have_value(query)
    tab_to(page, "Settings")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="System prompt")).to_be_focused()
    page.keyboard.press("Escape")
    tab_to(page, "Explorer")
    expect(page.locator(":focus")).to_have_css("outline-style", "solid")
    page.keyboard.press("/")
    expect(box).to_be_focused()
    page.keyboard.press("Enter")
    answered(page)
    expect(page.get_by_role("status")).to_contain_text("42")  # which a screen reader says
    expect(box).to_be_focused()  # for the next query
    strip = page.get_by_role("img", name=re.compile("^Routing:"))
    shares = [int(share) for share in re.findall(r"(\d+)%", strip.get_attribute("alt") or "")]
    assert len(shares) == 4
    assert 98 <= sum(shares) <= 102
    line = page.locator("[class*=st-key-strip-]")
    expect(line.locator(".stMarkdownBadge").first).to_have_text(f"math {max(shares)}%")
    assert line.bounding_box()["height"] <= 44
    page.set_viewport_size({"width": WIDE, "height": 600})
    tab_to(page, "Why")
    page.wait_for_timeout(PAUSE)
    page.keyboard.press("Space")
    expect(page.get_by_text("The most similar training queries")).to_be_visible(timeout=SLOW)
    wait_until_idle(page)
    page.wait_for_timeout(PAUSE)
    for shown in (line, page.get_by_text("What points to")):
        expect(shown).to_be_in_viewport()
    page.mouse.move(WIDE / 2, 300)
    page.mouse.wheel(0, 400)  # whoever scrolls on is not held
    page.wait_for_timeout(PAUSE)
    expect(line).not_to_be_in_viewport()
    assert_fits(page, NARROW)
    assert page.locator("[class*=st-key-why-] .js-plotly-plot").first.bounding_box()["width"] > NARROW / 2
    assert barriers(page) == []
    name, tag = line.locator(".stMarkdownBadge").all()
    tag.evaluate("tag => { tag.textContent = 'a long tag '.repeat(9) }")
    assert name.evaluate("name => name.scrollWidth <= name.clientWidth")  # the tag gives way to it
    name.evaluate("name => { name.textContent = 'a-long-name-'.repeat(9) }")
    assert line.evaluate("strip => strip.scrollWidth <= strip.clientWidth")
    assert_fits(page, WIDE)
    tab_to(page, "Share")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stPopoverBody").get_by_test_id("stCode")).to_be_focused(timeout=SLOW)
    page.keyboard.press("Escape")
    share = page.get_by_role("button", name="Share")
    expect(share).to_be_focused()
    share.evaluate(BEHIND, composer(page).element_handle())
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Edit")).to_be_focused()
    page.wait_for_timeout(PAUSE)
    assert page.locator(":focus").bounding_box()["y"] + 32 < box.bounding_box()["y"]  # not behind the field
    page.keyboard.press("Enter")
    field = page.get_by_role("textbox", name="Your query")
    expect(field).to_have_value(query, timeout=SLOW)
    expect(field).to_be_focused(timeout=SLOW)
    expect(field).to_be_in_viewport(timeout=SLOW)
    page.keyboard.type("\n" * 5 + "Please.")
    page.wait_for_function("field => field.scrollHeight <= field.clientHeight + 1", arg=field.element_handle())
    page.wait_for_timeout(PAUSE)
    expect(field).to_be_in_viewport(ratio=1)
    page.wait_for_function(  # the hint covers no line
        "([field, hint]) => hint.getBoundingClientRect().top >= field.getBoundingClientRect().bottom",
        arg=[field.element_handle(), page.get_by_text("Ctrl+Enter").element_handle()],
    )
    tab_to(page, "Cancel")
    page.keyboard.press("Enter")
    answered(page)
    expect(box).to_be_focused()
    page.locator(".stMain").evaluate("main => main.scrollTo(0, 0)")  # to read it once more
    page.wait_for_timeout(PAUSE)
    ask(page, "Thanks!")
    expect(page.get_by_test_id("stChatMessage").get_by_text("Thanks!")).to_be_in_viewport(timeout=SLOW)
    answered(page)
    expect(page.get_by_role("button", name="Edit").last).to_be_in_viewport()


def test_the_first_minute_begins_at_its_heading_on_a_phone(open_tab: Open, demo: str) -> None:
    page = open_tab(demo, NARROW)
    page.set_viewport_size({"width": NARROW, "height": 650})
    expect(page.get_by_role("button", name="Show me how it works")).to_be_visible(timeout=SLOW)
    expect(page.locator(".st-key-examples button")).to_have_text(EXAMPLES)  # in rows, one below the other here
    composer(page).fill("Not sent yet")
    for title in ("Ask once", "A router reads", "The winner answers"):
        expect(page.get_by_role("heading", name=title)).to_be_in_viewport(timeout=SLOW)
        wait_until_idle(page)
        assert page.locator(".stMain").evaluate("main => main.scrollTop") == 0
        page.locator(".stMain").evaluate("main => main.scrollTo(0, main.scrollHeight)")
        page.get_by_role("button", name=re.compile("Show me how|Next")).click()
    wait_until_idle(page)
    page.get_by_role("button", name="Skip").click()
    expect(composer(page)).to_be_in_viewport(timeout=SLOW)
    expect(composer(page)).to_have_value("Not sent yet")


FILES = [
    FilePayload(name="report.pdf", mimeType="application/pdf", buffer=pdf("The bakery sold 412 loaves in May.")),
    FilePayload(name="notes.md", mimeType="text/markdown", buffer=b"- Anna brings <script>alert(1)</script> cake."),
    FilePayload(name="cat.png", mimeType="image/png", buffer=b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
]


DROP = """(place, files) => {
    const dataTransfer = new DataTransfer()
    for (const [name, type, bytes] of files)
        dataTransfer.items.add(new File([Uint8Array.from(bytes)], name, { type }))
    place.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }))
}"""


def test_files_are_sized_sent_and_read(open_tab: Open, demo: str) -> None:
    page, query = open_tab(demo, NARROW), "How many loaves did the bakery sell in May?"
    expect(page.get_by_text("Who answers")).to_be_visible(timeout=SLOW)
    wait_until_idle(page)
    box = composer(page)
    box.fill(query)
    dropped = [[file["name"], file["mimeType"], list(file["buffer"])] for file in FILES]
    page.locator("h1").evaluate(DROP, dropped)  # anywhere on the page
    expect(page.get_by_role("button", name="report.pdf · about 12 tokens")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("cat.png is neither text nor PDF.")).to_be_visible()
    expect(page.get_by_test_id("stFileChip")).to_have_count(0)
    expect(box).to_have_value(query)
    assert_fits(page, WIDE, NARROW)
    box.press("Enter")
    answered(page)
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("412")
    page.get_by_role("button", name="notes.md").click()
    expect(page.get_by_text("<script>alert(1)</script>")).to_be_visible(timeout=SLOW)
    assert barriers(page) == []
    assert_fits(page)


# From here on, scripted endpoints answer.


def every(reply: Callable[[str], object]) -> dict[str, Callable[[str], object]]:
    return dict.fromkeys(("base", "one", "two"), reply)


def test_conversations_are_beside_the_page_and_behind_a_button_on_a_phone(
    open_tab: Open, directed: tuple[Demo, Scripted]
) -> None:
    page, query = open_tab(directed[0].address), "What is 7 + 8?"
    side = page.get_by_test_id("stSidebar")
    ask(page, query)
    answered(page)
    entry = side.get_by_role("button", name=query).first
    page.get_by_placeholder("Search").fill("no such words")
    expect(entry).to_have_count(0, timeout=SLOW)  # without Enter
    page.get_by_placeholder("Search").fill("")
    expect(entry).to_be_visible(timeout=SLOW)
    page.get_by_placeholder("Search").focus()
    for _ in range(2):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.closest('[class*=st-key-]')?.className ?? ''")
        assert not re.search("st-key-(pin|delete)-", focused)  # one stop a conversation
    entry.focus()
    page.keyboard.press("ArrowRight")
    expect(side.get_by_role("button", name="Pin").and_(page.locator(":focus"))).to_have_count(1, timeout=SLOW)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Alt+n")
    expect(page.get_by_role("heading", name="Ask once")).to_be_visible(timeout=SLOW)
    page.evaluate("document.activeElement.blur()")
    styles = page.evaluate_handle(STYLES)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Begin a new conversation", timeout=SLOW)
    assert styles.evaluate("styles => styles.isConnected")  # the page never shows without them
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert barriers(page) == []

    page.set_viewport_size({"width": NARROW, "height": 844})
    page.reload()
    expect(page.get_by_test_id("stExpandSidebarButton")).to_be_visible(timeout=SLOW)
    expect(side).to_be_hidden()
    page.get_by_test_id("stExpandSidebarButton").click()
    entry.click()
    expect(side).to_be_hidden()  # it would cover the conversation
    expect(page.get_by_role("button", name="Edit")).to_be_visible(timeout=SLOW)
    assert_fits(page)


LEFT_EDGES = """(paragraph, words) => words.map(word => {
    const range = new Range(), text = paragraph.firstChild, start = text.data.indexOf(word)
    range.setStart(text, start)
    range.setEnd(text, start + word.length)
    return range.getBoundingClientRect().left
})"""


def test_back_and_forward_show_the_conversations_of_before(open_tab: Open, directed: tuple[Demo, Scripted]) -> None:
    page, queries = open_tab(directed[0].address), ("What is 61 + 12?", "ما هو Python؟ اشرح لي الفكرة باختصار مع مثال")
    directed[1].replies.update(every(lambda query: "1. اقرأ $x + 1$" if "Python" in query else "73"))
    messages, start = page.get_by_test_id("stChatMessage"), page.get_by_text("A small router reads your query")
    for query in queries:
        ask(page, query)
        answered(page)
        page.go_back()
        expect(start).to_be_visible(timeout=SLOW)
        page.go_forward()
        expect(messages.first).to_contain_text(query, timeout=SLOW)
        page.locator(".st-key-new button").click()
        expect(start).to_be_visible(timeout=SLOW)
    entries = [page.get_by_test_id("stSidebar").get_by_role("button", name=query) for query in queries]
    for entry in (entries[1], entries[1], entries[0]):  # at once: the browser does not have the new address yet
        entry.dispatch_event("click")
    expect(messages.first).to_contain_text(queries[0], timeout=SLOW)
    wait_until_idle(page)
    expect(messages.first).to_contain_text(queries[0])
    entries[1].dispatch_event("click")  # its tooltip may cover it
    expect(messages.first).to_contain_text(queries[1], timeout=SLOW)
    page.go_back()
    expect(messages.first).to_contain_text(queries[0], timeout=SLOW)
    page.go_forward()
    expect(messages.first).to_contain_text(queries[1], timeout=SLOW)
    wait_until_idle(page)
    expect(messages.first).to_contain_text(queries[1])
    for name in ("Compare", "Chat"):  # one step back undoes one press, whatever a page writes into its address
        go_to(page, name)
        wait_until_idle(page)
    expect(messages.first).to_contain_text(queries[1], timeout=SLOW)
    page.go_back()
    expect(page.get_by_role("heading", name="All models on one query")).to_be_visible(timeout=SLOW)
    page.go_back()
    expect(messages.first).to_contain_text(queries[1], timeout=SLOW)
    shown = messages.first.get_by_text("Python")  # the innermost element, whose text runs from right to left
    first, foreign, later = shown.evaluate(LEFT_EDGES, ["ما", "Python", "اشرح"])
    assert first > foreign > later
    assert shown.evaluate("text => getComputedStyle(text).textAlign") == "start"  # also where a line is short
    parts = [*map(messages.last.locator, ("ol", ".katex")), entries[1].locator(".stMarkdownEllipsis").first]
    ways = [part.evaluate("part => getComputedStyle(part).direction") for part in parts]
    assert ways == ["rtl", "ltr", "rtl"]  # numbers are on the right; a title is cut at its end


def test_earlier_turns_of_a_long_conversation_come_above_those_in_sight(
    open_tab: Open, directed: tuple[Demo, Scripted]
) -> None:
    demo, page = directed[0], open_tab(directed[0].address)
    ask(page, "Number 0")
    answered(page)
    record = next(turn for turn in demo.records() if turn["query"] == "Number 0")
    for number in range(20):
        History(demo.history).keep("long", "Long", "", number, record | {"query": f"Number {number}"})
    page.goto(f"{demo.address}/?chat=long")
    first = page.get_by_text("Number 10", exact=True)
    expect(first).to_be_visible(timeout=SLOW)
    answered(page)
    earlier = page.get_by_role("button", name="Show earlier queries")
    click_when_drawn(page, earlier)
    expect(page.get_by_test_id("stChatMessage").first).to_contain_text("Number 0", timeout=SLOW)
    expect(earlier).to_have_count(0, timeout=SLOW)
    expect(first).to_be_in_viewport(timeout=SLOW)


def counting(query: str) -> Iterator[str]:
    """Numbers until the reader goes away."""
    for number in range(100_000):
        yield str(number)
        time.sleep(0.05)


def test_an_answer_outlives_a_reload_is_stopped_given_again_by_another_model_and_shared(
    open_tab: Open, directed: tuple[Demo, Scripted]
) -> None:
    demo, endpoints = directed
    endpoints.replies.update(every(counting))
    address, query = demo.address.replace("localhost", "127.0.0.1"), "Count, please."
    page = open_tab(address)
    messages = page.get_by_test_id("stChatMessage")
    ask(page, query)
    expect(messages.last).to_contain_text("1 2 3", timeout=SLOW)
    page.reload()  # in the middle, which loses nothing, nor does a look at another page
    expect(messages.first).to_contain_text(query, timeout=SLOW)
    assert "chat=" in page.url
    go_to(page, "Compare")
    expect(page.get_by_text("Every model answers")).to_be_visible(timeout=SLOW)
    go_to(page, "Chat")
    page.get_by_role("button", name="Stop").click(timeout=SLOW)
    answered(page)
    expect(page.get_by_text("incomplete")).to_have_count(0)
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile("tokens in"))).to_be_visible()

    turn = next(turn for turn in demo.records() if turn["query"] == query)
    wide = "| wide words " * 12 + "|\n" + "|---" * 12 + "|"  # a table, which scrolls by itself
    code = "```python\nif x == 'y': return True\n```"  # whose colours can be read on white
    endpoints.replies.update(every(lambda query: f"A short answer.\n\n{wide}\n\n{code}"))
    other = next(name for name in ("one", "two") if name != turn["candidate"])
    page.get_by_role("button", name="Answer again with").click()
    page.get_by_role("option", name=other).or_(page.get_by_role("menuitem", name=other)).click()
    expect(page.get_by_text("because you chose it")).to_be_visible(timeout=SLOW)
    answered(page)
    assert_fits(page, NARROW, WIDE)
    expect(messages.last.locator("pre .token.boolean")).to_have_css("color", "rgb(0, 96, 74)", timeout=SLOW)
    page.get_by_role("button", name="Previous version").click()
    expect(page.get_by_text("1/2")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("because you chose it")).to_have_count(0)
    assert_fits(page, WIDE, 2560)
    assert messages.last.bounding_box()["width"] < 1000  # lines stay readable
    assert_fits(page, NARROW)

    page.locator("[class*=st-key-copy-] button").click()
    page.wait_for_function(COPIED, arg=turn["text"])
    page.get_by_role("button", name="Share").click()
    dialog = page.get_by_test_id("stPopoverBody")
    expect(dialog.get_by_text("It works on this machine only")).to_be_visible(timeout=SLOW)
    link = dialog.locator("code").inner_text()
    assert re.match(rf"{re.escape(address)}/?\?", link)  # the host that the browser used
    box = dialog.bounding_box()
    assert 0 <= box["x"] <= NARROW - box["width"]
    assert barriers(page) == []
    before = len(demo.records())
    linked = open_tab(link)
    expect(linked.get_by_text("Nothing has run yet")).to_be_visible(timeout=SLOW)
    expect(composer(linked)).to_have_value(query, timeout=SLOW)
    assert len(demo.records()) == before


def test_closing_the_tab_stops_its_answer(open_tab: Open, directed: tuple[Demo, Scripted]) -> None:
    demo, endpoints = directed
    endpoints.replies.update(every(counting))
    page = open_tab(f"{demo.address}/?mode=All+of+them")
    query = "Count as far as you can."

    def finishes() -> list[str]:
        turn = next((turn for turn in demo.records() if turn["query"] == query), {"responses": {}})
        return [response["finish"] for response in turn["responses"].values()]

    ask(page, query)
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("1 2", timeout=SLOW)
    page.close()
    wait_until(lambda: finishes() == ["stopped"] * 3)


class Thinker:
    """Thinks when it may, and answers when it may."""

    def __init__(self) -> None:
        self.may_think, self.may_answer = threading.Event(), threading.Event()

    def __call__(self, query: str) -> Iterator[str]:
        self.may_think.wait(PATIENCE)
        yield from [
            "<think>",
            *f"Let me see.\n\n1. `{query}`\n2. ![x](http://elsewhere.example/x.png) Quite so.".split(" "),
        ]
        self.may_answer.wait(PATIENCE)
        yield from ("</think>", "A", "short", "answer.")


def test_thoughts_come_folded_and_stay_as_they_were_opened(open_tab: Open, directed: tuple[Demo, Scripted]) -> None:
    demo, endpoints = directed
    thinker = Thinker()
    endpoints.replies.update(every(thinker))
    page = open_tab(demo.address, NARROW, dark=True)
    ask(page, "Think well.")
    expect(page.get_by_text("waiting for the first word")).to_be_visible(timeout=SLOW)
    thinker.may_think.set()
    message = page.get_by_test_id("stChatMessage").last
    title, thoughts = message.locator("summary"), message.get_by_test_id("stExpanderDetails")
    end = message.locator("[class*=st-key-thinking-]")
    expect(title).to_have_text(re.compile(r"Thinking \.\.\. [1-9]\d* s"), timeout=SLOW)  # it goes on
    expect(end).to_contain_text("Quite so.")
    expect(message.locator("details")).not_to_have_attribute("open", "")
    title.click()
    expect(thoughts.get_by_role("listitem").first).to_have_text("Think well.")
    expect(end).to_be_hidden()  # it is in the thoughts
    thinker.may_answer.set()
    answered(page)
    expect(title).to_have_text(re.compile(r"Thought for [1-9]\d* s"))
    expect(message.locator("details")).to_have_attribute("open", "")  # nothing has folded it
    expect(answer(message, "A short answer.")).to_be_visible()
    menu = message.get_by_role("button", name="Answer again with")
    menu.click()
    expect(menu).to_have_css("color", "rgb(241, 238, 247)")
    page.keyboard.press("Escape")
    assert barriers(page) == []
    assert_fits(page, WIDE, NARROW)
    page.locator("[class*=st-key-copy-] button").click()
    page.wait_for_function(COPIED, arg="A short answer.")


STOPPED = "getComputedStyle(document.querySelector('[data-testid=stApp]'), '::after').content"


def test_after_a_crash_the_page_comes_back_and_the_answer_can_be_continued(
    browser: Browser, directed: tuple[Demo, Scripted]
) -> None:
    demo, endpoints = directed
    query = "Count to two hundred."

    def text_of_turn() -> str:
        return next((str(turn["text"]) for turn in demo.records() if turn["query"] == query), "")

    endpoints.replies.update(every(counting))
    page = browser.new_page()  # without a look at the console, which reports the lost connection
    page.goto(demo.address)
    ask(page, query)
    wait_until(lambda: text_of_turn().startswith("0 1 2"))
    demo.crash()
    try:
        page.wait_for_function(f"{STOPPED}.includes('Zooter has stopped. Start it again: zooter demo')", timeout=SLOW)
        expect(page.get_by_text("streamlit run")).not_to_be_visible(timeout=SLOW)
        text = text_of_turn().strip()
        endpoints.replies.update(every(lambda query: "and the rest."))
    finally:
        demo.start()  # for the tests behind this one, too
    expect(page.get_by_text("incomplete")).to_be_visible(timeout=SLOW)
    page.wait_for_function(f"{STOPPED} === 'none'", timeout=SLOW)
    assert barriers(page) == []
    page.get_by_role("button", name="Continue").click()
    expect(answer(page, "and the rest.")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("incomplete")).to_have_count(0, timeout=SLOW)
    answered(page)
    assert text_of_turn().startswith(text)
    assert text_of_turn().endswith("and the rest.")
    page.close()
