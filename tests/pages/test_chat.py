from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import Open, ask, charts, draw_ended, labels, press, talk, words
from support.patience import PATIENCE
from support.sample_report import report
from zooter_core.base.errors import WorkError
from zooter_core.base.money import in_dollars
from zooter_core.config.edit import change_candidate, set_table
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import resources
from zooter_core.ui.chat import view
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.chat.turns import Turn
from zooter_core.ui.history import history
from zooter_core.ui.jobs import CandidateAnswer
from zooter_core.ui.models import manage
from zooter_core.ui.text import JOINER
from zooter_core.ui.widgets import EXAMPLES


def test_the_empty_page_explains_itself_and_asks_an_example(open_page: Open) -> None:
    page = open_page("chat")
    assert labels(page) == {*EXAMPLES, "New conversation", "Keyboard shortcuts", "Show me how it works"}
    assert "A small router reads your query" in words(page)
    page.button(key="chat1").click().run()
    assert talk(page).turns[0].query == EXAMPLES[1]


def test_the_empty_page_says_how_often_the_router_picks_the_best(
    open_page: Open, fleet_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Picks the best" not in words(open_page("chat", fleet_copy))  # there is no report
    content = report()
    best = {"router": 0.757, "best_single": 0.4}
    for router, shown in ((0.757, True), (0.4, False)):  # no oftener than one model alone: nothing to say
        best["router"] = router
        content["held_back"] |= {
            "n": 200,
            "best_choice": {name: {"share": share, "interval": [0, 1], "n": 200} for name, share in best.items()},
        }
        (fleet_copy / "report.json").write_text(json.dumps(content))
        page = open_page("chat", fleet_copy)
        line = "Picks the best of two models in 76 of 100 queries; one call instead of two."
        assert (line in words(page)) == ("Benchmark" in labels(page)) == shown
    assert "Connect my models" not in labels(page)  # they are connected
    monkeypatch.setattr(manage, "EMBEDDED_FLEET", fleet_copy)
    assert "Connect my models" in labels(page.run())


def test_a_query_shows_probabilities_tags_choice_answer_and_why(open_page: Open) -> None:
    page = ask(open_page("chat"), "What is 12 + 30?")
    turn = talk(page).turns[0]
    tag = turn.decision.tags[0].name
    assert turn.answer.response.finish in ("stop", "length")
    *others, last = turn.decision.rivals
    shown = [f"undecided: {', '.join(others)} or {last}", tag, "tokens in"]
    assert [text for text in shown if text not in words(page)] == []
    press(page, "Why")
    assert turn.why is not None
    shown = ["What points to", "The most similar training queries", "on a scale from 0", "1 of 3 models ran and wrote"]
    assert [text for text in shown if text not in words(page)] == []
    (bars,) = [figure["data"][0]["text"] for key, figure in charts(page).items() if key.startswith("why-")]
    assert bars == [f"{share:.0%}" for share in sorted(turn.decision.probabilities.values(), reverse=True)]


def test_the_page_says_that_a_model_reads_all_since_its_last_answer(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ask(ask(open_page("chat"), "word " * 600), "Who wrote it?")
    first, last = talk(page).turns
    other = next(name for name in first.decision.probabilities if name != first.candidate)
    monkeypatch.setattr(first.job, "answers", {first.candidate: CandidateAnswer("word " * 900)})
    monkeypatch.setattr(type(last.job), "running", property(lambda job: job is last.job))
    monkeypatch.setattr(last.job, "answers", {other: CandidateAnswer()})
    assert "Reading about 1,500 tokens first" in words(page.run())
    monkeypatch.setattr(last.job, "answers", {first.candidate: CandidateAnswer()})
    assert "Reading about" not in words(page.run())
    talk(page).turns[0] = Turn.from_json(first.to_json())  # as after a restart
    assert "Reading about 1,500 tokens first" in words(page.run())


def test_of_a_long_conversation_the_latest_turns_are_drawn_and_earlier_ones_on_demand(open_page: Open) -> None:
    def drawn() -> list[str]:
        return [text.value for text in page.text]

    page = ask(open_page("chat"), "What is 1 + 1?")
    conversation = talk(page)
    record = conversation.turns[0].to_json()
    queries = [f"What is {number} + 1?" for number in range(1, 3 * view.TURNS)]
    conversation.turns[1:] = [Turn.from_json(record | {"query": query}) for query in queries[1:]]
    page.run()
    assert drawn() == queries[view.TURNS :]
    ask(page, "How are you?")
    assert drawn() == [*queries[2 * view.TURNS :], "How are you?"]
    press(page, "Show earlier queries")
    assert drawn() == [*queries[view.TURNS :], "How are you?"]
    page.session_state[f"first-{conversation.id}"] = 3  # as after an answer of another model to the fourth query
    assert page.run().text[0].value == queries[3]
    press(page, "Show earlier queries")
    assert drawn() == [*queries, "How are you?"]
    assert "Show earlier queries" not in labels(page)


TYPED = "    What is 2*3*4?\n  __init__ ~~x~~ $5 and $6\n# x :red[y] <b>"


def test_what_was_typed_is_shown_as_it_was_typed_and_folded_where_it_is_long(open_page: Open) -> None:
    page = ask(open_page("chat"), TYPED)
    assert TYPED in [text.value.lstrip(JOINER) for text in page.text]
    assert "<b>" not in "".join(element.value for element in page.markdown)
    page = ask(page, "word " * 300)
    assert any(expander.label == "All 1,500 characters" for expander in page.expander)


def test_prices_say_what_an_answer_cost_and_where_they_have_decided(open_page: Open, fleet_copy: Path) -> None:
    query, pool = "What is 12 + 30?", load_fleet(fleet_copy).pool
    chosen = Ensemble(load_fleet(fleet_copy)).route(query).candidate

    def priced(prices: dict[str, float]) -> AppTest:
        for name, price in prices.items():
            change_candidate(fleet_copy, name, {"usd_per_million_tokens": price})
        resources.forget(fleet_copy)
        return ask(open_page("chat", fleet_copy), query)

    dear = next(name for name in pool if name != chosen)
    assert f"answer cost \\$0; **{dear}**, the dearest, would have cost about" in words(priced({dear: 40.0}))
    page = priced(dict.fromkeys(pool, 10.0) | {dear: 40.0})
    turn = talk(page).turns[-1]
    tokens = turn.answer.response.tokens
    costs = [f"\\${in_dollars(price * tokens / 1e6)}" for price in (10.0, 40.0)]
    assert f"this answer cost {costs[0]}; **{dear}**, the dearest, would have cost about {costs[1]}." in (words(page))

    set_table(fleet_copy, "router", {"willingness": 1.0})
    page = priced(dict.fromkeys(pool, 1.0) | {chosen: 4.0})
    turn = talk(page).turns[0]
    assert turn.decision.most_probable == chosen != turn.decision.candidate
    press(page, "Why")
    assert f"{turn.decision.candidate} is chosen for its price: {chosen} is" in words(page)
    assert Turn.from_json(turn.to_json()).decision.order == turn.decision.order


def test_where_the_router_is_undecided_all_whom_it_may_mean_answer_side_by_side(open_page: Open) -> None:
    page = ask(open_page("chat"), "What is 12 + 30?")
    turn = talk(page).turns[0]
    first, second = turn.decision.rivals
    share, other = (f"{turn.decision.probabilities[name]:.0%}" for name in (first, second))
    assert f"**{first}** answers: {share}, against {other} for {second}." in words(page)
    assert f"[{first} {share}]" not in words(page)  # no badge of one model
    alone = turn.text
    page = draw_ended(press(page, "Ask both"))
    turn = talk(page).turns[0]
    assert (turn.job.candidates, turn.job.answers[first].text) == ((first, second), alone)
    assert (len(turn.versions), len(turn.job.ranked or [])) == (2, 2)
    won = f". Its probability is {share}, against {other} for {second}." if turn.candidate == first else " of 2;"
    assert f"**{turn.candidate}** has the highest reward{won}" in words(page)
    assert "Ask both" not in labels(page)
    page = ask(page, "Write about the sea.")  # and the conversation goes on from the better one
    turns = list(talk(page).turns)
    assert turns[1].text
    page.feedback[0].set_value(1).run()
    assert talk(page).turns == turns
    assert [record["vote"] for record in history().turns(talk(page).id)] == [1, None]
    turns[0].job.problem = "No verdict."  # as of a judge; once, not in the card of each
    assert [error.value for error in page.run().error] == ["No verdict."]


def test_all_of_them_or_a_few_answer_and_the_best_is_shown(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_page("chat")
    page.selectbox(key="mode").select("All of them").run()
    page = ask(page, "What is 12 + 30?")
    turn = talk(page).turns[0]
    assert len(turn.job.candidates) == 3
    assert any(expander.label == "Best of 3 by reward" for expander in page.expander)
    assert "you chose it" not in words(page)
    if turn.candidate != turn.decision.candidate:
        assert f"**{turn.candidate}** has the highest reward of 3" in words(page)
    *_, last = ranked = turn.job.ranked
    ranked[-1] = replace(last, reward=(ranked[0].reward or 0) + 1)  # as of a wrong answer behind a right one
    page.run()
    assert any(expander.label == "Best of 3" for expander in page.expander)
    assert "has the highest reward" not in words(page)
    page.selectbox(key="mode").select("Best of a few").run()
    page.slider(key="unsure").set_value(0.0).run()
    page = ask(page, "Write about the sea.")
    assert len(talk(page).turns[1].job.candidates) == talk(page).turns[1].settings.k == 2
    page.slider(key="unsure").set_value(1.0).run()
    assert len(talk(ask(page, "What is 12 + 31?")).turns[2].job.candidates) == 1

    def down(*_: object) -> NoReturn:
        raise WorkError("a verdict", "connection refused", "Start the judge.")

    monkeypatch.setattr(Ensemble, "rank_responses", down)
    page.selectbox(key="mode").select("All of them").run()
    page = ask(page, "What is 12 + 32?")
    assert "connection refused" in page.error[0].value
    assert all(f"-badge[{name}]" in words(page) for name in talk(page).turns[3].job.candidates)  # all are shown


def test_the_last_query_is_edited_and_an_earlier_one_changed_in_a_branch(open_page: Open) -> None:
    def change(query: str) -> None:
        next(area for area in page.text_area if area.label == "Your query").set_value(query)
        press(page, "Send")
        draw_ended(page)

    def queries(conversation: Conversation) -> list[str]:
        return [turn.query for turn in conversation.turns]

    page = press(ask(open_page("chat"), "What is 12 + 30?"), "Edit")
    change("Write about the sea.")
    assert queries(talk(page)) == ["Write about the sea."]
    press(page, "Edit")
    page = ask(page, "What is 12 + 30?")  # which ends the change
    assert not any(area.label == "Your query" for area in page.text_area)
    old = talk(page)
    press(page, "Change this query in a branch")
    change("What is 12 + 31?")
    assert queries(talk(page)) == ["What is 12 + 31?"]
    assert queries(old) == ["Write about the sea.", "What is 12 + 30?"]
    assert [entry.title for entry in history().entries()][:2] == ["What is 12 + 31?", "Write about the sea."]


def test_the_first_minute_goes_through_its_steps_and_ends_with_own_models(
    open_page: Open, tiny_fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page("chat")
    for way_out in ("New conversation", "Skip"):
        assert "Step 1 of 5" in words(press(page, "Show me how it works"))
        assert "Try one of these" not in words(page)
        press(page, way_out)
        assert "Try one of these" in words(page)
    press(page, "Show me how it works")
    press(page, "Next")
    page.session_state["story"].comparison.job.wait(PATIENCE)
    press(page, "Back")
    steps = []
    for _ in range(4):
        press(page, "Next")
        steps.append(words(page))
    assert "## 1. " in steps[1]  # the cards of all models
    assert "Reward of each response" in steps[2]
    assert "Asking" in steps[3]
    page.session_state["story"].comparison.job.problem = "No verdict."  # as of a judge
    assert [error.value for error in page.run().error] == ["No verdict."]
    assert "Connect my models" not in labels(page)  # they are connected
    monkeypatch.setattr(manage, "EMBEDDED_FLEET", tiny_fleet)
    assert "Connect my models" in labels(page.run())
    press(page, "Ask something")
    assert "Step" not in words(page)
    assert talk(page).turns == []


def test_a_query_that_cannot_be_routed_gets_one_clear_message(open_page: Open) -> None:
    page = open_page("chat")
    page.chat_input[0].set_value("   ").run()
    assert "an empty text" in page.error[0].value
    assert talk(page).turns == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("adapters/two", "adapters/three", "adapters/three"),
        ('path = "router"', 'path = "broken"', "a whole router in"),
    ],
)
def test_a_broken_fleet_is_told_on_the_page(
    open_page: Open, slow_fleet: Path, old: str, new: str, message: str
) -> None:
    shutil.copytree(slow_fleet / "router", slow_fleet / "broken")
    (slow_fleet / "broken" / "model.safetensors").write_bytes(b"not safetensors")
    file = slow_fleet / "fleet.toml"
    file.write_text(file.read_text().replace(old, new))
    page = open_page("chat", slow_fleet)
    assert message in page.error[0].value


def test_an_answer_that_ends_while_the_page_is_drawn_leaves_the_field_open(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs when the field is drawn and has ended when the answer is: nothing would draw the page once more."""
    page = ask(open_page("chat"), "What is 12 + 30?")
    running, routing = [True], view.draw_routing
    monkeypatch.setattr(type(talk(page).turns[0].job), "running", property(lambda job: bool(running)))
    monkeypatch.setattr(view, "draw_routing", lambda *drawn: (routing(*drawn), running.clear())[0])
    page.run()
    assert not page.chat_input[0].disabled
    assert "tokens in" in words(page)


def test_what_is_sent_while_the_answer_of_another_tab_runs_stays_in_the_field(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ask(open_page("chat"), "What is 12 + 30?")
    with monkeypatch.context() as patch:
        patch.setattr(type(talk(page).turns[0].job), "running", property(lambda job: True))
        page.chat_input[0].set_value("And 12 + 31?").run()
    assert "another tab" in page.error[0].value
    assert page.chat_input[0].value == "And 12 + 31?"
    assert not page.run().error
    assert len(talk(ask(page, "And 12 + 31?")).turns) == 2
