"""The embedded fleet's router and tagger on texts that nothing was tuned on, and the router on each runtime."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zooter_core.fleet.ensemble import Ensemble
from zooter_core.router.encoder import Encoders
from zooter_core.router.router import Router
from zooter_core.router.turns import FOLLOW_UPS, SMALL_TALK
from zooter_core.ui import charts

DATA = Path(__file__).resolve().parents[1] / "data"
POOL = ("chat", "math", "code", "writer")
ROUNDING = 1  # query that another processor's last digits may turn; the figures are docs/notebook/embedded-fleet.md's
TOPICS = ["Solve 3x - 4 = 11", "Write a Python function that reverses a string", "Write a poem about a lost kitten"]
THANKS = """thx | Thank you very much! | thanks a lot 🙏 | okay great | perfect! | ok thanks | alright | nice | sweet
| yay | Wow, impressive 🎉 | 😂 | 🔥🔥 | ❤️ | haha good one | love it | hmm ok | brilliant | much appreciated
| you're the best | that's all for today | bye bye | see ya tomorrow | have a nice day | good evening! | hello there
| hey | hi again | I'm back | how is it going? | what's up | oh well | cheers | got it | vielen Dank
| alles klar, danke | guten Abend | muchas gracias | buenos días | adiós | merci bien | salut | grazie mille
| buongiorno | obrigado | спасибо большое | ありがとうございます | 谢谢你"""
MORE = """how come? | why is that? | what else? | like what? | go on | more | a bit longer | half as long | less formal
| now in German | and in Italian? | say it in Dutch | in one sentence | as bullet points | without rhymes
| use recursion instead | is that right? | check it again | try again | step 2 again | that is wrong | I disagree
| what about 12? | and with 5? | what if it is negative? | ok, and for Munich? | great, but shorter
| thanks, now make it funnier | give me two more | another example please | for beginners | same with dogs
| sure, the green one | both | yes, add it | the last one | fix it | can you improve that? | add a comment
| explain the method | explain each part | explain more slowly | translate to Japanese | translate it to Danish
| check the result | say it differently | now write it in another way | and add a second one
| y en español? | und auf Deutsch? | mach es kürzer | plus court | pourquoi ça? | otro ejemplo"""
OTHERS = """Explain how batteries work | explain evolution | Explain supply and demand | explain the stock market to me
| Explain how wifi works | Explain the electoral college | explain the role of the mitochondria
| Translate bread into Turkish | translate "see you tomorrow" into Polish | translate where is the bathroom to French
| Summarize the moon landing | summarize the life of Gandhi | say something nice about Mondays
| and who discovered penicillin? | and what is the tallest mountain? | Now tell me about Japan
| ok, now what is the capital of Peru?"""  # each could go on with a topic by its first words
SUMS = """What is 6 times 7? | 3 plus 3 | What is 3 plus 3? | 2+2=? | how much is 9 times 9 | What's 15 minus 8?
| subtract 6 from 20 | 7 x 8 = ? | compute 19 + 23 | twelve times twelve | 1+1 | What is 81/9 | double 16
| what is 10 times 10 plus 5 | 14+28"""  # as people type them first; none is in the vocabulary


FIRST_TAGS = {  # whose nouns, or whose one odd word, once brought a tag of another kind
    "Convert 10 km to miles": "unit conversion",
    "12 miles in km": "unit conversion",
    "5 mi to km": "unit conversion",
    "Convert 100 F to C": "unit conversion",
    "bash script that renames *.jpeg": "shell command",
    "Explain recursion like I'm five": "computer science question",
    "I have 5 apples, eat 2, and buy 7 more": "word problem",
    "Name three planets": "list generation",
    "Compare cats and dogs": "comparison",
    "Spell necessary": "grammar question",
    "Rhyme with orange": "poetry",
    "who is Taylor Swift?": "famous person",
    "who is tom swift": "famous person",
    "best swift birds": "animal question",
    "ruby earrings": "shopping advice",
    "pickup lines": "joke",
    "is Java an island": "geography question",
    "how to get rust off a knife": "cleaning advice",
    "a poem for my aunt's 60th birthday": "poetry",
}


def parts(texts: str) -> list[str]:
    return [text.strip() for text in texts.split("|")]


def lines(*names: str) -> list[dict[str, Any]]:
    return [json.loads(line) for name in names for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]


def choices(ensemble: Ensemble, conversations: list[list[str]]) -> list[str]:
    return [decision.candidate for decision in ensemble.routing(conversations)]


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("evident_queries", 40),
        ("more_evident_queries", 124),
        ("opening_queries", 108),  # that people try first, most of them for code
        ("wider_queries", 195),  # LaTeX, pasted code, misleading names; 56 of 240 are not in English
        ("terse_queries", 94),  # typed in haste; few share three fifths of their words with one of terse.jsonl
    ],
)
def test_the_evident_expert_is_chosen(embedded: Ensemble, figures: list[str], name: str, least: int) -> None:
    queries = lines(name)
    decisions = embedded.route_all([line["query"] for line in queries])
    for decision in decisions:
        assert tuple(decision.probabilities) == POOL
        assert sum(decision.probabilities.values()) == pytest.approx(1)
    experts = [line["candidate"] for line in queries]
    right = Counter(expert for expert, decision in zip(experts, decisions, strict=True) if expert == decision.candidate)
    counts = ", ".join(f"{expert} {right[expert]} of {experts.count(expert)}" for expert in POOL)
    figures.append(f"{name}: {right.total()} of {len(queries)} go to the evident expert ({counts})")
    assert right.total() >= least - ROUNDING


@pytest.mark.parametrize("half", ["tuning", "held back"])
@pytest.mark.parametrize(("kind", "least"), [("change of topic", 29), ("follow-up", 30)])
def test_the_evident_expert_is_chosen_in_conversations(
    embedded: Ensemble, figures: list[str], kind: str, half: str, least: int
) -> None:
    """The words of router/turns.py were chosen on the tuning half."""
    talks = [line for line in lines("evident_conversations") if (line["kind"], line["half"]) == (kind, half)]
    assert len(talks) == 30
    chosen = choices(embedded, [[message["content"] for message in talk["messages"]] for talk in talks])
    right = sum(choice == talk["candidate"] for choice, talk in zip(chosen, talks, strict=True))
    figures.append(f"conversations, {kind}, {half}: {right} of 30 go to the evident expert")
    assert right >= least - ROUNDING


@pytest.mark.parametrize(
    ("names", "least"),
    [(("evident_queries", "more_evident_queries"), 168), (("terse_queries", "opening_queries"), 208)],
)
def test_queries_of_others_start_a_topic(
    embedded: Ensemble, figures: list[str], names: tuple[str, ...], least: int
) -> None:
    """Each evident query, written without follow-ups in mind, as the newest turn after one for another expert."""
    queries = lines(*names)
    pairs = []
    for number, query in enumerate(queries):
        others = (queries[(number + step) % len(queries)] for step in range(len(queries) // 2, 2 * len(queries)))
        other = next(other for other in others if other["candidate"] != query["candidate"])
        pairs.append([other["query"], query["query"]])
    alone, after = choices(embedded, [[query] for _, query in pairs]), choices(embedded, pairs)
    same = sum(a == b for a, b in zip(alone, after, strict=True))
    figures.append(f"{same} of {len(queries)} queries are routed after one for another expert as they are alone")
    assert same >= least - ROUNDING


# Small talk


def alone(ensemble: Ensemble, turns: list[str], *topics: str) -> float:
    """The share of turns that are routed alone behind each topic."""
    decisions = ensemble.routing([[topic, turn] for topic in (*TOPICS, *topics) for turn in turns])
    return sum(decision.query in turns for decision in decisions) / len(decisions)


def test_small_talk_is_a_topic_of_its_own_and_a_follow_up_is_not(embedded: Ensemble, figures: list[str]) -> None:
    assert not {*parts(THANKS), *parts(MORE)} & {*SMALL_TALK, *FOLLOW_UPS}
    small_talk, follow_ups = alone(embedded, parts(THANKS)), 1 - alone(embedded, parts(MORE))
    figures.append(
        f"behind a topic, {small_talk:.1%} of small talk stands alone, {follow_ups:.1%} of follow-ups do not"
    )
    assert small_talk >= 0.85  # 2% by words and certainty alone
    assert follow_ups >= 0.85


def test_chat_takes_small_talk_whatever_came_before(embedded: Ensemble) -> None:
    turns = ["Thanks! 😊", "ok", "good morning", "great, bye", "lol", "👍", "Danke schön!"]
    assert set(choices(embedded, [[topic, turn] for topic in TOPICS for turn in turns])) == {"chat"}


def test_a_turn_that_could_go_on_is_a_topic_of_its_own_where_it_is_of_other_things(
    embedded: Ensemble, figures: list[str]
) -> None:
    share = alone(embedded, parts(OTHERS), "Explain recursion like I'm five")
    figures.append(f"behind a topic, {share:.1%} of queries that could go on with it, but do not, stand alone")
    assert share >= 0.85  # 24% by words and certainty alone


# Tags


def test_shown_tags_can_be_trusted(embedded: Ensemble, figures: list[str]) -> None:
    """Nothing but CLOSE was tuned on these 200 queries; recipes/embedded/tag_queries.jsonl has the others."""
    labelled = lines("tag_queries")
    assert len(labelled) == 200
    assert {tag for line in labelled for tag in line["tags"]} <= set(embedded.tagger.names)
    shown = embedded.tagger.tag([line["query"] for line in labelled])
    right = [[tag.name in line["tags"] for tag in tags] for line, tags in zip(labelled, shown, strict=True)]
    share = sum(map(sum, right)) / sum(map(len, right))
    queries = sum(map(any, right)) / len(labelled)
    figures.append(f"{share:.1%} of the shown tags are right; {queries:.1%} of 200 queries show a right one")
    assert min(share, queries) >= 0.85


def test_some_queries_have_several_tags_and_nonsense_has_none(embedded: Ensemble) -> None:
    tags_of_queries = embedded.tagger.tag([line["query"] for line in lines("evident_queries")])
    assert any(len(tags) > 1 for tags in tags_of_queries)
    assert sum(bool(tags) for tags in tags_of_queries) >= 30
    assert embedded.tagger.tag(["qzx vlorp 77 grbl"]) == [()]


def test_a_plain_sum_is_no_equation_and_no_fraction(embedded: Ensemble) -> None:
    sums = parts(SUMS)
    shown = [[tag.name for tag in charts.shown_tags(tags)[:1]] for tags in embedded.tagger.tag(sums)]
    assert [(query, tags) for query, tags in zip(sums, shown, strict=True) if tags not in ([], ["arithmetic"])] == []
    assert shown.count(["arithmetic"]) > len(sums) / 2


def test_the_first_tag_is_of_what_is_asked(embedded: Ensemble) -> None:
    tags_of_queries = embedded.tagger.tag(list(FIRST_TAGS))
    assert {query: tags[0].name for query, tags in zip(FIRST_TAGS, tags_of_queries, strict=True)} == FIRST_TAGS


# Runtimes


def probabilities(router: Router, queries: list[str]) -> np.ndarray:
    """Of one query after the other: a runtime counts where a call has few texts."""
    return np.concatenate([router.probabilities([query]) for query in queries])


def test_every_runtime_chooses_alike(embedded: Ensemble, figures: list[str]) -> None:
    """With 7-bit weights, as `zooter serve` routes, a choice between two that are nearly equal may be the other one."""
    queries = [line["query"] for line in lines("evident_queries", "more_evident_queries")]
    router, path = embedded.router, embedded.fleet.router.path if embedded.fleet.router else ""
    assert router.encoder.runtime == "onnx"  # the default
    exact = router.probabilities(queries)
    expected = "".join((DATA / "embedded_choices.txt").read_text("utf-8").split())  # chat, math, code, writer
    assert "".join(router.candidates[column][0] for column in exact.argmax(axis=1)) == expected
    assert probabilities(router, queries[::8]) == pytest.approx(exact[::8], abs=1e-5)
    on_torch = Router.load(path, Encoders("torch")).for_pool(embedded.fleet.pool)
    assert probabilities(on_torch, queries[::4]) == pytest.approx(exact[::4], abs=1e-5)
    int8 = Router.load(path, Encoders("int8")).for_pool(embedded.fleet.pool)
    assert int8.encoder.runtime == "int8"
    table = probabilities(int8, queries)
    off, rows = np.abs(table - exact).max(axis=1), np.arange(len(exact))
    lost = exact.max(axis=1) - exact[rows, table.argmax(axis=1)]
    figures.append(
        f"with int8, {len(queries)} queries: probabilities {np.median(off):.4f} apart (median), at most "
        f"{off.max():.4f}; {np.count_nonzero(lost)} other choices, with at most {lost.max():.3f} less"
    )
    assert off.max() < 0.1
    assert np.mean(lost > 0) < 0.03
    assert lost.max() < 0.05
