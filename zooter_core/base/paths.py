"""Paths of files outside the package: app.py, pages/, parts of models/, and the list of weight packages.

In a clone, these files are in the repository root. A wheel has copies in the package's folder `bundled/`, which
pyproject.toml fills.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_BUNDLED = _PACKAGE / "bundled"
ROOT = _BUNDLED if _BUNDLED.is_dir() else _PACKAGE.parent
APP = ROOT / "app.py"
EMBEDDED_FLEET = ROOT / "models" / "embedded"
STARTER = ROOT / "models" / "starter"
FAMILIES = ROOT / "models" / "families.toml"
PRICES = ROOT / "models" / "prices.toml"
OPEN_MODELS = ROOT / "models" / "open-models"
WEIGHT_PACKAGES = ROOT / "requirements-weights.txt"
