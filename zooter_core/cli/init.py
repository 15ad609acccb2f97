"""`zooter init`: writes a fleet.toml with models that run on this machine, are on its disk, or are on other servers."""

from __future__ import annotations

import os
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from zooter_core.base.errors import MOST_NAMED, NotInstalledError, ZooterError, did_you_mean, listed, shortened
from zooter_core.cli.bars import waiting
from zooter_core.cli.consoles import err, out, print_json
from zooter_core.cli.options import JSON, option
from zooter_core.config.candidates import ENDPOINT
from zooter_core.config.fleet import load_fleet
from zooter_core.config.trust import PROVIDERS, is_allowed, on_this_machine, provider_key, server_address, trust

if TYPE_CHECKING:
    from zooter_core.fleet.connect import Connected
    from zooter_core.fleet.discovered import Model
    from zooter_core.fleet.discovery import Discovery

ALL = "all"  # a value of --pick
MOST_NOTES = 10  # lines about skipped models
MOST_TAKEN = 20  # the most models of a hosted server that `--pick all` takes, and that are listed without search
KEY_STEP = "Set it first, such as export MODEL_API_KEY=..., and pass its name: --key-env MODEL_API_KEY."
START = "Start Ollama, vLLM, llama.cpp or LM Studio, or name a server (--endpoint URL) or weights (--models DIR)."


def init(
    out_folder: Path = option(
        "DIR", "Folder of the fleet. If it exists, the models are added.", name="--out", default=Path("my-fleet")
    ),
    endpoint: list[str] | None = option("URL...", "Further OpenAI-compatible servers, here or elsewhere."),
    key_env: str | None = option("NAME", "The environment variable with the key of these servers."),
    models: list[Path] | None = option("DIR...", "Further folders with GGUF files or transformers folders."),
    pick: list[str] | None = option(
        "NAME...", "Take these models; `all` takes those of running servers, or if there are none, those on disk."
    ),
    json: bool = JSON,
) -> None:
    from zooter_core.fleet.connect import connect
    from zooter_core.fleet.discovery import discover
    from zooter_core.fleet.packages import missing

    for folder in models or ():
        if not os.path.isdir(folder) or not os.access(folder, os.R_OK | os.X_OK):
            step = "Check the path and its permissions."
            raise ZooterError("a readable folder with weights after --models", str(folder), step)
    addresses = _addresses(endpoint or (), key_env)
    with waiting("Looking for models ..."):
        discovery = discover(addresses, models or ())
    if not json or not pick:
        _print(discovery)
    if not discovery.models:
        reasons = listed(f"{url}: {reason}" for url, reason in discovery.silent.items())
        raise ZooterError("a model on this machine or at a server that you name", reasons or "none", START)
    chosen = _choose(discovery.models, pick or ())
    connected = connect(out_folder, chosen)
    lacking = missing(load_fleet(out_folder))
    if json:
        names = {
            "fleet": str(out_folder),
            "candidates": connected.names,
            "present": [m.name for m in connected.present],
            "missing": {error.package: error.command for error in lacking},
        }
        others = {"silent": dict(discovery.silent), "passed_over": discovery.passed_over}
        print_json(names | others | {"providers": discovery.providers}, indent=2)
    else:
        _print_end(out_folder, connected, lacking)


def _addresses(endpoints: Sequence[str], key_env: str | None) -> Mapping[str, str | None]:
    """The URLs of the servers that the user names -> the environment variable with the key: --key-env, or that of a
    known provider."""
    from zooter_core.fleet.discovery import server_url

    if key_env and not os.environ.get(key_env, "").strip():  # `key_env` may be the key itself, so do not print it
        raise ZooterError(
            "the name of a variable with a key after --key-env", "no such variable in the environment", KEY_STEP
        )
    addresses: dict[str, str | None] = {}
    for text in endpoints:
        url = server_url(text)
        usual = provider_key(url)
        addresses[url] = key_env or (usual if usual and os.environ.get(usual) else None)
        if key_env and not is_allowed(key_env, url):  # the call names both, which counts as permission
            trust([(key_env, url)])
            err.print(f"From now on the key in {key_env} may be sent to {server_address(url)}.")
    return addresses


