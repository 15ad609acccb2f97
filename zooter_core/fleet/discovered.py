"""A model that was discovered on a server or on disk, and the keys of the `[[candidate]]` that it can become."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zooter_core.backends.endpoint.abilities import Abilities
from zooter_core.backends.gguf.header import PART
from zooter_core.config.candidates import ENDPOINT, GGUF
from zooter_core.config.serve import is_virtual

OLLAMA, LM_STUDIO, LLAMA_CPP, VLLM, OTHER = "Ollama", "LM Studio", "llama.cpp", "vLLM", "a server"
SLOW_TO_LOAD = (OLLAMA, LM_STUDIO)  # servers that load a model at its first request
LOAD_SECONDS = 180.0
ABILITY_KEYS = ("parallel", "images", "tools", "json_mode", "context_tokens")  # of `[[candidate]]`
MOST_MODELS = 1000  # of a server or a folder
QUANTISATION = re.compile(
    r"[-_.:]?\b(?:UD-)?(?:I?Q\d(?:_\w+)?|BF16|F16|F32|FP8|AWQ|GPTQ(?:-Int\d)?|GGUF|MLX|\dbit)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Model:
    """A model that can become a candidate."""

    backend: str  # the key `backend` of `[[candidate]]`
    model: str  # the key `model` of `[[candidate]]`
    place: str  # where it runs or is stored, for messages: "on Ollama at localhost:11434"
    make: str = ""
    billions: float | None = None  # of parameters, if known
    size: int | None = None  # bytes of its weights
    quantisation: str = ""
    abilities: Abilities = field(default_factory=Abilities)  # according to its server or its files
    base_url: str = ""  # of its server
    api_key_env: str | None = None  # the variable with the server's key
    base: str = ""  # if it is a LoRA adapter, the server's name for its base model

    @property
    def name(self) -> str:
        """A short name for the candidate: `Qwen/Qwen2.5-Coder-7B-Instruct` is qwen2.5-coder-7b."""
        text = self.model if self.backend == ENDPOINT else Path(self.model).name
        text = PART.sub("", text).removesuffix(".gguf").removesuffix(":latest").rsplit("/", 1)[-1].replace(":", "-")
        text = re.sub(r"[-_.]?\b(instruct|chat|it)\b(?![a-z])", "", QUANTISATION.sub("", text), flags=re.IGNORECASE)
        name = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:40] or "model"
        return f"{name}-model" if is_virtual(name) else name

    @property
    def facts(self) -> str:
        """The known facts, for messages: "7.6B, Q4_K_M, 32,768 tokens, $0.3 per million tokens"."""
        abilities = self.abilities
        parts = [
            f"{self.billions:g}B" if self.billions else "",
            self.quantisation,
            f"{self.size / 1e9:.1f} GB" if self.size else "",
            f"{abilities.context_tokens:,} tokens" if abilities.context_tokens else "",
            "reads images" if abilities.images else "",
            "thinks" if abilities.thinking else "",
            *(f"${price:g} per million tokens" if price else "free" for _, price in abilities.prices[:1]),
        ]
        return ", ".join(part for part in parts if part)

    def keys(self) -> dict[str, Any]:
        """The keys of its `[[candidate]]`, with a comment."""
        title = f"{self.model if self.backend == ENDPOINT else self.name} ({self.facts})" if self.facts else self.model
        keys: dict[str, Any] = {
            "comment": f"{title}, {self.place}",
            "name": self.name,
            "backend": self.backend,
            "model": self.model,
        }
        if self.backend == ENDPOINT:
            keys |= {"base_url": self.base_url, "api_key_env": self.api_key_env}
            keys["first_token_seconds"] = LOAD_SECONDS if self.make in SLOW_TO_LOAD else None
            keys |= {name: getattr(self.abilities, name) for name in ABILITY_KEYS}
            keys["description"] = f"LoRA adapter of {self.base}" if self.base else None
        if self.abilities.thinking and self.backend == GGUF:
            keys["comment"] += "\nIt can think before it answers: thinking = true. That takes hundreds of tokens."
        elif self.abilities.thinking:
            keys["comment"] += "\nIt thinks before it answers; thinking = false switches that off."
            keys["thinking"] = "auto"
        return {key: value for key, value in keys.items() if value is not None}


def text_or_empty(value: object) -> str:
    """A string from a server or a file; empty if the value is not a string."""
    return value if isinstance(value, str) else ""
