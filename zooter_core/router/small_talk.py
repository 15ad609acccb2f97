"""Whether a short turn goes on with its topic ("why?", "in French?") or stands alone.

Words alone cannot tell: "thanks!" is small talk, and "thanks, but shorter" is about the topic; "in winter" goes on, and
"poem about winter" does not. The router's encoder compares a turn with examples of small talk and of follow-ups, in
several languages. How often it is right is in docs/embedded-fleet.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from zooter_core.router.text_encoder import TextEncoder
from zooter_core.router.turns import kind_of, subject_of

SMALL_TALK = (
    "Thanks! 😊", "thank you so much", "thank you", "perfect, thanks", "got it, thanks", "wonderful, thank you",
    "that was helpful", "great answer", "you're welcome", "no worries", "no problem", "👍", "😊", "lol", "haha", "wow",
    "cool", "awesome", "super", "fine", "ok", "okay", "oh ok", "I see", "sounds good", "nice one", "well done",
    "good job", "very good", "I like it", "that's great", "hi", "hello", "hello again", "hey there", "good morning",
    "good afternoon", "how are you?", "nice to meet you", "bye", "goodbye", "great, bye", "good night", "see you later",
    "let's talk later", "take care", "have a good day", "gracias", "hola", "danke", "guten Morgen", "tschüss", "merci",
    "merci beaucoup", "grazie", "ciao", "obrigada", "tack", "dziękuję", "спасибо", "привет", "谢谢", "ありがとう",
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
    "I get an error", "check the answer", "erklär das genauer", "explica eso mejor",
)  # fmt: skip
SOFT = 0.06  # of the soft maximum of similarities, as in taggers/nearest.py
FAR = 0.18  # a closeness to FOLLOW_UPS; a turn below it that is only short begins a topic
APART, OTHER = 0.26, 0.17  # a closeness to FOLLOW_UPS and one to the topic; an open turn below them begins a topic


class SmallTalk:
    """Tells what stands alone from follow-ups by an encoder, which reads the examples when it is first asked.
    Thread-safe."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder, self._lock = encoder, Lock()
        self._examples: list[NDArray[np.float32]] = []

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Of topics, each with a turn that may go on with it: whether the turn is small talk, or a topic of its own."""
        if not pairs:
            return []
        with self._lock:
            if not self._examples:
                vectors = self._encoder.sentence(self._encoder.embed_all([*SMALL_TALK, *FOLLOW_UPS]))
                self._examples = [vectors[: len(SMALL_TALK)].copy(), vectors[len(SMALL_TALK) :].copy()]
        topics, turns = zip(*pairs, strict=True)
        kinds = np.array([kind_of(turn) for turn in turns])
        may_go_on = np.flatnonzero(kinds == "open")  # those alone are compared with their topics
        texts = [*turns, *(subject_of(side[n]) for side in (turns, topics) for n in may_go_on)]
        vectors = self._encoder.sentence(self._encoder.embed(texts))
        vectors, subjects, about = np.split(vectors, (len(turns), len(turns) + len(may_go_on)))
        small_talk, follow_up = (_closeness(vectors, examples) for examples in self._examples)
        new = (kinds == "short") & (follow_up < FAR)
        new[may_go_on] = (follow_up[may_go_on] < APART) & (np.einsum("nw,nw->n", subjects, about) < OTHER)
        return ((small_talk > follow_up) | new).tolist()


def _closeness(vectors: NDArray[np.float32], examples: NDArray[np.float32]) -> NDArray[np.float32]:
    """How close n texts come to a set of examples, shape (n,): a soft maximum of their similarities."""
    similarities = np.einsum("nw,ew->ne", vectors, examples)
    return np.asarray(SOFT * np.log(np.exp(similarities / SOFT).mean(axis=1)))
