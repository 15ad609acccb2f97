"""Reads fleet.toml as a Fleet: its tables, checked by pydantic, with full paths."""

import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, TypeAdapter, ValidationError, model_validator

from zooter_core.base.errors import ZooterError, did_you_mean, one_line
from zooter_core.config.candidates import CandidateConfig, MemoryConfig
from zooter_core.config.fingerprint import FILES, fingerprint, named_by_server
from zooter_core.config.labelling import (
    ENCODER,
    HttpConfig,
    InstagConfig,
    JudgeConfig,
    Reward,
    RewardConfig,
    Tagger,
    TaggerConfig,
)
from zooter_core.config.serve import ServeConfig
from zooter_core.config.tables import (
    Count,
    Limit,
    LocalPath,
    Name,
    NotNegative,
    Table,
    WholeNumber,
    error_in,
    read_toml,
    table,
)

Runtime = Literal["auto", "torch", "onnx", "int8"]


@table("[generation]")
class GenerationConfig(Table):
    """The `[generation]` table. Temperature 0 is greedy; otherwise one of the `top_k` most likely tokens is sampled."""

    max_new_tokens: Count = 256
    temperature: NotNegative = 0.7
    top_k: Limit = 50
    seed: WholeNumber = 0


@table("[router]")
class RouterConfig(Table):
    """The `[router]` table."""

    path: LocalPath = ""
    # A query is unsure if its `Ensemble.unsureness`, in [0, 1], is above this; by default never.
    unsure_above: Annotated[float, Field(strict=True, ge=-math.inf)] = math.inf
    # The engine of the encoder that router and tagger use: `torch`, `onnx` (ONNX Runtime), `int8` (ONNX Runtime with
    # 7-bit weights), or `auto`, which is `onnx` if that can run the encoder, otherwise `torch`. With `auto`,
    # `zooter serve` uses 7-bit weights unless candidates run in its own process.
    runtime: Runtime = "auto"
    # What to do with candidates that the router does not know: `refuse`, or `profile`, which routes to them by
    # published figures or by their names (fleet/starting.py).
    others: Literal["refuse", "profile"] = "refuse"
    # How much probability of the best answer to give up for the lowest price instead of the highest
    # (`prices.utilities`), as with `--willingness`. `prices.find_willingness` has the default. A fleet without a
    # trained router may have only this key.
    willingness: NotNegative | None = None

    @model_validator(mode="after")
    def _check_path(self) -> Self:
        if not self.path and list(self.to_file()) != ["willingness"]:
            raise ValueError('{where} lacks the key "path". Add path = ... there.')
        return self


@table("[learn]")
class LearnConfig(Table):
    """The `[learn]` table: the traffic that the endpoint keeps, so that a router can learn from it."""

    traffic: StrictBool = False  # whether queries and decisions are kept (`zooter serve --learn` keeps them too)
    answers: StrictBool = False  # whether answers are kept as well
    retention_days: NotNegative = 90  # older entries are deleted; 0 keeps everything


@dataclass(frozen=True)
class Fleet:
    """A pool of candidates with its reward model, tagger and router."""

    name: str
    folder: Path
    candidates: tuple[CandidateConfig, ...]
    router: RouterConfig | None = None  # None if it has no trained router
    reward: RewardConfig | None = None
    tagger: TaggerConfig | None = None
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)
    willingness: float | None = None  # `[router] willingness`; None if the file does not have it

    @property
    def pool(self) -> tuple[str, ...]:
        return tuple(candidate.name for candidate in self.candidates)

    @property
    def routed_as(self) -> tuple[str, ...]:
        """The router's name for each candidate."""
        return tuple(candidate.routed_as or candidate.name for candidate in self.candidates)

    def names_in(self, names: Collection[str]) -> tuple[str, ...]:
        """Each candidate's name in a router or in scores: the first of `routed_as`, `name` and `model` in `names`."""
        return tuple(
            next((name for name in (as_, one.name, one.model) if name in names), as_)
            for one, as_ in zip(self.candidates, self.routed_as, strict=True)
        )

    @property
    def encoder(self) -> str:
        """The sentence encoder that a router for this fleet shares with its tagger."""
        return (self.tagger.encoder if self.tagger else None) or ENCODER

    @property
    def runtime(self) -> Runtime:
        """The engine of the encoder (`[router] runtime`), with or without a trained router."""
        return self.router.runtime if self.router else "auto"

    @property
    def language_models(self) -> list[CandidateConfig]:
        """The candidates, and the models that judge and tag."""
        judges = self.reward.judges if isinstance(self.reward, JudgeConfig) else ()
        instagger = self.tagger.instagger if isinstance(self.tagger, InstagConfig) else None
        return [model for model in (*self.candidates, *judges, instagger) if model]

    @property
    def key_uses(self) -> list[tuple[str, str]]:
        """The environment variables that the fleet names for keys, each with the address to which the key is sent."""
        served = [model.endpoint for model in self.language_models if model.endpoint]
        uses = [(server.api_key_env, server.base_url) for server in served]
        if isinstance(self.reward, HttpConfig):
            uses.append((self.reward.api_key_env, self.reward.url))
        return [(variable, url) for variable, url in uses if variable]

    def candidate(self, name: str) -> CandidateConfig:
        """A candidate by name.

        Raises:
            ZooterError: the fleet has no such candidate.
        """
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        raise ZooterError(f"a candidate of the fleet {self.name}", f'"{name}"', did_you_mean(name, self.pool))

    def missing(self, table: str) -> ZooterError:
        """The error if fleet.toml lacks a table."""
        train = "Train one first (`zooter exam`, or `zooter run`): docs/your-models.md."
        next_step = train if table == "router" else f"Add [{table}] to it."
        return ZooterError(f"a [{table}] table in fleet.toml of {self.name}", "none", next_step)

    def hash_part(self, part: str) -> str:
        """The hash of a part of the fleet: its settings and the files that it names.

        Raises:
            ZooterError: a model's folder has far too many files.
            OSError: a file cannot be read.
        """
        tables: Sequence[Table | None] = {
            "candidates": self.candidates,
            "router": (self.router,),
            "reward": (self.reward, *(self.reward.judges if isinstance(self.reward, JudgeConfig) else ())),
            "tagger": (self.tagger, self.tagger.instagger if isinstance(self.tagger, InstagConfig) else None),
        }[part]
        return fingerprint([table for table in tables if table], self.folder)