def _choose(models: Sequence[Model], names: Sequence[str]) -> list[Model]:
    """The models that --pick names, or that the user marks on the terminal."""
    everything = list(names) == [ALL]
    if names and not everything:
        for name in names:
            if name not in [model.name for model in models]:
                step = did_you_mean(name, [m.name for m in models])
                raise ZooterError("a name in the table of models", f'"{name}"', step)
        return [model for model in models if model.name in names]
    usual = _default_models(models)
    if everything and not usual:
        raise ZooterError("a short list of models for --pick all", "a long one", "Name the models with --pick.")
    if everything:
        return usual
    if all(file.isatty() for file in (sys.stdin, out.file, err.file)):
        return _ask(models, usual)
    raise ZooterError("a terminal for the choice of models", "none", "Name them: --pick NAME ..., or --pick all.")


def _default_models(models: Sequence[Model]) -> list[Model]:
    """The models of `--pick all`: those of local servers and of others with short lists; if none, those on disk."""
    by_server: dict[str, list[Model]] = {}
    for model in models:
        by_server.setdefault(model.base_url, []).append(model)
    disk = by_server.pop("", [])
    for url, listing in list(by_server.items()):
        if not on_this_machine(url) and len(listing) > MOST_TAKEN:
            err.print(f"{url} lists {len(listing)} models. Choose from them with --pick NAME ...")
            del by_server[url]
    return [model for listing in by_server.values() for model in listing] or disk


def _ask(models: Sequence[Model], usual: Sequence[Model]) -> list[Model]:
    """Let the user mark models with the arrow keys and the space bar."""
    import questionary

    search = len(models) > MOST_TAKEN
    how = "type to search, arrow keys, space marks, Ctrl-A" if search else "arrow keys, space marks, a"
    names, room = max(len(model.name) for model in models), err.width - 6  # for one line, next to the mark
    choices = [
        questionary.Choice(
            "  ".join(filter(None, (f"{model.name:{names}}", model.facts, model.place)))[:room],
            model,
            checked=model in usual,
        )
        for model in models
    ]
    marked: list[Model] | None = questionary.checkbox(
        "Which models?",
        choices,
        instruction=f"({how} marks all, Enter takes them)",
        use_search_filter=search,
        use_jk_keys=not search,
    ).ask()
    if marked is None:
        raise KeyboardInterrupt
    if not marked:
        raise ZooterError("at least one model", "none marked", "Run it again, and mark some with the space bar.")
    return marked


def _print_models(models: Sequence[Model]) -> None:
    """Print the table of models. Several models of one place are listed below its name."""
    table = Table("name", "model", title="models", title_justify="left")
    for place, group in groupby(models, lambda model: model.place):
        members = list(group)
        if not (alone := len(members) == 1):
            table.add_row("", f"{place}:")
        for model in members:
            shown = model.model if model.backend == ENDPOINT else Path(model.model).name
            texts = (shortened(shown, MOST_NAMED), model.facts, place if alone else "")
            table.add_row(model.name, ", ".join(filter(None, texts)))
        table.add_section()
    err.print(table)


def _print(discovery: Discovery) -> None:
    """Print the models, the GPUs, servers that do not answer, skipped models, and hosted providers with a key."""
    if discovery.models:
        _print_models(discovery.models)
    for number, gpu in enumerate(discovery.gpus):
        err.print(f"GPU {number}: {gpu.name}, {gpu.free / 1e9:.0f} of {gpu.total / 1e9:.0f} GB free")
    for url, reason in discovery.silent.items():
        err.print(f"No models from {url}: {reason}.")
    for note in discovery.passed_over[:MOST_NOTES]:
        err.print(note)
    if (more := len(discovery.passed_over) - MOST_NOTES) > 0:
        err.print(f"{more:,} more are skipped.")
    for variable in discovery.providers:
        host = PROVIDERS[variable][0]
        err.print(f"{variable} is set. To use {host}, which has not been contacted: --endpoint {host}")


def _print_end(folder: Path, connected: Connected, lacking: Sequence[NotInstalledError]) -> None:
    if connected.present:
        _print_wrapped(f"Already in the fleet: {listed(dict.fromkeys(model.name for model in connected.present))}.")
    if connected.names:
        _print_wrapped(f"{folder / 'fleet.toml'} has {listed(connected.names)}.")
    place = shlex.quote(str(folder))
    steps = {error.command: f"installs {error.package}, which is missing" for error in reversed(lacking)}
    steps[f"zooter demo --fleet {place}"] = "opens a chat with the models"
    steps[f"zooter exam --fleet {place}"] = "trains a router on their answers"
    width = max(map(len, steps))
    for number, (command, purpose) in enumerate(steps.items()):
        out.print(f"{'      ' if number else 'Next: '}{command:{width}}    {purpose}")


def _print_wrapped(text: str) -> None:
    """Print a list of names, with line breaks only between names."""
    lines = textwrap.wrap(text, out.width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    out.print("\n".join(lines))
