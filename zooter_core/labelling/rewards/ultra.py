"""Reward kind `ultra`: UltraRM-13b (arXiv 2310.01377), a Llama model with a regression head on the last token.

It was trained on texts in the form of TEMPLATE. Its checkpoint does not name a class of transformers.
"""

from __future__ import annotations

from collections.abc import Callable

from zooter_core.backends import Backend
from zooter_core.config.labelling import UltraConfig
from zooter_core.labelling.rewards.architectures import UltraRM
from zooter_core.labelling.rewards.scalar import ScalarReward

TEMPLATE = "Human: {query}\n\nAssistant: {response}"
MOST_TOKENS = 2048


class UltraReward(ScalarReward):
    """Like `scalar`, with UltraRM's weights and prompt."""

    def __init__(self, config: UltraConfig, backend: Callable[[str], Backend]) -> None:
        super().__init__(config, backend, UltraRM, TEMPLATE, MOST_TOKENS)
