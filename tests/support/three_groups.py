"""Sixty queries in three clear groups, the scores of a candidate for each, and a new query of each group."""

from __future__ import annotations

import numpy as np

GROUPS = np.arange(60) % 3
NOISE = np.random.default_rng(0).normal(scale=0.1, size=(60, 6))
VECTORS = (np.eye(6)[GROUPS] + np.eye(6)[GROUPS + 3] + NOISE).astype(np.float32)
TABLE = np.array([[0.9, 0.1, 0.3], [0.2, 0.8, 0.1], [0.1, 0.3, 1.0]])[GROUPS]
NEW = np.eye(6, dtype=np.float32)[:3] + np.eye(6, dtype=np.float32)[3:]
ANY = np.random.default_rng(1).normal(size=(2000, 6)).astype(np.float32)
