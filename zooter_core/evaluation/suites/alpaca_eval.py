"""Suite `alpaca-eval`: instructions (AlpacaEval), scored by how often a judge prefers the response to the reference.

The release has an array, or JSON lines, of `instruction`, `output` (the reference), `generator` and `dataset`.
"""

from __future__ import annotations

from collections.abc import Sequence

from zooter_core.evaluation.suites import Answered, Problem, Record, Suite
from zooter_core.labelling.rewards import Unscored
from zooter_core.labelling.rewards.judge import AUTO_J_PAIR, PAIR, choose_template, fill_prompt, read_choice


class AlpacaEval(Suite):
    """The score is the share of wins over the reference, shown first and second: 0, 0.25, 0.5, 0.75 or 1."""

    judged = True
    scale = "share of wins over the reference"

    def problem(self, record: Record) -> Problem:
        about = record.text_or_none("dataset", "source_dataset") or "alpaca-eval"
        return Problem(record.id, (record.text("instruction", "query"),), record.text("output"), (about,))

    def score(self, answered: Sequence[Answered]) -> list[float]:
        template = choose_template(self.judge.config, PAIR, AUTO_J_PAIR)
        prompts = []
        for problem, texts in answered:
            for first, second in ((texts[0], problem.key), (problem.key, texts[0])):
                prompts.append(fill_prompt(template, query=problem.turns[0], first=first, second=second))
        verdicts = self.judge.verdicts(prompts, [read_choice] * len(prompts))
        return [_share(*verdicts[row : row + 2]) for row in range(0, len(verdicts), 2)]


def _share(ahead: float, behind: float) -> float:
    """The share of wins, from the verdict on the response shown first and that on it shown second."""
    for verdict in (ahead, behind):
        if isinstance(verdict, Unscored):
            return verdict
    return (2 + ahead - behind) / 4  # a tie is half a win
