"""Models: cards, connecting, changing and removing models, and the exam, in front of a scripted server."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from support.app_pages import (
    Open,
    ask,
    charts,
    column,
    compare,
    comparison,
    labels,
    let_manage,
    press,
    tables,
    words,
)
from support.patience import PATIENCE, wait_until
from support.scripted_server import Scripted, serving
from zooter_core.base.records import Query
from zooter_core.base.skills import GROUPS
from zooter_core.config.edit import add_candidates, change_candidate, set_table
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.discovered import Model
from zooter_core.fleet.discovery import Discovery
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.machine import Gpu
from zooter_core.fleet.skills import starter_queries
from zooter_core.ui import resources
from zooter_core.ui.history import history
from zooter_core.ui.models import cards, connect, exam, manage

KEY = "sk-never-in-a-file"
MATH = GROUPS["math"]


@pytest.fixture(scope="module")
def queries() -> list[Query]:
    return starter_queries()[:48]


@pytest.fixture
def server(queries: list[Query]) -> Iterator[Scripted]:
    """`sums` knows the answers of mathematics and nothing else; `words` has a polite sentence for everything."""
    answers = {query.text: str((query.key or {}).get("answer", "")) for query in queries if query.dataset in MATH}
    with serving() as scripted:
        scripted.models = ["sums", "words"]
        scripted.replies = {
            "sums": lambda query: answers.get(query) or "0",
            "words": lambda query: f"About {' '.join(query.split()[-6:])}: it depends, and I am glad that you asked.",
        }
        yield scripted


@pytest.fixture(autouse=True)
def managed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    let_manage(monkeypatch, "*")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))  # of trusted keys
    monkeypatch.delenv("MODEL_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(server: Scripted, tmp_path: Path) -> Path:
    """A fleet of two models, without [router] and [reward]."""
    place = tmp_path / "mine"
    keys = {"backend": "openai", "base_url": server.url}
    add_candidates(place, [keys | {"name": name, "model": name} for name in server.models])
    return place


@pytest.fixture
def page(open_page: Open, folder: Path) -> AppTest:
    return drawn(open_page("models", folder), folder)


def drawn(page: AppTest, folder: Path) -> AppTest:
    """The page once the fleet's models have been tried."""
    loading = resources._loading(str(folder))
    wait_until(lambda: loading.ensemble is not None and len(loading.ensemble.loads) == len(names(folder)))
    return page.run()


def names(folder: Path) -> tuple[str, ...]:
    return load_fleet(folder).pool


def lists(page: AppTest, address: str, key: str = "", variable: str = "") -> AppTest:
    """The page once the models at an address are listed, or an error says why not."""
    page.text_input(key="address").set_value(address)
    page.text_input(key="address-key").set_value(key)
    page.text_input(key="address-variable").set_value(variable)
    return press(page, "List its models")


