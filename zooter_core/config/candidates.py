"""The `[[candidate]]` table of fleet.toml, and what candidates share: the memory for their models."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from zooter_core.config.endpoint import EndpointConfig
from zooter_core.errors import ZooterError, did_you_mean

QUANTISATIONS = ("8bit", "4bit")


@dataclass(frozen=True)
class MemoryConfig:
    """The `[memory]` table: what the models of the candidates may take, in gigabytes (1e9 bytes) on each device.

    Without `budget_gb` it is what a device has free when a model is to be loaded, less a margin.
    """

    budget_gb: float | None = None

    def __post_init__(self) -> None:
        if self.budget_gb is not None and not 0 < self.budget_gb < math.inf:
            raise ZooterError("budget_gb above 0 in [memory] of fleet.toml", str(self.budget_gb), "Mend that line.")


@dataclass(frozen=True)
class CandidateConfig:
    """One `[[candidate]]` table. `model` is a hub id, a folder or `package:NAME`; `adapter` a peft folder or hub id.

    With the backend `openai`, `model` is the server's name for it and the keys of EndpointConfig join in; with
    `recorded` it is a score file or a run folder. `calculator` finishes the sums that the candidate writes
    (`12 * 7 = `), where its backend can; `repetition_penalty` makes less likely what it has written (1: nothing).
    Without `dtype` it is bfloat16, and float32 on a processor that is slow at it. `device_map` is a device or a way to
    spread over several, as accelerate has it; `memory` is the fleet's, with each of its candidates because fleets
    share models.
    """

    name: str
    backend: str
    model: str
    adapter: str | None = None
    revision: str | None = None
    prompt_template: str | None = None
    dtype: str | None = None
    quantisation: str | None = None
    device_map: str | None = None
    offload_folder: str | None = None
    calculator: bool = False
    repetition_penalty: float = 1.0
    description: str = ""
    usd_per_million_tokens: float | None = None
    endpoint: EndpointConfig | None = field(default=None, repr=False)
    memory: MemoryConfig | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.repetition_penalty < float("inf"):  # NaN fails too
            raise ZooterError(
                f"repetition_penalty of at least 1 of {self.name} in fleet.toml",
                str(self.repetition_penalty),
                "1.1 is usual, 1 is none.",
            )
        price = self.usd_per_million_tokens
        if price is not None and not 0 <= price < math.inf:  # NaN fails too
            raise ZooterError(
                f"usd_per_million_tokens of at least 0 of {self.name} in fleet.toml", str(price), "0 is free of charge."
            )
        if self.quantisation is not None and self.quantisation not in QUANTISATIONS:
            raise ZooterError(
                f"quantisation {' or '.join(QUANTISATIONS)} of {self.name} in fleet.toml",
                f'"{self.quantisation}"',
                did_you_mean(self.quantisation, QUANTISATIONS),
            )
