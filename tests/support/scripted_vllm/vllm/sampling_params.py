from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class RequestOutputKind(Enum):
    DELTA = 1


@dataclass
class SamplingParams:
    max_tokens: int
    temperature: float
    top_k: int
    seed: int
    output_kind: RequestOutputKind
