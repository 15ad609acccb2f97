"""What a conversation is about now: which of the user's turns are routed.

A new topic is routed as if it stood alone. A follow-up ("and in Java?", "shorter please", "why?") says too little by
itself, so it is routed with the turns of its topic. English words tell one from the other; where they cannot, the
router does, by how probable its choice for the newest turn alone is. Small talk ("thanks!") is no follow-up, and stands
alone, as does a short turn that is unlike follow-ups ("capital of France"). The figures are in docs/embedded-fleet.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

MOST_CHARACTERS = 20_000  # of what is routed, from its end; encoders read less of it
READ = 1_000  # characters of a turn's beginning; the patterns take quadratic time at worst
CERTAIN = 0.85  # the probability from which a turn of unclear kind is routed alone
LONG = 12  # words; in a longer turn, "it" and "so" mostly belong to something in the turn itself
FEW = 5  # words; a turn of so few is no new topic for sure, unless it is a question or a request

Kind = Literal["new", "follow-up", "short", "unclear"]


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_COMPARATIVE = (
    r"(more|less|better|bigger|cheaper|clearer|darker|easier|faster|friendlier|funnier|happier|harder|larger|lighter|"
    r"longer|nicer|quicker|sadder|shorter|simpler|slower|smaller|softer|stronger|sweeter|warmer)"
)
_ANSWERS = _words(  # words for an answer that is there
    r".*\b(your (\w+ )?(answer|example|explanation|function|list|poem|reply|response|solution|story|suggestion)s?|"
    r"the above|(above|earlier|last|original|previous|first|second|third) "
    r"(answer|example|message|option|question|reply|response|statement|task))\b"
)
_CONTINUES = _words(  # the first words of a turn of any length that goes on from what was said
    r"(and|or|but|also|now|continue|building on|if (the|we)|what if|(what|how) about)\b"
)
_CONNECTS = _words(  # the first words of a short one
    r"(then|so|plus|only|just|not|no|yes|ok|okay|thanks|thank you|really|anything|since|(the )?same|another|"
    rf"(even |a bit |a little |much )?{_COMPARATIVE}|\w+ more|instead|once more|too|still|"
    r"(in|as|with|without)\b(?!.*,)|again|times|minus|divided by|(what|who|where|how) else|(any|some) others?|"
    r"how come|are you sure|sure|go on|keep going|why (so|not)|(why|how|when|where|who|which)(?=\W*$))\b"
)
_ENDS = _words(rf".*\b(too|instead|again|as well|though|{_COMPARATIVE}( please)?)\W*$")
_MY_OWN = _words(r"how (can|could|do|should) (i|we|you|one)\b")  # "How can I sleep better?"
_REFERS = _words(  # words that stand for something said before; "a fox and its den" and "more than" do not
    r"\b((?<!time is )it(?! going| \w+ to\b)|this|these|those|they|them|he|she|him|ones?(?!-)|same|others?|else|"
    r"more(?! than))\b|^that\b|\bthat\W*$|\b(of|about|for|in|to|with|do|does|did|is|was|say|show) that\b|"
    r"^(?!.*\ban? ).*\b(its|their|his|her)\b"
)
_ADDS = _words(  # a question or request behind a word that goes on: "and what is 3 times that?"
    r"(and|or|but|also|now|then|so)\W+(please )?(what|who|whose|when|where|which|how (many|much|do|can|old|far|tall)|"
    r"is|are|was|do|does|did|calculate|compose|create|draft|factor|find|implement|solve|tell|write|an?)\b(?! about)"
)
_CHANGES = _words(  # what is mostly asked of a thing that is there already
    r"(please |can you |could you )?(add|alter|amend|change|check|double|explain|expand|fix|include|keep|leave|"
    r"make(?! me| an?\b)|mention|modify|offer|put|rearrange|remove|repeat|rephrase|replace|revise|rewrite|round|say|"
    r"shorten|show (all|each|every|the|your)|skip|summari[sz]e|translate|try|turn|update|use)\b"
)
_ASKS = _words(  # a question or request of its own
    r"(please |can you |could you )?(what|who|whose|when|where|which|why|how|is|are|was|do|does|did|can|should|hi|"
    r"hello|hey|i|my|an?|calculate|compose|create|describe|draft|factor|find|give me|implement|show me|simplify|"
    r"solve|tell|write)\b"
)
_CLAUSE = re.compile(r"(\S+\s+){2,}?\S*?[,.;?!](?=\s|$)")  # the first one of three words or more
_QUOTED_TEXT = re.compile(r":\s+\S|[\"“']\w.*\w\W?[\"”']|\n")  # the turn brings what it speaks of


def kind_of(turn: str) -> Kind:
    """Whether a turn starts a topic or goes on with one, by its words alone; "short" if it has too few to tell."""
    text = turn.strip()[:READ]
    words = len(text.split())
    short = words <= LONG
    ends = _ENDS.match(text) and not _MY_OWN.match(text)
    if words >= FEW and _ADDS.match(text) and not _ANSWERS.match(text):
        return "unclear"
    if _CONTINUES.match(text) or _ANSWERS.match(text) or (short and (_CONNECTS.match(text) or ends)):
        return "follow-up"
    if _QUOTED_TEXT.search(text):
        return "new"
    clause = _CLAUSE.match(text)  # a pronoun after it mostly refers to something in it
    if short and _REFERS.search(clause[0] if clause else text):
        return "follow-up"
    if _CHANGES.match(text):
        return "unclear"
    return "short" if words <= FEW and not (words > 2 and _ASKS.match(text)) else "new"


def topic_of(turns: Sequence[str]) -> str:
    """What a conversation is about now, without a router: a turn that is short or unclear is taken for a follow-up.

    Args:
        turns: the texts of its user, oldest first.
    """
    return _options(turns)[-1]


class Topics:
    """What conversations are about now, for one call of the router.

    Attributes:
        texts: all texts by which the conversations may be routed: the newest turn, its topic, or both.
    """

    def __init__(
        self,
        conversations: Sequence[Sequence[str]],
        stand_alone: Callable[[Sequence[str]], Sequence[bool]] = lambda texts: [False] * len(texts),
    ) -> None:
        """Take the texts of each conversation's user, oldest first.

        Args:
            stand_alone: which of some short turns are small talk, or a new topic (router/small_talk.py).
        """
        options = [_options(turns) for turns in conversations]
        brief = [n for n, texts in enumerate(options) if _is_brief(conversations[n], texts)]
        for n, alone in zip(brief, stand_alone([conversations[n][-1] for n in brief]), strict=True):
            if alone:
                options[n] = [conversations[n][-1]]
        self.texts = [text for texts in options for text in texts]
        self._counts = [len(texts) for texts in options]

    def rows(self, highest: Sequence[float]) -> list[int]:
        """The number of the text by which each conversation is routed.

        Args:
            highest: the highest probability that the router gives to a candidate, for each of `texts`.
        """
        rows, first = [], 0
        for count in self._counts:
            rows.append(first if count == 1 or highest[first] >= CERTAIN else first + 1)
            first += count
        return rows


def _is_brief(turns: Sequence[str], options: Sequence[str]) -> bool:
    """Whether the newest turn may go on with earlier ones, is short enough for small talk, and does not say that it
    goes on by its first word."""
    if not turns or options[-1] == turns[-1]:
        return False
    text = turns[-1][:READ].strip()
    return 0 < len(text.split()) <= LONG and not _CONTINUES.match(text)


def _options(turns: Sequence[str]) -> list[str]:
    """The newest turn, if it may start a topic; then what it goes on with and itself, if it may be a follow-up."""
    newest = turns[-1][-MOST_CHARACTERS:] if turns else ""
    earlier = [turn for turn in turns[:-1] if turn.strip()]
    kind = kind_of(newest)
    if kind == "new" or not earlier:
        return [newest]
    start = next((n for n in range(len(earlier) - 1, 0, -1) if kind_of(earlier[n]) == "new"), 0)
    topic = "\n".join([*earlier[start:], newest])[-MOST_CHARACTERS:]
    return [topic] if kind == "follow-up" or not newest.strip() else [newest, topic]