@table("fleet.toml")
class FleetFile(Table):
    """The whole fleet.toml."""

    memory: MemoryConfig | None = None  # first, so that errors name this table: each candidate has it too
    candidate: Annotated[tuple[CandidateConfig, ...], Field(min_length=1)] = field(kw_only=True)
    name: Name | None = None
    router: RouterConfig | None = None
    reward: Reward | None = None
    tagger: Tagger | None = None
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [candidate.name for candidate in self.candidate]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'{{where}} has a candidate "{name}" twice. Rename one of them.')
        chores = self.serve.chores
        if chores is not None and chores not in names:
            hint = did_you_mean(chores, names)
            raise ValueError(f'chores in [serve] of {{where}} must be a candidate, but is "{chores}". {hint}')
        return self


READER = TypeAdapter(FleetFile)  # pydantic builds it at first use, which takes longer than reading a fleet


def load_fleet(folder: str | Path, text: str | None = None) -> Fleet:
    """Read `folder/fleet.toml`; `folder` may also be the file itself.

    Args:
        text: the file's future content, which is read instead of the file.

    Raises:
        ZooterError: the file does not exist or is not valid TOML, a key is unknown or missing, a value has the wrong
            type, a path does not exist, or two candidates have the same name. The message names file, table and key.
    """
    path = Path(folder)
    path = path / "fleet.toml" if path.is_dir() else path
    if text is None and not path.is_file():
        fleets = [str(file.parent) for file in Path(folder).parent.glob("*/fleet.toml")]
        step = did_you_mean(str(folder), fleets) if fleets else "`zooter init` writes one."
        if (path.parent / "config.json").is_file():
            step = "A fleet.toml names a router as `path` in [router]."
        raise ZooterError("a fleet folder with a fleet.toml", f"none at {path}", step)
    if path.name != "fleet.toml":  # a folder has one fleet, whose results are stored beside the file
        step = "Move it into a folder of its own as fleet.toml."
        raise ZooterError("a fleet folder, or the fleet.toml in one", str(path), step)
    path = real_file(path)
    values = read_toml(path, text)
    try:
        file = READER.validate_python(values, context={"folder": path.parent, "memory": values.get("memory")})
    except ValidationError as problem:
        first = problem.errors()[0]
        if first["loc"] == ("candidate",):
            step = "Add one with name, backend and model."
            raise ZooterError(f"at least one [[candidate]] in {path}", "none", step) from None
        raise error_in(problem, str(path)) from None
    return Fleet(
        name=file.name or one_line(path.parent.name) or "fleet",
        folder=path.parent,
        candidates=file.candidate,
        router=file.router if file.router and file.router.path else None,
        reward=file.reward,
        tagger=file.tagger,
        generation=file.generation,
        serve=file.serve,
        learn=file.learn,
        willingness=file.router.willingness if file.router else None,
    )


def real_file(path: Path) -> Path:
    """The real path of a fleet.toml. A link may lead to another file in its folder, but not out of the folder.

    Zooter writes beside the real file, and a link in a stranger's folder could lead to any other folder.

    Raises:
        ZooterError: the link leads out of the folder.
    """
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(os.path.realpath(path.parent)):
        step = f"Put a copy in its place, or give --fleet {real.parent} if the fleet is there."
        raise ZooterError(f"a file at {path}, or a link to one in its folder", f"a link to {real}", step)
    return real


def fleet_toml(fleet: Fleet, name: str, folder: Path, router: str) -> str:
    """The text of a fleet.toml for a fleet with another router, in another folder, with adjusted paths to the models.

    Settings for the fleet's own router (`unsure_above`, `routed_as`) are left out.

    Args:
        router: the router's path in the folder.
    """
    import tomlkit  # takes longer to import than reading a fleet

    tables = {
        "router": RouterConfig(router, runtime=fleet.runtime, willingness=fleet.willingness),
        "reward": fleet.reward,
        "tagger": fleet.tagger,
        "generation": fleet.generation,
        "memory": fleet.candidates[0].memory,
        "serve": fleet.serve,
        "learn": fleet.learn,
    }
    values = {key: _relative(table, folder) for key, table in tables.items() if table is not None}
    values = {key: table for key, table in values.items() if table}
    candidates = [_relative(replace(candidate, routed_as=None), folder) for candidate in fleet.candidates]
    return tomlkit.dumps({"name": name, **values, "candidate": candidates})


def _relative(table: Table, folder: Path) -> dict[str, Any]:
    """The keys of a table in the file, with paths relative to the folder."""
    values = table.to_file()
    for key in values:
        value = getattr(table, key, None)
        if isinstance(value, CandidateConfig):  # a judge, a tagger's model
            values[key] = _relative(value, folder)
        elif key in FILES and Path(values[key]).is_absolute() and not named_by_server(table):
            values[key] = Path(os.path.relpath(values[key], folder)).as_posix()
    return values
