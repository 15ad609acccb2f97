"""What a conversation is about now: which of the user's turns are routed.

A new topic is routed alone. A follow-up ("and in Java?", "shorter please", "why?") says too little by itself, so it is
routed together with the turns of its topic. Patterns of English words distinguish new topics from follow-ups. If they
cannot, the turn is routed alone if the router's choice for it is probable enough.

Small talk ("thanks!") is routed alone too, as is a turn that is unlike follow-ups and either short ("capital of
France") or unlike its topic ("explain inflation"). Patterns are not enough here: "thanks!" is small talk, but "thanks,
but shorter" continues the topic. So the router's encoder compares such a turn with examples of small talk and of
follow-ups in several languages. docs/embedded-fleet.md has the figures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from zooter_core.router.encoder import TextEncoder

MOST_CHARACTERS = 20_000  # the end of a routed text that is kept; encoders read even less
READ = 1_000  # characters at a turn's beginning for the patterns, whose time is quadratic in the worst case
CERTAIN = 0.85  # the least probability of the choice at which a turn of unclear kind is routed alone
LONG = 12  # words; in longer turns, "it" and "so" mostly refer to something in the turn itself
FEW = 5  # words; turns up to this length may be follow-ups, unless they are questions or requests

Kind = Literal["new", "follow-up", "short", "open", "unclear"]

_COMPARATIVE = (
    r"(more|less|better|bigger|cheaper|clearer|darker|easier|faster|friendlier|funnier|happier|harder|larger|lighter|"
    r"longer|nicer|quicker|sadder|shorter|simpler|slower|smaller|softer|stronger|sweeter|warmer)"
)
_ANSWERS = (  # words that refer to an existing answer
    r".*\b(your (\w+ )?(answer|example|explanation|function|list|poem|reply|response|solution|story|suggestion)s?|"
    r"the above|(above|earlier|last|original|previous|first|second|third) "
    r"(answer|example|message|option|question|reply|response|statement|task))\b"
)
_CONTINUES = (  # first words with which a turn of any length continues the topic
    r"(and|or|but|also|now|continue|(the )?same|building on|if (the|we)|what if|(what|how) about)\b"
)
_CONNECTS = (  # first words with which a short turn continues the topic
    r"(then|so|plus|only|just|not|no|yes|ok|okay|thanks|thank you|really|anything|since|another|"
    rf"(even |a bit |a little |much )?{_COMPARATIVE}|\w+ more|instead|once more|too|still|"
    r"(in|as|with|without)\b(?!.*,)|again|times|minus|divided by|(what|who|where|how) else|(any|some) others?|"
    r"how come|are you sure|sure|go on|keep going|why (so|not)|(give|show|tell) me (another|(some )?more)|"
    r"((explain )?(why|how|when|where|who|which)|what do you mean|i (don't|do not) (get|understand))(?=\W*$))\b"
)
_ENDS = rf".*\b(too|instead|again|as well|though|(explain|tell me) why|{_COMPARATIVE}( please)?)\W*$"
_MY_OWN = r"how (can|could|do|should) (i|we|you|one)\b"  # "How can I sleep better?"
_REFERS = (  # words that refer to an earlier turn; those in "a fox and its den" and "more than" do not
    r"\b((?<!time is )it(?! going| \w+ to\b)|this|these|those|they|them|he|she|him|ones?(?!-)|same|others?|else|"
    r"more(?! than))\b|^that\b|\bthat\W*$|\b(of|about|for|in|to|with|do|does|did|is|was|say|show) that\b|"
    r"^(?!.*\ban? ).*\b(its|their|his|her)\b"
)
_OF_IT = (  # an existing answer or a part of it: "what does line 2 do?", "how does the loop work?"
    r"(?!.*\b(write|compose|create|draft) ).*\b(((line|step|point|bullet|item|row|sentence|paragraph|stanza|option) "
    r"(\d+|one|two|three|four|five)|the (first|second|third|fourth|fifth|last) "
    r"(line|step|point|bullet|item|row|sentence|paragraph|stanza|option|part|word|one))\b(?! (in|of|on|to) )|"
    r"(why|how) did you|the (answer|bug|code|command|email|error|example|function|joke|list|loop|output|poem|query|"
    r"recipe|regex|result|script|story|table)"
    r"(?=\W*$| (do|end|fail|go|look|mean|need|print|return|rhyme|run|say|take|use|work)(e?s)?\b))"
)
_ADDS = (  # a question or request after a connecting word: "and what is 3 times that?"
    r"((ok|okay|thanks|thank you)\W+)?(and|or|but|also|now|then|so)\W+(please )?"
    r"(what|who|whose|when|where|which|how (many|much|do|can|old|far|tall)|is|are|was|do|does|did|"
    r"calculate|compose|create|draft|factor|find|implement|solve|tell|write|an?)\b(?! about)"
)
_POLITELY = r"(please |can you |could you )?"
_EDITS = (  # requests that mostly refer to an existing text
    rf"{_POLITELY}(add|alter|amend|change|double|expand|fix|include|keep|leave|make(?! me| an?\b)|mention|modify|offer|"
    r"put|rearrange|remove|repeat|rephrase|replace|revise|rewrite|round|shorten|show (all|each|every|the|your)|skip|"
    r"turn|update|use)\b"
)
_EXPLAINS = (  # requests about an existing text or about something new: "I get a TypeError"
    rf"({_POLITELY}(check|explain|say|summari[sz]e|translate|try)|i (still )?(get|got))\b"
)
_REQUEST = (
    r"(what|who|whose|when|where|which|why|how|is|are|was|do|does|did|can|should|calculate|compose|create|describe|draft|"
    r"factor|find|give me|implement|show me|simplify|solve|tell|write)"
)
_ASKS = rf"{_POLITELY}({_REQUEST}|hi|hello|hey|i|my|an?)\b"  # a question or request that stands alone
_OPENS = rf"((ok|okay|thanks|thank you)( a lot| so much)?\W+)+(?={_POLITELY}{_REQUEST}\b)"  # thanks before it
_CLAUSE = r"(\S+\s+){2,}?\S*?[,.;?!](?=\s|$)"  # the first clause of three or more words
_BRINGS = (  # the turn contains what it refers to
    r".*(:\s+\S|[\"“']\w.*\w\W?[\"”']|\n)|"
    rf"{_POLITELY}translate (?!(all|again|back|everything|for|into?|it|please|th(at|e|em|ese|is|ose)|to|your)\b)\w"
)


def _match(pattern: str, text: str) -> re.Match[str] | None:  # `re` compiles a pattern when it is first needed
    return re.match(pattern, text, re.IGNORECASE)


def _search(pattern: str, text: str) -> re.Match[str] | None:
    return re.search(pattern, text, re.IGNORECASE)


def classify_turn(turn: str) -> Kind:
    """The kind of a turn, by its words alone: whether it starts a topic ("new") or continues one ("follow-up").

    The kind is "short" if the turn has too few words to decide, "unclear" if it probably continues a topic, and "open"
    if both are possible.
    """
    text = turn.strip()[:READ]
    text = text[match.end() :] if (match := _match(_OPENS, text)) else text
    words = len(turn[:READ].split())
    short = words <= LONG
    ends = _match(_ENDS, text) and not _match(_MY_OWN, text)
    if words >= FEW and _match(_ADDS, text) and not _match(_ANSWERS, text):
        return "unclear" if short and _search(_REFERS, text) else "open"
    if _match(_CONTINUES, text) or _match(_ANSWERS, text) or (short and (_match(_CONNECTS, text) or ends)):
        return "follow-up"
    if _match(_BRINGS, text):
        return "new"
    clause = _match(_CLAUSE, text)  # later pronouns mostly refer to this clause
    if short and (_search(_REFERS, clause[0] if clause else text) or _match(_OF_IT, text)):
        return "follow-up"
    if _match(_EDITS, text):
        return "unclear"
    if _match(_EXPLAINS, text):
        return "open"
    return "short" if words <= FEW and not (words > 2 and _match(_ASKS, text)) else "new"


def strip_request(text: str) -> str:
    """The text without leading words such as "explain", which would make all such texts similar."""
    return text[match.end() :] if (match := _match(_EXPLAINS, text)) else text


def current_topic(turns: Sequence[str]) -> str:
    """The text of a conversation's current topic, without a router. Short and unclear turns count as follow-ups.

    Args:
        turns: the user's texts, oldest first.
    """
    return _options(turns)[-1]


class Topics:
    """The current topics of conversations, for one call of the router.

    Attributes:
        texts: all texts by which the conversations may be routed: the newest turn, its topic, or both.
    """

    def __init__(
        self,
        conversations: Sequence[Sequence[str]],
        stand_alone: Callable[[Sequence[tuple[str, str]]], Sequence[bool]] = lambda pairs: [False] * len(pairs),
    ) -> None:
        """Take the user's texts of each conversation, oldest first.

        Args:
            stand_alone: a function like `SmallTalk`. It takes pairs of a topic and a turn that may continue it, and
                returns which turns are small talk or start a new topic.
        """
        options = [_options(turns) for turns in conversations]
        pairs = {n: pair for n, texts in enumerate(options) if (pair := _open_pair(conversations[n], texts))}
        for n, alone in zip(pairs, stand_alone(list(pairs.values())), strict=True):
            if alone:
                options[n] = [conversations[n][-1]]
        self.texts = [text for texts in options for text in texts]
        self._counts = [len(texts) for texts in options]

    def rows(self, highest: Sequence[float]) -> list[int]:
        """The index of the text by which each conversation is routed.

        Args:
            highest: the highest probability that the router gives to a candidate, for each of `texts`.
        """
        rows, first = [], 0
        for count in self._counts:
            rows.append(first if count == 1 or highest[first] >= CERTAIN else first + 1)
            first += count
        return rows


def _open_pair(turns: Sequence[str], options: Sequence[str]) -> tuple[str, str] | None:
    """The topic and the newest turn, if `stand_alone` should decide about them; otherwise None.

    This is so if the turn is open, or if it is short enough for small talk and its first word does not continue the
    topic.
    """
    if not turns or options[-1] == turns[-1]:
        return None
    text = turns[-1][:READ].strip()
    brief = 0 < len(text.split()) <= LONG and not _match(_CONTINUES, text)
    return (options[-1].removesuffix(turns[-1])[:READ], turns[-1]) if brief or classify_turn(text) == "open" else None


def _options(turns: Sequence[str]) -> list[str]:
    """The texts by which a conversation may be routed.

    They are the newest turn if it may start a topic, and then the topic with this turn if it may be a follow-up.
    """
    newest = turns[-1][-MOST_CHARACTERS:] if turns else ""
    earlier = [turn for turn in turns[:-1] if turn.strip()]
    kind = classify_turn(newest) if earlier else "new"
    if kind == "new":
        return [newest]
    start = next((n for n in range(len(earlier) - 1, 0, -1) if classify_turn(earlier[n]) == "new"), 0)
    topic = "\n".join([*earlier[start:], newest])[-MOST_CHARACTERS:]
    return [topic] if kind == "follow-up" or not newest.strip() else [newest, topic]


SMALL_TALK = (
    "Thanks! 😊", "thank you so much", "thank you", "perfect, thanks", "got it, thanks", "wonderful, thank you",
    "that was helpful", "great answer", "you're welcome", "no worries", "no problem", "👍", "😊", "lol", "haha", "wow",
    "cool", "awesome", "super", "fine", "ok", "okay", "oh ok", "I see", "sounds good", "nice one", "well done",
    "good job", "very good", "I like it", "that's great", "hi", "hello", "hello again", "hey there", "good morning",
    "good afternoon", "how are you?", "nice to meet you", "bye", "goodbye", "great, bye", "good night", "see you later",
    "let's talk later", "take care", "have a good day", "gracias", "hola", "danke", "guten Morgen", "tschüss", "merci",
    "merci beaucoup", "grazie", "ciao", "obrigada", "tack", "dziękuję", "спасибо", "привет", "谢谢", "ありがとう",
    "new topic", "next question", "can I ask something else?", "I have to go", "no, thanks",
)  # fmt: skip
FOLLOW_UPS = (
    "why?", "why not?", "how?", "how so?", "what?", "who else?", "when?", "where?", "what does that mean?",
    "how does it work?", "explain that", "explain step by step", "tell me more", "more details", "with an example",
    "give me another example", "another one", "one more", "the first one", "the second one", "next", "again",
    "continue", "keep going", "go ahead", "and then?", "shorter", "shorter please", "make it shorter", "longer",
    "simpler", "too long", "too complicated", "more formal", "but for kids", "for 5 people", "make it rhyme",
    "rewrite it", "summarize it", "as a table", "use a list", "remove the last line", "change the name", "add comments",
    "and with a loop?", "in Java", "in Python please", "can you fix it?", "fix the error", "are you sure?", "wrong",
    "that's not right", "what about 7?", "and 8?", "what about Italy?", "now with numbers", "and in French?",
    "in Spanish", "thanks, but make it longer", "ok, and in winter?", "great, now add a title", "do it another way",
    "no, in English", "translate it to Spanish", "auf Deutsch bitte", "kürzer", "warum?", "en français", "pourquoi?",
    "¿por qué?", "otra vez", "yes please", "yes, the blue one", "no, the other one", "option B", "my name is Anna",
    "add an example", "add types", "add a check", "use shorter words", "fix the format", "it does not work",
    "I get an error", "check the answer", "erklär das genauer", "explica eso mejor", "yes", "yeah, sure", "yep", "no",
    "nah", "ja", "nein", "oui", "non", "sí", "ok, do it", "encore une", "un'altra", "ok, go on",
)  # fmt: skip
SOFT = 0.06  # the temperature of the soft maximum of similarities, as in taggers/nearest.py
FAR = 0.18  # closeness to FOLLOW_UPS; a short turn below it starts a topic
APART, OTHER = 0.26, 0.17  # closeness to FOLLOW_UPS and to the topic; an open turn below both starts a topic


class SmallTalk:
    """Distinguishes turns that are routed alone from follow-ups, by their vectors. Thread-safe.

    The first call also embeds the examples.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder, self._lock = encoder, Lock()
        self._examples: list[NDArray[np.float32]] = []

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Whether turns are small talk or start a new topic.

        Args:
            pairs: topics, each with a turn that may continue it.
        """
        if not pairs:
            return []
        with self._lock:
            if not self._examples:
                vectors = self._encoder.sentence(self._encoder.embed_all([*SMALL_TALK, *FOLLOW_UPS]))
                self._examples = [vectors[: len(SMALL_TALK)].copy(), vectors[len(SMALL_TALK) :].copy()]
        topics, turns = zip(*pairs, strict=True)
        kinds = np.array([classify_turn(turn) for turn in turns])
        may_go_on = np.flatnonzero(kinds == "open")  # only open turns are compared with their topics
        texts = [*turns, *(strip_request(side[n]) for side in (turns, topics) for n in may_go_on)]
        vectors = self._encoder.sentence(self._encoder.embed(texts))
        vectors, subjects, about = np.split(vectors, (len(turns), len(turns) + len(may_go_on)))
        small_talk, follow_up = (_closeness(vectors, examples) for examples in self._examples)
        new = (kinds == "short") & (follow_up < FAR)
        new[may_go_on] = (follow_up[may_go_on] < APART) & (np.einsum("nw,nw->n", subjects, about) < OTHER)
        return ((small_talk > follow_up) | new).tolist()


def _closeness(vectors: NDArray[np.float32], examples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The closeness of n texts to a set of examples, shape (n,): a soft maximum of similarities."""
    similarities = np.einsum("nw,ew->ne", vectors, examples)
    return np.asarray(SOFT * np.log(np.exp(similarities / SOFT).mean(axis=1)))
