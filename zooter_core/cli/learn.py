"""`zooter learn`: trains better routers on the endpoint's traffic, and uses each one once it has proved better."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from zooter_core.base.money import in_dollars
from zooter_core.cli.bars import waiting
from zooter_core.cli.consoles import err, out, print_figures, print_json, print_note
from zooter_core.cli.fleets import open_fleet
from zooter_core.cli.options import DATA, JSON, argument, check_unused, flag, option
from zooter_core.config.fleet import Fleet, load_fleet

if TYPE_CHECKING:
    from zooter_core.learn.judging import LearnSettings
    from zooter_core.learn.versions import Versions

Action = Literal["run", "status", "promote", "rollback", "pause", "resume"]
EVERY_SECONDS = 600.0  # between two turns
WAIT_SECONDS = 60.0  # how long a manual switch waits for a running turn
OF_RUN = ("once", "budget_usd", "share", "manual")  # options of `zooter learn run`
LATEST = "on the latest ones"
CONTINUES = "The learner continues and promotes any challenger that passes the gate; `zooter learn pause` stops it."
NICE = 19  # the lowest priority, so that the endpoint and other programs are not slowed down
PAUSED = "Learning is paused until `zooter learn resume`."
RELOAD = "Endpoints that store their traffic load it automatically; others need SIGHUP or POST /admin/reload."


def learn(
    context: typer.Context,
    action: Action = argument("ACTION", "run (default), status, promote, rollback, pause or resume.", default="run"),
    fleet: Path | None = option("DIR", "Folder with the fleet.toml of your own fleet."),
    data: Path | None = DATA,
    once: bool = flag("--once", "run: take one turn instead of one every ten minutes."),
    budget_usd: float | None = option(
        "X", "run: budget in US dollars for answers in each turn; 0 requests no answers.", min=0
    ),
    share: float = option("X", "run: share of queries that every model answers.", min=0, max=1, default=0.05),
    manual: bool = flag("--manual", "run: leave promotions to `zooter learn promote`."),
    json: bool = JSON,
) -> None:
    if action != "run":
        check_unused(context, f"with `zooter learn {action}`", *OF_RUN)
    parts = open_fleet(fleet)
    from zooter_core.learn.versions import Versions, locked_versions, switch_by_hand

    if action == "status":
        print_figures(_status(Versions(parts)), json, _print_status)
        return
    if action == "run":
        from zooter_core.learn.deciding import SamplingPlan
        from zooter_core.learn.judging import LearnSettings
        from zooter_core.learn.traffic import data_folder

        sampling = SamplingPlan(share) if budget_usd != 0 else SamplingPlan(0, 0)
        place, settings = data or data_folder(parts), LearnSettings(sampling, manual=manual, dollars=budget_usd)
        take_turns(parts, place, settings, None if once else EVERY_SECONDS, json)
        return
    if action in ("promote", "rollback"):
        switch = switch_by_hand(parts, action, WAIT_SECONDS)
        shown = f": {_pairs(switch.pairs, switch.mean, LATEST)}" if switch.pairs else ""
        err.print(f"fleet.toml names {_name(switch.router)} now{shown}. {RELOAD}")
        if action == "rollback":
            err.print(CONTINUES)
    else:
        with locked_versions(parts, WAIT_SECONDS) as versions:
            versions.state.paused = action == "pause"
            versions.save()
        err.print(PAUSED if action == "pause" else "Resumed.")
    if json:
        print_json(_status(Versions(load_fleet(parts.folder))))


def take_turns(fleet: Fleet, data: Path, settings: LearnSettings, every: float | None, json: bool) -> None:
    """Take turns until SIGTERM, at low priority, and print the results of each turn.

    Args:
        data: the folder of the traffic.
        every: seconds to wait after a turn; None takes only one turn.
    """
    from zooter_core.fleet.ensemble import Ensemble
    from zooter_core.learn.cycle import Cycle
    from zooter_core.learn.traffic import Traffic
    from zooter_core.learn.versions import Versions, lock_learner

    Versions(fleet)
    stop = threading.Event()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for PyTorch, whose threads would compete with those of an answer
    os.nice(NICE)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Traffic.open(data, create=False) as traffic:
        ensemble = Ensemble(fleet)
        while not stop.is_set():
            with lock_learner(fleet):  # for one turn, so that other commands can promote or pause between turns
                if (again := load_fleet(fleet.folder)) != fleet:
                    fleet, ensemble = again, ensemble.renewed(again)
                    ensemble.retain()
                cycle = Cycle(Versions(fleet), ensemble, traffic, settings, print_note)
                with waiting("Judging served answers ...") as show:
                    turn = cycle.turn(stop, show)
            if cycle.versions.state.paused:
                err.print(PAUSED)
            print_figures(asdict(turn), json, _print_turn)
            if every is None or stop.wait(every):
                return


def _name(router: str) -> str:
    return router or "no router (the starting router is used)"


def _status(versions: Versions) -> dict[str, Any]:
    """The state of the contest between champion and challenger. The mean is in units of reward."""
    state = versions.state
    return {
        "champion": state.champion,
        "challenger": state.challenger,
        "former": state.former,
        "pairs": len(state.pairs),
        "mean": sum(state.pairs) / len(state.pairs) if state.pairs else None,
        "judged": state.judged,
        "paused": state.paused,
        "follows": state.follows,
        "newcomers": state.newcomers,
        "events": [asdict(switch) for switch in state.events],
    }


def _pairs(count: int, mean: float | None, where: str) -> str:
    earned = "" if mean is None else f", {abs(mean):.3f} {'more' if mean >= 0 else 'less'} reward {where}"
    return f"{count:,} {'pair' if count == 1 else 'pairs'}{earned}"


def _print_status(figures: dict[str, Any]) -> None:
    from zooter_core.learn.cycle import REFIT_EVERY
    from zooter_core.learn.versions import OUTSIDE

    out.print(f"Champion: {_name(figures['champion'])}.")
    if figures["follows"]:
        out.print("The learner's later routers serve too, each as soon as it has earned more than the one before.")
    if figures["challenger"] is None:
        out.print(f"There is no challenger yet. `zooter learn` trains one on {REFIT_EVERY} new queries with a reward.")
    else:
        shown = _pairs(figures["pairs"], figures["mean"], "on average")
        out.print(f"Challenger: {figures['challenger']}, {shown}.")
    if figures["paused"]:
        out.print("Learning is paused.")
    for name, left in figures["newcomers"].items():
        out.print(f"{name} is new and has {left} stored queries to answer.")
    for event in figures["events"][-10:]:
        when = datetime.fromtimestamp(event["time"]).strftime("%Y-%m-%d %H:%M")
        what = "changed in fleet.toml" if event["event"] == OUTSIDE else event["event"]
        out.print(f"{when} {what}: {_name(event['before'])} -> {_name(event['router'])}")


def _print_turn(turn: dict[str, Any]) -> None:
    from zooter_core.learn.judging import CALLS

    spent = f", ${in_dollars(turn['dollars'])}" if turn["dollars"] else ""
    out.print(f"{turn['judged']} decisions judged, {turn['calls']} answers asked for{spent}.")
    if turn["stopped"]:
        out.print("Stopped before the turn was complete. The next turn continues from here.")
    elif turn["waiting"]:
        out.print(f"The others wait for the next turn: each requests at most {CALLS} answers, within --budget-usd.")
    for name, count in turn["failures"].items():
        out.print(f"{name} failed {'once' if count == 1 else f'{count:,} times'}.")
    if turn["unscored"]:
        many = "one query" if turn["unscored"] == 1 else f"{turn['unscored']:,} queries"
        out.print(f"The reward model failed on {many} ({turn['reason']}). `zooter check` tries it.")
    shown = turn["evidence"]
    if shown and shown["pairs"]:
        proved = ", proved" if shown["proved"] else ""
        out.print(f"{_pairs(shown['pairs'], shown['mean'], LATEST)}{proved}.")
    if turn["event"]:
        done = "returned to the previous router" if turn["event"] == "rollback" else "promoted the challenger"
        out.print(f"The learner {done}. {RELOAD}")
    if turn["challenger"]:
        out.print(f"New challenger: {turn['challenger']}.")
