"""Zooter: reward-guided routing between language models (ZOOTER, arXiv 2311.08692).

The public interface is the names below (docs/python.md). Each is imported when it is first used, so that importing the
package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zooter_core.config.fleet import load_fleet as load_fleet
    from zooter_core.evaluation.evaluate import evaluate as evaluate
    from zooter_core.fleet.ensemble import Ensemble as Ensemble
    from zooter_core.pipeline.train import distill as distill
    from zooter_core.router.router import Router as Router

__version__ = "0.2.0"
__all__ = ["Ensemble", "Router", "distill", "evaluate", "load_fleet"]

_MODULES = {
    "Ensemble": "fleet.ensemble",
    "Router": "router.router",
    "distill": "pipeline.train",
    "evaluate": "evaluation.evaluate",
    "load_fleet": "config.fleet",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
