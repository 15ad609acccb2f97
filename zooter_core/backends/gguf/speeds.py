"""How fast the engines of backend `auto` are on this machine, and with how many threads, as auto.py measured them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from zooter_core.config.candidates import AUTO, GGUF, TRANSFORMERS, CandidateConfig
from zooter_core.cores import free_cores
from zooter_core.errors import ZooterError
from zooter_core.files import atomic
from zooter_core.strict_json import dump_json, parse_json
from zooter_core.weights import cache_dir, private_cache

FILE = "engines.json"  # in the cache
ENGINES = (GGUF, TRANSFORMERS)


@dataclass(frozen=True)
class Speeds:
    """Tokens per second by engine, of one answer and of many at once; None for an engine that does not work here.

    Attributes:
        threads: of llama.cpp, with which it was fastest.
    """

    one: Mapping[str, float | None]
    many: Mapping[str, float | None]
    threads: int

    def faster(self, many: bool = False) -> str:
        """The engine to use."""
        speeds = self.many if many else self.one
        return max(ENGINES, key=lambda name: speeds[name] or 0)

    def save(self) -> None:
        """Keep them for later starts. Without it, the next check measures again."""
        with suppress(OSError), atomic(private_cache() / FILE) as partial:
            partial.write_text(dump_json(asdict(self)) + "\n", encoding="utf-8")


def measured() -> Speeds | None:
    """The speeds that were measured on this machine; None if there are none."""
    with suppress(OSError, ValueError, TypeError, KeyError, ZooterError):
        values = parse_json((cache_dir() / FILE).read_text(encoding="utf-8"))
        one, many = ({name: _number(values[kind][name]) for name in ENGINES} for kind in ("one", "many"))
        return Speeds(one, many, max(1, int(values["threads"])))
    return None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def threads_of(candidate: CandidateConfig) -> int:
    """Those that fleet.toml names, else the free cores, or fewer if `auto` was measured faster with fewer."""
    if candidate.threads:
        return candidate.threads
    speeds = measured() if candidate.backend == AUTO else None
    return min(free_cores(), speeds.threads) if speeds else free_cores()
