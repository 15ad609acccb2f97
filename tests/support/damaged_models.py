"""Models whose files hold what no training gives: a number that is none, a wrong setting."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file, save_file


def put_number(folder: Path, number: float, weight: str = "") -> Path:
    """Make a number of a model's weights another one: the first of those whose name holds `weight`."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    name = next(name for name in weights if weight in name and weights[name].is_floating_point())
    weights[name].view(-1)[0] = number
    save_file(weights, file, {"format": "pt"})
    return folder


def change_config(folder: Path, **changes: object) -> Path:
    """Put other fields into a folder's config.json; NaN is written as such."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    return folder
