from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from support.hostile_texts import PAYLOADS, faults, payload
from support.patience import PATIENCE
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Attachment, Message
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.chat import export
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.chat.turns import Settings, Turn
from zooter_core.ui.history import History
from zooter_core.ui.jobs import CandidateAnswer


@pytest.fixture(scope="module")
def ensemble(tiny_fleet: Path) -> Ensemble:
    return Ensemble(replace(load_fleet(tiny_fleet), generation=GenerationConfig(max_new_tokens=12, temperature=0.0)))


@pytest.fixture
def talk(tmp_path: Path) -> Conversation:
    return Conversation("models/tiny", history=History(tmp_path / "history.db"))


def ended(talk: Conversation, number: int = -1) -> Turn:
    talk.turns[number].job.wait(PATIENCE)
    return talk.turns[number]


SHORT = Settings("fixed", "one", max_new_tokens=3)


def ask_all(talk: Conversation, ensemble: Ensemble, *queries: str) -> list[Turn]:
    """One after the other, in few words."""
    for query in queries:
        talk.ask(ensemble, query, SHORT)
        ended(talk)
    return list(talk.turns)


def test_the_candidates_read_what_was_said_when_an_answer_has_ended(
    ensemble: Ensemble, talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[tuple[str, str]]] = []
    backend = ensemble.open_backend("transformers")
    monkeypatch.setattr(
        backend,
        "read_ahead",
        lambda requests: read.append([(r.candidate.name, r.messages[-1].content) for r in requests]),
        raising=False,
    )
    talk.ask(ensemble, "What is 12 + 30?", Settings("fixed", "two"))
    first = ended(talk).text
    talk.ask(ensemble, "Why?", Settings("fixed", "one", system="Be brief."))
    second = ended(talk).text
    assert read == [[(name, text.strip()) for name in ensemble.fleet.pool] for text in (first, second)]


def test_settings_reach_the_candidate_and_the_system_text_not_the_router(
    ensemble: Ensemble, talk: Conversation
) -> None:
    talk.ask(ensemble, "Write about the sea.", Settings(max_new_tokens=3))
    plain = ended(talk)
    assert plain.answer.response.tokens <= 3
    other = Conversation()
    other.ask(ensemble, "Write about the sea.", Settings(max_new_tokens=3, system="Add up 7 apples in Python."))
    assert ended(other).decision == plain.decision
    messages = other._messages(Message("user", "x"), [], "Be brief.")
    assert [(m.role, m.content) for m in messages] == [("system", "Be brief."), ("user", "x")]


def test_a_conversation_comes_back_from_the_history(ensemble: Ensemble, talk: Conversation) -> None:
    talk.ask(ensemble, "What is 12 + 30?", Settings("rmr"))
    turn = ended(talk)
    talk.vote(0, 1)
    record = talk.history.turns(talk.id)[0]
    again = Turn.from_json(json.loads(json.dumps(record)))
    assert dict(again.decision.probabilities) == dict(turn.decision.probabilities)
    assert (again.decision.query, again.decision.candidate) == (turn.query, turn.decision.candidate)
    assert (again.text, again.candidate, again.job.vote, again.job.incomplete) == (turn.text, turn.candidate, 1, False)
    assert again.to_json() == record


def test_the_title_follows_the_first_query_but_a_name_stays(ensemble: Ensemble, talk: Conversation) -> None:
    def title_after(query: str, **options: bool) -> str:
        talk.ask(ensemble, query, SHORT, **options)
        ended(talk)
        assert talk.history.entry(talk.id).title == talk.title
        return talk.title

    assert talk.title == ""
    long = title_after("word " * 50)
    assert len(long) == 60
    assert long.endswith("…")
    with pytest.raises(ZooterError, match="an empty text"):
        talk.ask(ensemble, "  ", replacing=True)
    assert title_after("Write about the sea.", replacing=True) == "Write about the sea."
    assert [turn.query for turn in talk.turns] == ["Write about the sea."]
    talk.rename("  My   sea ")
    assert title_after("Write about the hills.", replacing=True) == "My sea"
    talk.rename("")
    assert talk.title == "Write about the hills."


