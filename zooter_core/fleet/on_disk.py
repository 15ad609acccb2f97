"""Finds the models in a folder: GGUF files and transformers folders.

A folder may contain anything, so both the number of files and the bytes read from each are limited.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from zooter_core.backends.endpoint.abilities import Abilities, read_count
from zooter_core.backends.gguf.header import PART, check_model, read_header
from zooter_core.backends.thoughts import in_template
from zooter_core.base.errors import WorkError, ZooterError, first_line
from zooter_core.base.files import read_bounded
from zooter_core.base.progress import Tell, silent
from zooter_core.base.strict_json import objects, parse_json
from zooter_core.base.terminal import NOT_IN_NAMES, visible_name
from zooter_core.config.candidates import GGUF, TRANSFORMERS
from zooter_core.fleet.discovered import MOST_MODELS, QUANTISATION, Model, text_or_empty
from zooter_core.fleet.machine import MOST_BILLIONS, billions_in

MOST_FILES = 20_000  # files and folders that are examined in a folder
MOST_BYTES = 1 << 23  # of a JSON file


def usual_folders() -> list[Path]:
    """The existing folders in which LM Studio and the hub's client keep weights."""
    home = Path.home()
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or home / ".cache/huggingface") / "hub"
    places = [home / ".lmstudio/models", home / ".cache/lm-studio/models", Path(hub)]
    return [place for place in places if os.path.isdir(place)]  # skips folders that cannot be read


def ollama_folder() -> Path | None:
    """The folder of Ollama's models, or None. It does not have their names, for which Ollama has to run."""
    folder = Path(os.environ.get("OLLAMA_MODELS") or Path.home() / ".ollama/models")
    return folder if os.path.isdir(folder / "manifests") else None


def models_in(folder: Path, tell: Tell = silent) -> list[Model]:
    """The models in a folder: GGUF files and transformers folders.

    Args:
        tell: called with a sentence about each file that is skipped.
    """
    models = dict[str, Model]()
    for number, path in enumerate(_paths(folder)):
        if number >= MOST_FILES or len(models) >= MOST_MODELS:
            bounds = f"{MOST_FILES:,} files and folders, or {MOST_MODELS:,} models"
            tell(f"A part of {shown(folder)} is skipped: it has more than {bounds}.")
            break
        if path is None:
            continue
        if NOT_IN_NAMES.search(str(path)):
            tell(f"{visible_name(shown(path))} has line breaks or control characters in its name; skipped.")
            continue
        try:
            model = _read_gguf(path) if path.suffix == ".gguf" else _read_folder(path.parent)
        except (ZooterError, OSError, ValueError) as problem:
            reason = problem.failure.reason if isinstance(problem, ZooterError) else first_line(problem)
            tell(f"{shown(path)} is skipped: {reason}.")
            continue
        if model:
            models.setdefault(model.model, model)
    return sorted(models.values(), key=lambda model: model.name)


def _paths(folder: Path) -> Iterator[Path | None]:
    """The GGUF files and config.json files in a folder, and None for each folder in it.

    Links are followed only from the hub's snapshots to its blobs.
    """
    for place, folders, files in os.walk(folder):
        path = Path(place)
        yield None
        folders[:] = [name for name in folders if name not in ("blobs", "refs") and not name.startswith(".")]
        yield from (path / name for name in sorted(files) if name.endswith(".gguf") or name == "config.json")


def _read_gguf(path: Path) -> Model | None:
    """A GGUF file; None if it is not a model that writes text, or is not its first part."""
    part = PART.search(path.name)
    if part and int(part[1]) != 1:
        return None
    header = read_header(path)
    try:
        check_model(header)
    except WorkError:
        return None
    count = sum(math.prod(shape) for shape in header.shapes.values()) / 1e9
    quantised = QUANTISATION.search(path.stem)
    return Model(
        GGUF,
        str(path.absolute()),
        f"in {shown(path.parent)}",
        billions=round(count, 2) if 0 < count < MOST_BILLIONS else billions_in(path.stem),
        size=header.bytes,
        quantisation=quantised[0].strip("-_.:") if quantised else "",
        abilities=Abilities(
            header.positions, thinking=in_template(text_or_empty(header.values.get("tokenizer.chat_template")))
        ),
    )


def _read_folder(folder: Path) -> Model | None:
    """A transformers folder of a model that writes text; None if it is something else."""
    config = parse_json(read_bounded(folder / "config.json", MOST_BYTES))
    names = config.get("architectures") if isinstance(config, dict) else None
    if not isinstance(names, list) or not any("CausalLM" in text_or_empty(name) for name in names):
        return None
    weights = [path for path in folder.glob("*.safetensors") if path.is_file()]
    if not weights:
        return None
    hub = re.search(r"models--(.+?)--(.+?)/snapshots/", folder.as_posix() + "/")
    return Model(
        TRANSFORMERS,
        f"{hub[1]}/{hub[2]}" if hub else str(folder.absolute()),
        "in the hub's cache" if hub else f"in {shown(folder.parent)}",
        billions=billions_in(hub[2] if hub else folder.name),
        size=sum(path.stat().st_size for path in weights),
        abilities=Abilities(
            read_count(config.get("max_position_embeddings")), thinking=in_template(_read_templates(folder))
        ),
    )


def _read_templates(folder: Path) -> str:
    """The chat templates of a transformers folder; empty if none can be read."""
    with suppress(ZooterError, OSError, ValueError):
        if (file := folder / "chat_template.jinja").is_file():
            return read_bounded(file, MOST_BYTES).decode(errors="replace")
        config = parse_json(read_bounded(folder / "tokenizer_config.json", MOST_BYTES))
        template = config.get("chat_template") if isinstance(config, dict) else None
        return text_or_empty(template) + "".join(text_or_empty(one.get("template")) for one in objects(template))
    return ""


def shown(path: Path) -> str:
    """A path for messages, with ~ for the home folder."""
    text, home = str(path.absolute()), str(Path.home())
    return text.replace(home, "~", 1) if text.startswith(home + os.sep) else text
