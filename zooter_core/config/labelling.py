"""What labels come from: the `[reward]` and `[tagger]` tables of fleet.toml, and which keys each kind has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from zooter_core.errors import ZooterError, did_you_mean, listed

INPUTS = ("auto", "pair", "chat")
MODES = ("single", "pair")
APIS = ("pairs", "score", "pooling")
NAMED = ("auto-j",)  # templates of a judge that have a name
DTYPES = ("float32", "bfloat16", "float16")

# Of each kind the keys that it needs and those that it may have; every kind has SHARED. A kind that is not named here
# is told of when it is loaded, with the nearest known one.
SHARED = ("kind", "revision", "cache")
REWARD_KEYS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "scalar": (("model",), ("adapter", "max_tokens", "dtype", "input", "template")),
    "ultra": (("model",), ("max_tokens", "dtype")),
    "pairwise": (("model",), ("max_tokens", "dtype")),
    "judge": (("judge",), ("mode", "template", "tries", "max_new_tokens")),
    "http": (("url",), ("model", "api", "template", "api_key_env", "timeout_seconds", "batch")),
}
TAGGER_KEYS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "nearest": ((), ("vocabulary", "encoder", "threshold", "most")),
    "instag": (("instagger",), ("encoder", "most", "template", "max_new_tokens")),
    "given": ((), ("encoder",)),
}


@dataclass(frozen=True)
class RewardConfig:
    """The `[reward]` table. Which keys a kind has is in REWARD_KEYS; docs/reward-models.md shows a table of each.

    Attributes:
        model: hub id, folder or `package:NAME`; for `http` the name that the endpoint knows.
        max_tokens: the length to which query and response together are cut (512; `ultra` and `pairwise` 2048).
        input: how query and response are read: `pair` (two segments), `chat` (the tokenizer's chat template), or
            `auto`: chat where the tokenizer has a template.
        template: a text with {query} and {response} in place of both (`judge`: the judge's whole prompt,
            or one of NAMED).
        judge: the model that judges, a table `[reward.judge]` like a `[[candidate]]` (a CandidateConfig).
        mode: a judge rates each response alone (`single`) or compares two, in both orders (`pair`).
        tries: how often a judge is asked until its text can be read.
        url, api: an endpoint, and what it speaks (APIS).
        api_key_env: the environment variable that holds the endpoint's key.
        batch: responses a request.
        cache: whether rewards are kept in the user's cache folder.
    """

    kind: str
    model: str = ""
    adapter: str | None = None
    revision: str | None = None
    max_tokens: int | None = None
    dtype: str = "float32"
    input: str = "auto"
    template: str | None = None
    judge: Any = None
    mode: str = "single"
    tries: int = 3
    max_new_tokens: int = 512
    url: str | None = None
    api: str = "pairs"
    api_key_env: str | None = None
    timeout_seconds: float = 60.0
    batch: int = 16
    cache: bool = True

    def __post_init__(self) -> None:
        _check_keys(self, "reward", REWARD_KEYS)
        for name, known in (("input", INPUTS), ("mode", MODES), ("api", APIS), ("dtype", DTYPES)):
            value = getattr(self, name)
            if value not in known:
                raise ZooterError(
                    f"{name} {', '.join(known[:-1])} or {known[-1]} in [reward] of fleet.toml",
                    f'"{value}"',
                    did_you_mean(value, known),
                )
        for name in ("max_tokens", "tries", "max_new_tokens", "batch", "timeout_seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ZooterError(f"{name} above 0 in [reward] of fleet.toml", str(value), "Mend that line.")
        if self.template is not None and not (self.kind == "judge" and self.template in NAMED):
            _check_template(self.template, "reward", ("{query}", "{response}") if self.mode == "single" else PAIR)
            if self.input != "auto":
                raise ZooterError(
                    "input or template in [reward] of fleet.toml", "both", "Keep one: a template is its own input."
                )

    @property
    def compares(self) -> bool:
        """Whether responses are compared two by two, which costs n (n - 1) comparisons for n responses."""
        return self.kind == "pairwise" or (self.kind == "judge" and self.mode == "pair")


PAIR = ("{query}", "{first}", "{second}")


@dataclass(frozen=True)
class TaggerConfig:
    """The `[tagger]` table.

    Attributes:
        encoder: the sentence encoder of the tagger `nearest`, and, whatever the kind, the one that routers are made on.
        threshold: the least similarity of a tag (`nearest`).
        most: the number of tags that a query gets at most.
        instagger: the model that writes tags, a table `[tagger.instagger]` like a `[[candidate]]` (a CandidateConfig).
        template: its prompt with {query}, in place of InsTagger's.
    """

    kind: str
    vocabulary: str | None = None
    encoder: str | None = None
    threshold: float = 0.35
    most: int = 4
    instagger: Any = None
    template: str | None = None
    max_new_tokens: int = 512

    def __post_init__(self) -> None:
        _check_keys(self, "tagger", TAGGER_KEYS)
        for name, least in (("threshold", -1), ("most", 1), ("max_new_tokens", 1)):
            value = getattr(self, name)
            if not least <= value < float("inf"):  # NaN fails too
                raise ZooterError(f"{name} of {least} or above in [tagger] of fleet.toml", str(value), "Correct it.")
        if self.template is not None:
            _check_template(self.template, "tagger", ("{query}",))


def _check_keys(
    config: RewardConfig | TaggerConfig, table: str, keys: Mapping[str, tuple[Sequence[str], Sequence[str]]]
) -> None:
    """Refuse a key that the kind would pass over, and the lack of one that it needs."""
    if config.kind not in keys:
        return
    needed, others = keys[config.kind]
    known = (*SHARED, *needed, *others)
    for entry in fields(config):
        default = None if entry.default is MISSING else entry.default
        if getattr(config, entry.name) != default and entry.name not in known:
            raise ZooterError(
                f'a key that the {table} kind "{config.kind}" has in [{table}] of fleet.toml',
                f'"{entry.name}"',
                f"Known: {listed(sorted(known))}.",
            )
    for name in needed:
        if not getattr(config, name):
            line = f"[{table}.{name}]" if name in ("judge", "instagger") else f"{name} = ..."
            raise ZooterError(f'a key "{name}" in [{table}] of fleet.toml', "none", f"Add {line} there.")


def _check_template(template: str, table: str, places: Sequence[str]) -> None:
    if missing := [place for place in places if place not in template]:
        raise ZooterError(
            f"a template with {listed(places)} in [{table}] of fleet.toml",
            f"none of {listed(missing)}",
            "Add it.",
        )
