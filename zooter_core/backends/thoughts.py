"""Separates thoughts from answers: reasoning models may write both as one text, with the thoughts between tags.

Thoughts come before the text of the answer. Some templates put the opening tag into the prompt, so the answer has only
the closing tag. Tags inside the text of the answer are left alone, since an answer may mention them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from zooter_core.base.errors import WorkError
from zooter_core.base.strict_json import Joiner
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

ROOM = 4096  # tokens for thoughts, in addition to those of the answer
ENDS = {  # opening tag -> closing tag
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
BEFORE_TEXT = "<|start|>assistant<|channel|>final<|message|>"  # of gpt-oss, between thoughts and text
TEMPLATE = re.compile(rf"enable_thinking|reasoning_effort|\bthinking\b|{'|'.join(map(re.escape, ENDS))}")
LONE_END = re.compile(r"^[ \t]*</think>|</think>[ \t]*$", re.MULTILINE)  # at the beginning or end of a line
FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of an answer."""

    thoughts: str
    text: str
    unfinished: bool = False  # whether the answer ended while the model was thinking
    opened: bool = False  # whether the prompt has opened the thoughts; a lone closing tag also shows that


def split(answer: str, opened: bool = False, complete: bool = False) -> Parts:
    """Split a complete answer. The arguments are as for `Splitter` and `Splitter.end`."""
    splitter = Splitter(opened)
    splitter.feed(answer)
    return splitter.end(complete)


def opens(prompt: str) -> bool:
    """Whether a prompt ends with an opening tag of thoughts."""
    return prompt.rstrip().endswith(tuple(ENDS))


def in_template(template: str) -> bool:
    """Whether a model with this chat template can think."""
    return TEMPLATE.search(template) is not None


def most_tokens(candidate: CandidateConfig, generation: GenerationConfig, thinks: bool) -> int:
    """The token limit of an answer, including room for thoughts if the model thinks."""
    return (candidate.max_new_tokens or generation.max_new_tokens) + ROOM * thinks


def still_thinking(candidate: str, tokens: int) -> WorkError:
    """The error for an answer that ended while the model was thinking."""
    reason = f"it was still thinking when its answer ended, after {tokens:,} tokens"
    step = "In its [[candidate]], raise max_new_tokens or set thinking = false."
    return WorkError(f"an answer of {candidate}", reason, step, sentence=f"{candidate} gave no answer: {reason}.")


class Splitter:
    """Splits a streamed answer into thoughts and text. The first closing tag ends the thoughts.

    The result does not depend on how the answer is divided into pieces, even inside a character.

    Args:
        opened: whether the prompt has opened the thoughts.

    Attributes:
        text: the text of the answer so far, without the end that may be part of a tag.
    """

    def __init__(self, opened: bool = False) -> None:
        self._opened, self._tag = opened, USUAL if opened else ""  # the opening tag; "" if the model is not thinking
        self._joiner, self._waiting, self._begun = Joiner(), "", False
        self._thoughts = self.text = ""

    @property
    def thinking(self) -> bool:
        """Whether the model is thinking: the thoughts have begun and not ended."""
        return bool(self._tag)

    def feed(self, piece: str) -> tuple[str, str]:
        """Add a piece. Return the new parts of thoughts and text. An end that may be part of a tag is held back."""
        self._waiting += self._joiner.add(piece)
        thoughts, text = self._thoughts, self.text
        while self._advance():
            pass
        return self._thoughts[len(thoughts) :], self.text[len(text) :]

    def end(self, complete: bool = False) -> Parts:
        """End the answer and return its parts. They are final and can differ from the pieces that `feed` returned.

        Args:
            complete: whether the model itself ended the answer. If it wrote no closing tag then, the prompt had not
                opened thoughts, and all of the answer is text.
        """
        self._waiting += self._joiner.close()
        if self._tag:
            rest = (self._thoughts + self._waiting).strip()
            return Parts("", rest) if complete and self._opened else Parts(rest, "", True)
        text = self.text + self._waiting
        if self._opened or self._thoughts:
            return Parts(self._thoughts.strip(), text.lstrip(), opened=self._opened)
        for lone in LONE_END.finditer(text):  # it shows that the prompt has opened the thoughts
            fences = FENCE.findall(text[: lone.start()])
            if len(fences) % 2 == 0:  # otherwise the tag is in a code block
                return Parts(text[: lone.start()].strip(), text[lone.end() :].lstrip(), opened=True)
        return Parts("", text)

    def _advance(self) -> bool:
        """Move text that is not part of a tag out of `_waiting`. Return whether to call this again."""
        if self._tag:
            return self._take_thoughts()
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

    def _take_thoughts(self) -> bool:
        if not self._thoughts:
            start = self._waiting.lstrip()
            if self._tag.startswith(start):
                return False
            if start.startswith(self._tag):  # the model repeats the opening tag of the prompt
                self._waiting = start.removeprefix(self._tag)
        before, end, after = self._waiting.partition(ENDS[self._tag])
        if end:
            self._thoughts, self._waiting, self._tag = self._thoughts + before, after, ""
            return True
        shown = len(before) - overlap(before, ENDS[self._tag])
        self._thoughts, self._waiting = self._thoughts + before[:shown], before[shown:]
        return False


def overlap(text: str, tag: str) -> int:
    """The length of the longest end of a text that is a proper prefix of a tag."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)
