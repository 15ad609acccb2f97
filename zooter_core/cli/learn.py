"""`zooter learn`: a better router from what the endpoint served, proved before it serves."""

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
EVERY_SECONDS = 600.0  # between the starts of two turns
WAIT_SECONDS = 60.0  # for a turn that is at work, before a switch by hand
OF_RUN = ("once", "budget_usd", "share", "manual")  # options
LATEST = "on the latest ones"
GOES_ON = "The learner goes on, and promotes whichever challenger passes the gate: `zooter learn pause` stops it."
NICE = 19  # below the endpoint and whatever else users wait for
PAUSED = "Nothing is judged, learned or switched until `zooter learn resume`."
RELOAD = "An endpoint that keeps its traffic takes it by itself, others at SIGHUP or POST /admin/reload."


def learn(
    context: typer.Context,
    action: Action = argument("ACTION", "run (default), status, promote, rollback, pause or resume.", default="run"),
    fleet: Path | None = option("DIR", "Folder with the fleet.toml of your own fleet."),
    data: Path | None = DATA,
    once: bool = flag("--once", "run: one turn instead of one every ten minutes."),
    budget_usd: float | None = option(
        "X", "run: US dollars for answers in a turn, at most; 0 asks for no answers.", min=0
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
            err.print(GOES_ON)
    else:
        with locked_versions(parts, WAIT_SECONDS) as versions:
            versions.state.paused = action == "pause"
            versions.save()
        err.print(PAUSED if action == "pause" else "Resumed.")
    if json:
        print_json(_status(Versions(load_fleet(parts.folder))))


def take_turns(fleet: Fleet, data: Path, settings: LearnSettings, every: float | None, json: bool) -> None:
    """Learn until SIGTERM, at low priority, and print what each turn did.

    Args:
        data: the folder of the traffic.
        every: seconds between the starts of two turns; None takes one turn.
    """
    from zooter_core.fleet.ensemble import Ensemble
    from zooter_core.learn.cycle import Cycle
    from zooter_core.learn.traffic import Traffic
    from zooter_core.learn.versions import Versions, lock_learner

    Versions(fleet)
    stop = threading.Event()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of PyTorch: its threads take turns with those of an answer
    os.nice(NICE)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Traffic.open(data, create=False) as traffic:
        ensemble = Ensemble(fleet)
        while not stop.is_set():
            with lock_learner(fleet):  # for one turn, so that others may promote or pause between two
                if (again := load_fleet(fleet.folder)) != fleet:
                    fleet, ensemble = again, ensemble.renewed(again)
                    ensemble.retain()
                cycle = Cycle(Versions(fleet), ensemble, traffic, settings, print_note)
                with waiting("Judging what was served ...") as show:
                    turn = cycle.turn(stop, show)
            if cycle.versions.state.paused:
                err.print(PAUSED)
            print_figures(asdict(turn), json, _print_turn)
            if every is None or stop.wait(every):
                return


def _name(router: str) -> str:
    return router or "no router (a starting one serves)"


def _status(versions: Versions) -> dict[str, Any]:
    """What the contest stands at. The mean is in units of reward."""
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
        out.print(f"There is no challenger yet. `zooter learn` makes one of {REFIT_EVERY} new queries with a reward.")
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
        out.print("Stopped before the turn was complete. The next turn goes on from here.")
    elif turn["waiting"]:
        out.print(
            f"The others wait for the next turn: this one asks for {CALLS} answers, or for what --budget-usd allows."
        )
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
        done = "went back to the router before" if turn["event"] == "rollback" else "promoted the challenger"
        out.print(f"Learning {done}. {RELOAD}")
    if turn["challenger"]:
        out.print(f"New challenger: {turn['challenger']}.")
