"""Where the files outside the package are: app.py, pages, what ships of models/, the list of weight packages.

In a clone they are at the top. A wheel carries copies of them inside the package, in `bundled/` (pyproject.toml puts
them there).
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
