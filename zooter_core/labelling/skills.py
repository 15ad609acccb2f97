"""Which skill a query asks for: a multinomial logistic regression on its sentence embedding.

recipes/starter/skills.py trains it, and models/starter/skills.safetensors has its weights. Numpy computes the
probabilities; the caller provides the vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from zooter_core.base.files import atomic
from zooter_core.base.paths import STARTER
from zooter_core.base.skills import SKILLS
from zooter_core.method.labels import softmax
from zooter_core.method.metrics import Array

WIDTH = 384
WEIGHTS = STARTER / "skills.safetensors"


@dataclass(frozen=True)
class SkillHead:
    """softmax((vectors @ weights + bias) / temperature), a column for each of SKILLS."""

    weights: Array  # shape (384, 16)
    bias: Array  # shape (16,)
    temperature: float = 1.0  # above 1 it flattens the distribution, below 1 it sharpens it

    @classmethod
    def load(cls) -> SkillHead:
        """Load the pretrained head."""
        stored = load_file(WEIGHTS)
        return cls(stored["weights"].astype(float), stored["bias"].astype(float), float(stored["temperature"][0]))

    def save(self, file: Path) -> None:
        """Write the head in single precision."""
        arrays = {"weights": self.weights, "bias": self.bias, "temperature": np.array([self.temperature])}
        plain = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items()}
        with atomic(file) as temporary:
            save_file(plain, temporary, {"skills": " ".join(SKILLS)})  # with two entries, their order would be random

    def logits(self, vectors: NDArray[np.floating[Any]]) -> Array:
        """Logits before temperature and softmax, shape (n, 16)."""
        return np.asarray(vectors, dtype=np.float64) @ self.weights + self.bias

    def probabilities(self, vectors: NDArray[np.floating[Any]]) -> Array:
        """The probability of each skill, shape (n, 16), rows sum to one.

        Args:
            vectors: unit sentence embeddings of the default encoder, shape (n, 384), from `TextEncoder.sentence`.
        """
        return softmax(self.logits(vectors), self.temperature)
