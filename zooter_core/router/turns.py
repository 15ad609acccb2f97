"""What a conversation is about now: which of the user's turns are routed.

A new topic is routed as if it stood alone. A follow-up ("and in Java?", "shorter please", "why?") says too little by
itself, so it is routed with the turns of its topic. English words tell one from the other; where they cannot, the
router does, by how probable its choice for the newest turn alone is. Small talk ("thanks!") is no follow-up, and stands
alone, as does a turn that is unlike follow-ups and either short ("capital of France") or unlike its topic ("explain
inflation"). The figures are in docs/embedded-fleet.md.
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

Kind = Literal["new", "follow-up", "short", "open", "unclear"]


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
    r"(and|or|but|also|now|continue|(the )?same|building on|if (the|we)|what if|(what|how) about)\b"
)
_CONNECTS = _words(  # the first words of a short one
    r"(then|so|plus|only|just|not|no|yes|ok|okay|thanks|thank you|really|anything|since|another|"
    rf"(even |a bit |a little |much )?{_COMPARATIVE}|\w+ more|instead|once more|too|still|"
    r"(in|as|with|without)\b(?!.*,)|again|times|minus|divided by|(what|who|where|how) else|(any|some) others?|"
    r"how come|are you sure|sure|go on|keep going|why (so|not)|(explain )?(why|how|when|where|who|which)(?=\W*$))\b"
)
_ENDS = _words(rf".*\b(too|instead|again|as well|though|{_COMPARATIVE}( please)?)\W*$")
_MY_OWN = _words(r"how (can|could|do|should) (i|we|you|one)\b")  # "How can I sleep better?"
_REFERS = _words(  # words that stand for something said before; "a fox and its den" and "more than" do not
    r"\b((?<!time is )it(?! going| \w+ to\b)|this|these|those|they|them|he|she|him|ones?(?!-)|same|others?|else|"
    r"more(?! than))\b|^that\b|\bthat\W*$|\b(of|about|for|in|to|with|do|does|did|is|was|say|show) that\b|"
    r"^(?!.*\ban? ).*\b(its|their|his|her)\b"
)
_OF_IT = _words(  # a part of what is there, or the thing itself: "what does line 2 do?", "how does the loop work?"
    r"(?!.*\b(write|compose|create|draft) ).*\b(((line|step|point|bullet|item|row|sentence|paragraph|stanza|option) "
    r"(\d+|one|two|three|four|five)|the (first|second|third|fourth|fifth|last) "
    r"(line|step|point|bullet|item|row|sentence|paragraph|stanza|option|part|word|one))\b(?! (in|of|on|to) )|"
    r"(why|how) did you|the (answer|bug|code|command|email|error|example|function|joke|list|loop|output|poem|query|"
    r"recipe|regex|result|script|story|table)"
    r"(?=\W*$| (do|end|fail|go|look|mean|need|print|return|rhyme|run|say|take|use|work)(e?s)?\b))"
)
_ADDS = _words(  # a question or request behind a word that goes on: "and what is 3 times that?"
    r"((ok|okay|thanks|thank you)\W+)?(and|or|but|also|now|then|so)\W+(please )?"
    r"(what|who|whose|when|where|which|how (many|much|do|can|old|far|tall)|is|are|was|do|does|did|"
    r"calculate|compose|create|draft|factor|find|implement|solve|tell|write|an?)\b(?! about)"
)
_POLITELY = r"(please |can you |could you )?"
_EDITS = _words(  # what is mostly asked of a thing that is there already
    rf"{_POLITELY}(add|alter|amend|change|double|expand|fix|include|keep|leave|make(?! me| an?\b)|mention|modify|offer|"
    r"put|rearrange|remove|repeat|rephrase|replace|revise|rewrite|round|shorten|show (all|each|every|the|your)|skip|"
    r"turn|update|use)\b"
)
_EXPLAINS = _words(  # what is there, or something new: "I get a TypeError"
    rf"({_POLITELY}(check|explain|say|summari[sz]e|translate|try)|i (still )?(get|got))\b"
)
_ASKS = _words(  # a question or request of its own
    rf"{_POLITELY}(what|who|whose|when|where|which|why|how|is|are|was|do|does|did|can|should|hi|"
    r"hello|hey|i|my|an?|calculate|compose|create|describe|draft|factor|find|give me|implement|show me|simplify|"
    r"solve|tell|write)\b"
)
_CLAUSE = re.compile(r"(\S+\s+){2,}?\S*?[,.;?!](?=\s|$)")  # the first one of three words or more
_BRINGS = _words(  # the turn brings what it speaks of
    r".*(:\s+\S|[\"“']\w.*\w\W?[\"”']|\n)|"
    rf"{_POLITELY}translate (?!(all|again|back|everything|for|into?|it|please|th(at|e|em|ese|is|ose)|to|your)\b)\w"
)


def kind_of(turn: str) -> Kind:
    """Whether a turn starts a topic or goes on with one, by its words alone.

    It is "short" if it has too few to tell, "unclear" if it probably goes on, and "open" if it may as well not.
    """
    text = turn.strip()[:READ]
    words = len(text.split())
    short = words <= LONG
    ends = _ENDS.match(text) and not _MY_OWN.match(text)
    if words >= FEW and _ADDS.match(text) and not _ANSWERS.match(text):
        return "unclear" if short and _REFERS.search(text) else "open"
    if _CONTINUES.match(text) or _ANSWERS.match(text) or (short and (_CONNECTS.match(text) or ends)):
        return "follow-up"
    if _BRINGS.match(text):
        return "new"
    clause = _CLAUSE.match(text)  # a pronoun after it mostly refers to something in it
    if short and (_REFERS.search(clause[0] if clause else text) or _OF_IT.match(text)):
        return "follow-up"
    if _EDITS.match(text):
        return "unclear"
    if _EXPLAINS.match(text):
        return "open"
    return "short" if words <= FEW and not (words > 2 and _ASKS.match(text)) else "new"


def subject_of(text: str) -> str:
    """A text without "explain" or the like before it, which would make any two alike."""
    return text[match.end() :] if (match := _EXPLAINS.match(text)) else text


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
        stand_alone: Callable[[Sequence[tuple[str, str]]], Sequence[bool]] = lambda pairs: [False] * len(pairs),
    ) -> None:
        """Take the texts of each conversation's user, oldest first.

        Args:
            stand_alone: topics, each with a turn that may go on with it -> which turns are small talk, or a new topic
                (router/small_talk.py).
        """
        options = [_options(turns) for turns in conversations]
        pairs = {n: pair for n, texts in enumerate(options) if (pair := _open_pair(conversations[n], texts))}
        for n, alone in zip(pairs, stand_alone(list(pairs.values())), strict=True):
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


def _open_pair(turns: Sequence[str], options: Sequence[str]) -> tuple[str, str] | None:
    """The topic and the newest turn, if that is open, or short enough for small talk and not said to go on by its first
    word."""
    if not turns or options[-1] == turns[-1]:
        return None
    text = turns[-1][:READ].strip()
    brief = 0 < len(text.split()) <= LONG and not _CONTINUES.match(text)
    return (options[-1].removesuffix(turns[-1])[:READ], turns[-1]) if brief or kind_of(text) == "open" else None


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