def test_another_answer_is_a_version_in_its_place_and_both_come_back(
    ensemble: Ensemble, talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds, run = list[int](), ensemble.run_candidates
    monkeypatch.setattr(ensemble, "run_candidates", lambda *rest: seeds.append(rest[3].seed) or run(*rest))
    turn, later = ask_all(talk, ensemble, "Write about the sea.", "What is 12 + 30?")
    first = turn.text
    talk.vote(0, 0)
    talk.answer_with(ensemble, "two", 0)
    turn = ended(talk, 0)
    assert (turn.candidate, turn.version, len(turn.versions), turn.job.vote) == ("two", 1, 2, None)
    assert seeds == [0, 0, 1]  # another answer is drawn anew
    assert talk.turns[1] is later
    talk.show_version(0, 0)
    assert (turn.text, turn.candidate, turn.job.vote) == (first, "one", 0)
    again = Turn.from_json(talk.history.turns(talk.id)[0])
    assert (again.version, again.text, again.versions[1].shown) == (0, first, "two")
    assert talk._messages(Message("user", "next"), talk.turns)[1].content == first.strip()


def test_a_branch_begins_with_what_came_before_and_both_are_kept(ensemble: Ensemble, talk: Conversation) -> None:
    ask_all(talk, ensemble, "Write about the sea.", "What is 12 + 30?", "And 40?")
    branch = talk.branch(ensemble, 1, "What is 1 + 1?")
    ended(branch)
    branch.vote(0, 1)
    assert [turn.query for turn in branch.turns] == ["Write about the sea.", "What is 1 + 1?"]
    assert talk.turns[0].job.vote is None  # a branch has turns of its own
    assert [record["query"] for record in talk.history.turns(branch.id)] == [turn.query for turn in branch.turns]
    assert [entry.title for entry in talk.history.entries()] == [
        "Write about the sea. (branch)",
        "Write about the sea.",
    ]
    ended(talk.branch(ensemble, 0, "What is 2 + 2?"))
    assert talk.history.entries()[0].title == "What is 2 + 2?"  # nothing of the other is left
    with pytest.raises(ZooterError, match="empty"):
        talk.branch(ensemble, 1, " ")


def test_a_model_that_has_left_the_fleet_takes_no_turn_with_it(ensemble: Ensemble, talk: Conversation) -> None:
    turns, fleet = ask_all(talk, ensemble, "Write about the sea.", "And about the sky?"), ensemble.fleet
    later = Ensemble(replace(fleet, candidates=tuple(c for c in fleet.candidates if c.name != "one")))
    for step in (partial(talk.resume, later, 0), partial(talk.answer_with, later, "one")):
        with pytest.raises(ZooterError, match='"one"'):
            step()
    assert talk.turns == turns
    assert [len(turn.versions) for turn in turns] == [1, 1]
    talk.retry(later)  # somebody else answers
    turn = ended(talk)
    assert turn.candidate in later.fleet.pool
    assert (len(talk.turns), talk.turns[0], turn.query) == (2, turns[0], "And about the sky?")


def test_an_earlier_answer_is_continued_where_it_is(ensemble: Ensemble, talk: Conversation) -> None:
    turn, later = ask_all(talk, ensemble, "Write about the sea.", "And about the sky?")
    assert (turn.answer.response.finish, turn.job.unfinished) == ("length", True)
    talk.resume(ensemble, 0)
    longer = ended(talk, 0)
    assert longer.text.startswith(turn.text)
    assert len(longer.text) > len(turn.text)
    assert (longer.query, len(longer.versions)) == (turn.query, 1)
    assert talk.turns == [longer, later]
    assert [record["text"] for record in talk.history.turns(talk.id)] == [turn.text for turn in talk.turns]


def test_an_export_loads_nothing_in_what_opens_it(ensemble: Ensemble, talk: Conversation) -> None:
    hostile = "\n\n".join(["Two\nlines", *map(payload, PAYLOADS)])
    talk.ask(ensemble, hostile, Settings("fixed", "two"))
    turn = ended(talk)
    turn.job.answers["two"] = CandidateAnswer.of(replace(turn.answer.response, text=hostile))
    assert faults(export.markdown(talk)) == []
    assert "> Two  \n> lines" in export.markdown(talk)
    (record,) = json.loads(export.as_json(talk))["turns"]
    assert record["query"] == record["responses"]["two"]["text"].strip() == hostile.strip()


def test_files_stay_with_their_query_in_the_history_in_later_turns_and_in_branches(
    ensemble: Ensemble, talk: Conversation
) -> None:
    files = (Attachment("a.txt", "Salt water."),)
    talk.ask(ensemble, "Write about the sea.", SHORT, files)
    ended(talk)
    talk.ask(ensemble, "Why?", Settings("fixed", "two"))
    assert [reading.name for reading in ended(talk).answer.readings] == ["a.txt"]  # the conversation has it
    again = Turn.from_json(json.loads(json.dumps(talk.history.turns(talk.id)[0])))
    assert (again.attachments, again.answer.readings) == (files, talk.turns[0].answer.readings)
    branch = talk.branch(ensemble, 1, "How?", SHORT)
    assert [turn.attachments for turn in branch.turns] == [files, ()]
    talk.answer_with(ensemble, "two", 0)
    other = ended(talk, 0)
    assert (other.attachments, len(other.answer.readings)) == (files, 1)
    talk.ask(ensemble, "And why?", SHORT, files, replacing=True)
    assert ended(talk).attachments == files