def test_a_list_is_asked_for_again_where_the_page_is_drawn_anew_meanwhile(
    page: AppTest, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, ask = 0, connect.models_at

    def interrupted(url: str, variable: str | None = None) -> list[Model]:
        nonlocal calls
        calls += 1
        if calls == 1:
            st.rerun()  # as the cards do when the last model has loaded
        return ask(url, variable)

    monkeypatch.setattr(connect, "models_at", interrupted)
    assert len(lists(page, server.url).checkbox) >= 2
    assert calls == 2


def test_cards_say_what_answers_and_why_a_model_does_not(open_page: Open, server: Scripted, folder: Path) -> None:
    keys = {"backend": "openai", "model": "http-404"}
    add_candidates(folder, [keys | {"name": "gone", "base_url": "http://127.0.0.1:9/v1"}])
    page = drawn(open_page("models", folder), folder)
    text = words(page).replace("\\", "")
    assert text.count(f"Server on this machine, {server.url.split('/')[2]}") == 2
    assert text.count(":green-badge[ready]") == 2
    assert ":red-badge[failed]" in text
    assert "no connection" in text
    assert "A starting router chooses until there is a trained one." in text
    bars = [charts(page)[f"bars-{number}"]["data"][0] for number in (1, 2, 3)]
    for shares in zip(*(bar["x"] for bar in bars), strict=True):  # of a kind of query, and of GROUPS in all
        assert sum(shares) == pytest.approx(1)
    assert len(bars[0]["x"]) == len(GROUPS)
    assert bars[0]["text"] == [f"{share:.0%}" for share in bars[0]["x"]]
    server.bodies.clear()
    page.button(key="try-words").click().run()
    assert "I am glad that you asked." in words(page)
    first, second = server.bodies  # the first is not timed: the server may have to load the model
    assert first["messages"] == second["messages"]
    assert first["max_tokens"] == 1
    change_candidate(folder, "gone", {"base_url": server.url})
    resources.forget(folder)
    page = drawn(page, folder)
    page.button(key="try-gone").click().run()
    assert "scripted http-404" in words(page)


def test_models_of_an_address_become_a_fleet(
    open_page: Open, server: Scripted, tiny_fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.models = ["words"]
    monkeypatch.setattr(manage, "EMBEDDED_FLEET", tiny_fleet)  # which stays as it is
    page = open_page("models")
    assert "Your models become a fleet of their own" in words(page)
    assert "Edit" not in labels(page)
    page = press(lists(page, server.url.removeprefix("http://")), "Connect")  # one model alone is marked
    assert names(tmp_path / "my-fleet") == ("words",)
    assert page.session_state["fleet"] == "my-fleet"  # on the other pages too
    assert "With a second model" in words(page)
    assert not tables(page)
    assert "Start the exam" not in labels(page)
    server.models = ["sums", "more", "words"]
    page = lists(page, server.url)
    assert page.button(key="primary-connect-address").disabled
    for box in page.checkbox:
        if not box.disabled:
            assert box.label.count(" · ") == 1  # a name of which nothing is known is there once
            box.check()
    page = press(page.run(), "Connect 2 models")
    assert names(tmp_path / "my-fleet") == ("words", "sums", "more")
    assert all(box.disabled and box.value for box in page.checkbox)
    assert "in the fleet" in page.checkbox[0].label


def test_a_wrong_address_host_key_or_variable_is_one_message(
    page: AppTest, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "of another server")
    for address, key, variable, message in (
        ("", "", "", "There is no address yet."),
        ("http://", "", "", "is not the address of a server"),
        ("http://127.0.0.1:9/v1", "", "", "no connection"),
        (server.url, "bad-key-1", "", "key"),
        (server.url, KEY, "LD_PRELOAD", "ends in _KEY"),
        (server.url, KEY, "MY_TOKEN", "holds another key"),
    ):
        (error,) = lists(page, address, key, variable).error
        assert message in error.value.replace("\\", "")
        assert not any(word in error.value for word in ("fleet.toml", "bad-key-1", KEY))
    assert "MODEL_API_KEY" not in os.environ  # a key that is refused is forgotten
    assert (os.environ.get("LD_PRELOAD") != KEY, os.environ["MY_TOKEN"]) == (True, "of another server")
    before = len(server.paths)
    let_manage(monkeypatch, "models.example.org")
    (error,) = lists(page, server.url).error
    assert "connects models from models.example.org" in error.value
    assert len(server.paths) == before


def test_a_key_stays_in_memory_is_for_one_server_and_can_be_typed_again(
    page: AppTest, server: Scripted, folder: Path, tmp_path: Path
) -> None:
    server.models = ["good"]  # listed for any key, as some providers do
    page = press(lists(page, server.url, "sk-mistyped", "SHOP_API_KEY"), "Connect")
    assert names(folder) == ("sums", "words", "good")
    assert 'api_key_env = "SHOP_API_KEY"' in (folder / "fleet.toml").read_text()
    page = drawn(lists(page, server.url, KEY, "SHOP_API_KEY"), folder)
    assert not page.error
    page.button(key="try-good").click().run()
    assert server.headers[-1]["authorization"] == f"Bearer {KEY}"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert os.environ.pop("SHOP_API_KEY") == KEY
    resources.forget(folder)
    page = drawn(page.run(), folder)  # as after a new start of the demo
    assert r"no key in SHOP\_API\_KEY" in words(page)
    assert "type the key above" in words(page)
    page = drawn(lists(page, server.url, KEY, "SHOP_API_KEY"), folder)
    assert "no key in SHOP" not in words(page)
    assert os.environ.pop("SHOP_API_KEY") == KEY
    assert not lists(page, server.url, KEY).error
    with serving() as other:
        assert not lists(page, other.url).error
        assert not any("authorization" in headers for headers in other.headers)
        (error,) = lists(page, other.url, "sk-of-the-other").error
    assert r"MODEL\_API\_KEY holds another key already. Name another variable" in error.value
    assert os.environ.pop("MODEL_API_KEY") == KEY


def test_without_manage_the_page_only_shows(open_page: Open, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_manage(monkeypatch)
    page = drawn(open_page("models", folder), folder)
    assert labels(page) == {"Try"}
    assert "Changing the models is off here." in words(page)
    assert "A starting router chooses" in words(page)
    assert not page.text_input


def test_what_runs_here_is_listed_with_its_gpu(
    page: AppTest, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Gpu("Card", 24 << 30, 12 << 30)
    (tmp_path / "tall").mkdir()
    model = Model("transformers", str(tmp_path / "tall"), "on disk", size=2 << 30, billions=1.0)
    monkeypatch.setenv("OPENAI_API_KEY", "a")
    monkeypatch.setattr(connect, "discover", lambda: Discovery(()))
    assert "Ollama (11434)" in words(press(page, "Look for models"))
    monkeypatch.setattr(connect, "discover", lambda: Discovery((model,), (gpu,), providers=("OPENAI_API_KEY",)))
    monkeypatch.setattr(cards, "gpus", lambda: (gpu,))
    cards._gpus.clear()
    page = press(page, "Look for models")
    assert "`OPENAI_API_KEY` is set." in words(page)
    page = press(page, "Connect")
    assert not page.error
    assert "In this process by PyTorch" in words(page)
    text = (folder / "fleet.toml").read_text()
    (folder / "fleet.toml").write_text(text.replace('name = "tall"', 'name = "tall"\ndevice_map = "cuda:0"'))
    resources.forget(folder)
    assert "On GPU 0 of this machine by PyTorch" in words(drawn(page, folder))
    cards._gpus.clear()


def test_a_long_list_is_searched_and_what_is_passed_over_is_told(page: AppTest, server: Scripted, folder: Path) -> None:
    server.models = [*(f"m{number}" for number in range(2000)), "bad\n[learn]", "[x](http://evil.example)"]
    page = lists(page, server.url)
    (choice,) = page.multiselect
    assert (len(choice.options), len(page.checkbox)) == (connect.MOST_BOXES * 10, 0)
    text = words(page).replace("\\", "")
    assert "1,001 more models" in text
    assert "skipped: badn[learn]" in text
    page = press(choice.set_value(choice.options[7:9]).run(), "Connect 2 models")
    assert names(folder)[-2:] == ("m7", "m8")


def test_changes_on_the_page_keep_those_made_by_hand_and_a_taken_name_is_refused(page: AppTest, folder: Path) -> None:
    page.text_input(key="name-sums").set_value("words")
    page = press(page, "Save")
    (error,) = page.get("popover")[0].error  # in sight, wherever on the page the model is
    assert "twice" in error.value
    assert names(folder) == ("sums", "words")
    page.text_input(key="name-sums").set_value("adder")
    page.text_input(key="description-sums").set_value("Adds.")
    page.number_input(key="price-sums").set_value(2.5)
    page = press(page, "Save")
    file = folder / "fleet.toml"
    by_hand = "\n# by hand\n[generation]\nmax_new_tokens = 77\n\n[[candidate]]"
    file.write_text(file.read_text().replace("\n[[candidate]]", by_hand, 1))
    page.text_input(key="name-words").set_value(" ")  # an empty name leaves the old one
    page.text_input(key="description-words").set_value("Talks.")
    next(button for button in page.button if button.form_id == "form-words").click().run()
    fleet = load_fleet(folder)
    assert [(one.name, one.description) for one in fleet.candidates] == [("adder", "Adds."), ("words", "Talks.")]
    assert (fleet.candidates[0].usd_per_million_tokens, fleet.generation.max_new_tokens) == (2.5, 77)
    assert "# by hand" in file.read_text()
    assert "\\$2.5 per million tokens" in words(page)
    page.button(key="removed-adder").click().run()
    assert names(folder) == ("words",)
    assert "Remove" not in labels(page)  # the last model stays


@pytest.fixture
def quick(folder: Path, tiny_fleet: Path) -> None:
    """The fleet has a tiny reward model, where an exam would give it the embedded one."""
    set_table(folder, "reward", {"kind": "scalar", "model": str(tiny_fleet / "reward")})


def sitting(folder: Path) -> exam.Exam:
    return exam._exams()[folder.resolve()]


def sit(page: AppTest, folder: Path, label: str) -> AppTest:
    """Press a button, and draw the page once the exam has ended."""
    press(page, label)
    sitting(folder).wait(PATIENCE)
    return page.run()


@pytest.mark.usefixtures("quick")
def test_an_exam_stops_goes_on_and_gives_a_router(
    page: AppTest, folder: Path, server: Scripted, queries: list[Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exam, "starter_queries", lambda quick: queries)
    leave, polite = threading.Event(), server.replies["words"]
    server.replies["words"] = lambda query: polite(query) if leave.wait(PATIENCE) else ""
    page = press(page, "Start the exam")
    running = sitting(folder)
    wait_until(lambda: [tally.done for tally in running.tallies] == [len(queries), 0])
    page.run()
    (table,) = tables(page)
    assert column(table, "Answers") == [f"{len(queries)} of {len(queries)}", f"0 of {len(queries)}"]
    assert table[0] == ["Model", "Answers", "Per minute", "Left"]  # and problems where there are any
    exam._start(Ensemble(load_fleet(folder)), folder, running.quick, again=True)  # in a tab that has not drawn it yet
    assert sitting(folder) is running
    running.stop()
    leave.set()
    running.wait(PATIENCE)
    page.run()
    assert "Stopped. The answers so far are kept." in words(page)
    page = sit(page, folder, "Go on")
    assert sitting(folder).problem is None
    assert load_fleet(folder).router is None  # it has not shown that it is better
    for _ in range(2):
        assert "The new router shows no significant difference from the starting router" in words(page)
        assert "so the starting router stays" in words(page)
        assert "Right answers, of" in words(page)
        assert page.button(key="primary-exam").disabled
        assert "Chat with the new router" not in labels(page)
        exam._exams().clear()  # as after a new start of the demo
        page.run()
    before = len(server.bodies)
    page = sit(page, folder, "Use its router anyway")
    assert load_fleet(folder).router is not None
    assert len(server.bodies) - before <= 2  # a page that is drawn anew tries each model
    for _ in range(2):
        assert "Chat with the new router" in labels(page)
        assert "so the starting router stays" not in words(page)
        assert "Right answers, of" in words(page)
        assert len(page.get("plotly_chart")) == 3
        assert page.button(key="primary-exam").disabled
        sums, polite_words = (charts(page)[f"bars-{number}"]["data"][0]["x"] for number in (1, 2))
        assert sums[0] > polite_words[0]  # of mathematics
        exam._exams().clear()
        page.run()


@pytest.mark.usefixtures("quick")
def test_an_exam_that_is_refused_says_why_and_can_begin_again(
    page: AppTest, folder: Path, server: Scripted, queries: list[Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exam, "starter_queries", lambda quick: queries[:16])
    press(page, "Start the exam")
    server.wait_for("sums", 3)
    sitting(folder).stop()
    sitting(folder).wait(PATIENCE)
    file = folder / "fleet.toml"
    file.write_text(file.read_text().replace('model = "sums"', 'model = "words"'))
    resources.forget(folder)
    sit(page.run(), folder, "Go on")
    (error,) = page.error
    assert "The responses of sums" in error.value
    assert "came from another model" in error.value
    before = len(server.bodies)
    sit(page, folder, "Begin again")
    assert not page.error
    assert len(server.bodies) - before >= 2 * 16  # every question is asked anew
    assert sitting(folder).ended_well
    server.replies["late"] = lambda query: "It is late."
    add_candidates(folder, [{"name": "new", "backend": "openai", "model": "late", "base_url": server.url}])
    resources.forget(folder)
    page = drawn(page.run(), folder)
    assert "The answers so far are kept. New since then: new." in words(page)


def test_other_pages_of_a_fleet_without_router_and_rewards(open_page: Open, folder: Path) -> None:
    for name in ("chat", "compare", "explorer", "train", "benchmark"):
        page = open_page(name, folder, mode="All of them")  # an address cannot ask for it
        assert not page.error
        assert "The router trained on" not in words(page)
        if name != "compare":
            assert "Models" in labels(page)
            assert "exam" in words(page).lower()
        if name == "chat":
            assert "a starting router chooses" in words(page)
            assert "no answers are compared here" in words(page)
            assert page.selectbox(key="mode").options == ["Router", "One model"]
            press(ask(page, "What is 2 + 3?"), "Why")
            assert "A starting router chooses until" in words(page)
            assert "training queries" not in words(page)
    page = compare(open_page("compare", folder), "What is 2 + 3?")
    assert "There is no reward model, so the responses are not ranked." in words(page)
    assert not page.error
    comparison(page).cast("tie")
    assert len(history().votes(str(folder.resolve()))) == 1
