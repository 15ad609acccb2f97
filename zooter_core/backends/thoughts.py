"""The one splitter of thoughts: models that think before they answer may write both as one text, between tags.

Thoughts stand before the text of the answer. Some templates open them in the prompt, so that only the tag at their end
comes. Tags inside the text are text: an answer may speak of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from zooter_core.base.errors import WorkError
from zooter_core.base.strict_json import Joiner
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

ROOM = 4096  # tokens for thoughts, beside those of the answer
ENDS = {  # by the tag that opens thoughts
    "<think>": "</think>",  # Qwen3, DeepSeek-R1 and most others
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",  # Magistral
    "<|START_THINKING|>": "<|END_THINKING|>",  # Command A
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|channel>thought": "<channel|>",  # Gemma 4
    "◁think▷": "◁/think▷",  # Kimi-VL
    "<|channel|>analysis<|message|>": "<|end|>",  # gpt-oss
}
USUAL = "<think>"
BEFORE_TEXT = "<|start|>assistant<|channel|>final<|message|>"  # of gpt-oss, after its thoughts
TEMPLATE = re.compile(rf"enable_thinking|reasoning_effort|\bthinking\b|{'|'.join(map(re.escape, ENDS))}")
LONE_END = re.compile(r"^[ \t]*</think>|</think>[ \t]*$", re.MULTILINE)  # as templates write it
FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of an answer."""

    thoughts: str
    text: str
    unfinished: bool = False  # whether it ended while the model was thinking
    opened: bool = False  # whether the prompt has opened the thoughts, as a tag at their end alone shows


def split(answer: str, opened: bool = False, complete: bool = False) -> Parts:
    """The parts of a whole answer; the arguments are those of `Splitter` and of its `end`."""
    splitter = Splitter(opened)
    splitter.feed(answer)
    return splitter.end(complete)


def opens(prompt: str) -> bool:
    """Whether a prompt ends with a tag that opens thoughts."""
    return prompt.rstrip().endswith(tuple(ENDS))


def in_template(template: str) -> bool:
    """Whether a model with this chat template can think."""
    return TEMPLATE.search(template) is not None


def most_tokens(candidate: CandidateConfig, generation: GenerationConfig, thinks: bool) -> int:
    """How many tokens an answer may have, with room for thoughts."""
    return (candidate.max_new_tokens or generation.max_new_tokens) + ROOM * thinks


def still_thinking(candidate: str, tokens: int) -> WorkError:
    """The error of an answer that ended while the model was thinking."""
    reason = f"it was still thinking when its answer ended, after {tokens:,} tokens"
    step = "Raise max_new_tokens of its [[candidate]], or set thinking = false there."
    return WorkError(f"an answer of {candidate}", reason, step, sentence=f"{candidate} gave no answer: {reason}.")


class Splitter:
    """Splits an answer that comes in pieces, wherever they are cut, also inside a character. The first tag that ends
    thoughts ends them.

    Args:
        opened: whether the prompt has opened the thoughts.

    Attributes:
        text: what of the text is clear so far.
    """

    def __init__(self, opened: bool = False) -> None:
        self._opened, self._tag = opened, USUAL if opened else ""  # the tag that opened thoughts; "" if none are open
        self._joiner, self._waiting, self._begun = Joiner(), "", False
        self._thoughts = self.text = ""

    @property
    def thinking(self) -> bool:
        """Whether thoughts are open."""
        return bool(self._tag)

    def feed(self, piece: str) -> tuple[str, str]:
        """Add a piece. Return what it adds to the thoughts and to the text; what may be part of a tag waits."""
        self._waiting += self._joiner.add(piece)
        thoughts, text = self._thoughts, self.text
        while self._step():
            pass
        return self._thoughts[len(thoughts) :], self.text[len(text) :]

    def end(self, complete: bool = False) -> Parts:
        """All parts, once the answer has ended. Pieces shown earlier may have been misjudged; these parts are final.

        Args:
            complete: whether the model ended the answer. Had the prompt opened thoughts, it would have ended them too.
        """
        self._waiting += self._joiner.close()
        if self._tag:
            rest = (self._thoughts + self._waiting).strip()
            return Parts("", rest) if complete and self._opened else Parts(rest, "", True)
        text = self.text + self._waiting
        if self._opened or self._thoughts:
            return Parts(self._thoughts.strip(), text.lstrip(), opened=self._opened)
        for lone in LONE_END.finditer(text):  # the prompt has opened the thoughts after all
            fences = FENCE.findall(text[: lone.start()])
            if len(fences) % 2 == 0:  # else a code block is open there
                return Parts(text[: lone.start()].strip(), text[lone.end() :].lstrip(), opened=True)
        return Parts("", text)

    def _step(self) -> bool:
        """Take what is clear of what waits. Return whether there may be more."""
        if self._tag:
            return self._think()
        if self._begun:
            self.text, self._waiting = self.text + self._waiting, ""
            return False
        start = self._waiting.lstrip()
        for tag in (*ENDS, BEFORE_TEXT):
            if start.startswith(tag):
                self._waiting = start.removeprefix(tag)
                self._begun = tag == BEFORE_TEXT
                self._tag = "" if self._begun else tag
                return True
            if tag.startswith(start):
                return False
        self._begun = True
        self._waiting = start if self._opened or self._thoughts else self._waiting
        return True

    def _think(self) -> bool:
        if not self._thoughts:
            start = self._waiting.lstrip()
            if self._tag.startswith(start):
                return False
            if start.startswith(self._tag):  # the model opens again what the prompt has opened
                self._waiting = start.removeprefix(self._tag)
        before, end, after = self._waiting.partition(ENDS[self._tag])
        if end:
            self._thoughts, self._waiting, self._tag = self._thoughts + before, after, ""
            return True
        shown = len(before) - overlap(before, ENDS[self._tag])
        self._thoughts, self._waiting = self._thoughts + before[:shown], before[shown:]
        return False


def overlap(text: str, tag: str) -> int:
    """The length of the longest end of a text that is a beginning of a tag, but not all of it."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)
