"""What the commands share: arguments as configs, the consoles, progress bars."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from zooter_core.cli.consoles import Output, above_bars
from zooter_core.config.fleet import Fleet, GenerationConfig, load_fleet
from zooter_core.errors import WorkError, ZooterError
from zooter_core.files import check_file
from zooter_core.paths import EMBEDDED_FLEET
from zooter_core.router.kinds import DistillConfig, settings_of
from zooter_core.terminal import json_text

if TYPE_CHECKING:
    from zooter_core.data.runs import Run
    from zooter_core.ensemble import Ensemble
    from zooter_core.method.labels import LabelConfig
    from zooter_core.records import Response

ANSWERING = ("ask", "compare", "check", "run", "collect", "bench")  # commands that need the candidates' weights
MOST_LISTED = 20


out = Output()
err = Output(stderr=True)


def print_json(shape: Any, indent: int | None = None, flush: bool = False) -> None:
    """A command's result as JSON, on stdout."""
    print(json_text(shape, indent), flush=flush)


def fleet_of(call: Namespace) -> Fleet:
    """The fleet that a call names, else the embedded one."""
    return load_fleet(call.fleet or EMBEDDED_FLEET)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A bar a step on stderr."""
    names = TextColumn("{task.description:>8}", markup=False)
    columns = (names, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with above_bars(err), Bar(*columns, console=err, redirect_stdout=False) as bar:
        tasks: dict[str, Any] = {}

        def show(name: str, done: int, of: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=of)
            bar.update(tasks[name], completed=done)

        yield show


def ensemble_of(call: Namespace, folder: str | None = None) -> Ensemble:
    """The fleet that a call names, else that of `folder`, else the embedded one, ready to work."""
    fleet = load_fleet(call.fleet or folder or EMBEDDED_FLEET)  # before PyTorch: a mistake in it shows at once
    from zooter_core.ensemble import Ensemble
    from zooter_core.weights import quiet_libraries

    quiet_libraries()
    ensemble = Ensemble(fleet)
    if call.command in ANSWERING:
        ensemble.fetch(err.print)
    return ensemble


def run_ensemble(call: Namespace, folder: Run) -> Ensemble:
    """The ensemble of a run that exists: the fleet it was begun with, unless another is named."""
    return ensemble_of(call, folder.state.get("fleet"))


def generation_of(call: Namespace, fleet: Fleet, seed: int | None = None) -> GenerationConfig:
    """The fleet's generation settings with what the call says instead."""
    given = {"temperature": call.temperature, "max_new_tokens": call.max_new_tokens, "seed": seed}
    return replace(fleet.generation, **{key: value for key, value in given.items() if value is not None})


def label_of(call: Namespace, defaults: LabelConfig | None = None) -> LabelConfig:
    """Label settings: the defaults of a run, or those given here, with what the call names instead."""
    from zooter_core.method.labels import LabelConfig

    config = replace(defaults or LabelConfig(), **given_labels(call))
    if not 0 <= config.holdout < 1:
        raise ZooterError("--holdout from 0 to below 1", str(config.holdout), "Mend it.")
    return config


def given_labels(call: Namespace) -> dict[str, Any]:
    """The label settings that a call names itself."""
    names = ("beta", "tau", "normalise", "holdout")
    return {name: getattr(call, name) for name in names if getattr(call, name) is not None}


def numbers_of(call: Namespace, name: str) -> tuple[float, ...]:
    """An option that is a list like 0,0.3,1."""
    given = getattr(call, name)
    try:
        return tuple(dict.fromkeys(float(part) for part in given.split(",")))
    except ValueError as problem:
        raise ZooterError(
            f"--{name} as numbers with commas", repr(given), f"For instance --{name} 0.1,0.3,1."
        ) from problem


def check_plot(call: Namespace) -> None:
    """Refuse a --plot that is no page or cannot be written, before the work."""
    if call.plot and not call.plot.endswith(".html"):
        raise ZooterError("--plot as a file that ends in .html", call.plot, "Rename it.")
    if call.plot:
        check_file(Path(call.plot))


def distill_of(call: Namespace) -> DistillConfig:
    """The router's kind and its settings."""
    given: dict[str, float] = {}
    for pair in call.router_set or ():
        name, _, value = pair.partition("=")
        try:
            given[name] = float(value)
        except ValueError as problem:
            raise ZooterError("--router-set as NAME=NUMBER", repr(pair), "For instance --router-set k=50.") from problem
    if call.epochs is not None:
        given["epochs"] = call.epochs
    config = settings_of(call.router_kind, given, seed=call.seed or 0)
    return replace(config, keep_texts=call.keep_texts, finetune=call.finetune)


def encoder_of(fleet: Fleet) -> str:
    """The encoder that a fleet's router shares with its tagger."""
    return fleet.encoder


def tell_cost(ensemble: Ensemble, samples: int = 1) -> None:
    """Say on stderr what comparing all responses of a query costs."""
    config, pool = ensemble.fleet.reward, len(ensemble.fleet.pool)
    if config is not None and config.compares:
        responses = pool * samples
        err.print(
            f"The reward model compares all ordered pairs: {responses} responses a query make "
            f"{responses * (responses - 1)} comparisons."
        )


def tell_set_aside(aside: Mapping[str, str], lacking: str = "rewards") -> None:
    """Say on stderr which queries lack something, and why."""
    if not aside:
        return
    err.print(f"{len(aside)} {'query is' if len(aside) == 1 else 'queries are'} set aside, without {lacking}:")
    for name, reason in list(aside.items())[:MOST_LISTED]:
        err.print(f"  {name}: {reason}")
    if len(aside) > MOST_LISTED:
        err.print(f"  and {len(aside) - MOST_LISTED} more")


def tell_note(note: str) -> None:
    """Say on stderr what makes a request wait, where there is something to say."""
    if note:
        err.print(note, style="dim")


def raise_failed(response: Response) -> None:
    """Turn a response's error into an exception."""
    if response.error:
        raise WorkError.because(response.error, f"an answer of {response.candidate}")
    if not response.text and response.finish != "stopped":
        raise WorkError(f"an answer of {response.candidate}", "an empty one", "Ask again, or another candidate.")
