"""Terse requests for a piece of writing or an answer, and whether a response has the form that such a request names.

Form can be computed from the text: an e-mail has a greeting and a closing, a limerick has five lines, a piece does not
address the person who asked for it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from recipes.embedded import data

# Words that people leave out of a hasty query.
EMPTY = frozenset(
    re.findall(
        r"\S+",
        """a an the of in on at to for from with about and or is are was were do does did i me my you your it its what
        whats how who why when which that this be been can could would please write give show make get have has as by if
        than so there need want some draft compose create short brief just help let us we our them their they he she his
        her whose where say says into up out one come will should i'm it's i'd what's don't like really not no also am
        very""",
    )
)
# Names of forms, by their shape.
SHAPES = {
    "verse": "poem haiku limerick couplet rhyme verse ode lyrics lullaby song chorus rap acrostic ballad sonnet poetry",
    "letter": "email e-mail mail letter note card invitation invite message text emial",
    "line": "slogan slogans tagline headline title caption quote joke name",
    "prose": "story tale post tweet ad advert diary entry journal description describe review blurb bio toast speech",
}
SHAPE_OF = {word: shape for shape, words in SHAPES.items() for word in words.split()}
LINES = {"haiku": 3, "couplet": 2, "limerick": 5, "two": 2, "four": 4}
# Kinds of short_pieces.jsonl whose request is still clear when it is reduced to a few words.
KINDS = (
    *("poem", "story", "email", "letter", "message", "lyrics", "post", "advert", "toast", "diary", "description"),
    *("review", "blurb", "haiku", "limerick", "slogan"),
)
GREETING = re.compile(
    r"^(subject:.*\s+)?(dear|hi|hello|hey|good (morning|evening|afternoon)|to)\b[^\n]{0,40}[,!:\n]", re.I
)
CLOSING = re.compile(
    r"(yours|love|wishes|regards|sincerely|thanks|thank you|warmly|cheers|soon|faithfully|gratefully)[^\n]{0,30}[,.!]?"
    r"(\s+[^\n]{1,30})?$|\n[^\n.]{2,25}$",
    re.IGNORECASE,
)
# Phrases that address the person who asked for a piece, instead of writing the piece.
REPLY = re.compile(
    r"\b(as an ai|i (can('t| not)? (help|assist|write)|don't have|do not have|hope (you|that) (like|enjoy))"
    r"|i'm (sorry|glad|happy) (that|to hear|to inform|but)|i'm sorry, (i|but|as)|i'd be happy|let me know"
    r"|would you like|do you (like|have|need|want)|have you (tried|had|thought)|how can i|what (kind|type) of|you could"
    r"|please (ask|tell|let)|computer program|sure,|here (is|are) (a|an|some|the|one|your))",
    re.IGNORECASE,
)


def words_of(text: str) -> list[str]:
    """A text's words in lower case, in order."""
    return re.findall(r"[a-z0-9][a-z0-9'-]*", text.lower())


def form(query: str, text: str) -> float:
    """The share, 0 to 1, of the checks of the query's form that a response passes; 0.5 if it names no form."""
    named = [word for word in words_of(query) if word in SHAPE_OF]
    if not named:
        return 0.5
    checks = [not REPLY.search(text), not text.rstrip().endswith("?"), varied(text) >= 0.9]
    checks += shape_checks(SHAPE_OF[named[0]], words_of(query), text)
    topic = [word for word in words_of(query) if word not in EMPTY and word not in SHAPE_OF]
    matches = [any(stem(word) in other for other in words_of(text)) for word in topic]
    return sum([*checks, sum(matches) / len(matches) if matches else 1.0]) / (len(checks) + 1)


def shape_checks(shape: str, query: Sequence[str], text: str) -> list[bool]:
    """Two checks of a shape."""
    lines = [line for line in text.splitlines() if line.strip()]
    if shape == "verse":
        wanted = next((LINES[word] for word in query if word in LINES), None)
        right = len(lines) == wanted if wanted else len(lines) >= 3
        return [right, max(map(len, lines), default=99) < 70]
    if shape == "letter":
        return [bool(GREETING.match(text)), bool(CLOSING.search(text.rstrip()))]
    if shape == "line":
        return [len(text) < 160 or len(lines) >= 2, max(map(len, lines), default=999) < 160]
    return [len(re.findall(r"[.!?](\s|$)", text)) >= 2, len(text) >= 100]


def varied(text: str) -> float:
    """The share of sequences of four words that occur only once; 1 for a text without repeats."""
    words = words_of(text)
    runs = [tuple(words[n : n + 4]) for n in range(len(words) - 3)]
    return len(set(runs)) / len(runs) if runs else 1.0


def stem(word: str) -> str:
    return word[: max(4, len(word) - 2)]


def terse_pieces(count: int, seed: int) -> list[data.Example]:
    """Training requests for a short piece, reduced to its form and a few words, with the piece."""
    dice = random.Random(seed)
    examples = []
    for line in data.short_pieces(held_back=False):
        if line["kind"] not in KINDS:
            continue
        words = words_of(line["query"])
        names = [word for word in words if word in SHAPE_OF]
        topic = [word for word in words if word not in EMPTY and word not in SHAPE_OF][: dice.choice((2, 3, 3, 4))]
        name = names[0] if names else line["kind"].replace("advert", "ad")
        glue = dice.choice(([], [], ["about"] if SHAPE_OF.get(name) != "letter" else []))
        text = [name, *glue, *topic] if dice.random() < 0.7 else [*topic, name]
        if len(topic) >= 2:
            examples.append((" ".join(text), line["answer"]))
    return dice.sample(examples, min(count, len(examples)))


def terse_questions(count: int, seed: int) -> list[data.Example]:
    """Training questions, reduced to a few words (small talk: to lower case), with the answer."""
    dice = random.Random(seed)
    examples = []
    for line in data.questions(held_back=False):
        words = words_of(line["query"])
        if line["kind"] == "talk":
            if len(words) <= 5:
                examples.append((" ".join(words), line["answer"]))
            continue
        start = [word for word in words[:1] if word in ("how", "why", "when", "who") and dice.random() < 0.6]
        topic = [word for word in words if word not in EMPTY][:4]
        if len(topic) >= 2 and len(words) <= 9:
            examples.append((" ".join(start + topic), line["answer"]))
    return dice.sample(examples, min(count, len(examples)))
