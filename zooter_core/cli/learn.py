"""`zooter learn`: a better router from what the endpoint served, proved before it serves."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from zooter_core.base.errors import ZooterError
from zooter_core.base.sessions import lead_session, rank_session
from zooter_core.cli.consoles import err, out, print_figures, print_json, print_note
from zooter_core.cli.fleets import open_fleet
from zooter_core.cli.options import DataDir, Json, argument, check_unused, option
from zooter_core.config.fleet import Fleet, load_fleet

Action = Literal["run", "status", "promote", "rollback", "pause", "resume"]
WAIT_SECONDS = 60.0  # for a turn that is at work, before a switch by hand
OF_RUN = ("once", "every", "calls", "budget_usd", "processor", "share", "pairs", "manual", "proof")  # options
NICE = 19  # below the endpoint and whatever else users wait for


def learn(
    context: typer.Context,
    action: Annotated[Action, argument("ACTION", "run (default), status, promote, rollback, pause or resume.")] = "run",
    fleet: Annotated[Path | None, option("--fleet", "DIR", "Folder with the fleet.toml of your own fleet.")] = None,
    data: DataDir = None,
    once: Annotated[bool, option("--once", help="run: one turn instead of one every --every seconds.")] = False,
    every: Annotated[
        float, option("--every", "SECONDS", "run: seconds between the starts of two turns.", min=1)
    ] = 600.0,
    calls: Annotated[
        int,
        option("--calls", "N", "run: answers to ask for in a turn, at most; 0 asks for none.", min=0),
    ] = 500,
    budget_usd: Annotated[
        float | None, option("--budget-usd", "X", "run: US dollars for these answers in a turn, at most.", min=0)
    ] = None,
    processor: Annotated[
        float, option("--processor", "X", "run: share of the processor, all cores together, at most.", min=0)
    ] = 0.5,
    share: Annotated[float, option("--share", "X", "run: share of queries that every model answers.", min=0)] = 0.05,
    pairs: Annotated[
        float,
        option("--pairs", "X", "run: share that both models answer, of the queries where two routers differ.", min=0),
    ] = 0.5,
    manual: Annotated[bool, option("--manual", help="run: leave promotions to `zooter learn promote`.")] = False,
    proof: Annotated[bool, option("--proof", help="run: every router that serves must be proved.")] = False,
    json: Json = False,
) -> None:
    if action == "run":
        lead_session()  # the rank of `_stand_back` holds against an endpoint in another terminal too
    else:
        check_unused(context, f"with `zooter learn {action}`", *OF_RUN)
    parts = open_fleet(fleet)
    from zooter_core.learn.traffic import data_folder
    from zooter_core.learn.versions import Versions

    place = data or data_folder(parts.name)
    if action == "status":
        print_figures(_status(Versions(parts)), json, _print_status)
        return
    if action == "run":
        from zooter_core.learn.cycle import Settings
        from zooter_core.learn.deciding import Sampling
        from zooter_core.learn.pace import Pace

        _check_bounds(len(parts.pool), calls, budget_usd, processor, {"--share": share, "--pairs": pairs})
        sampling = Sampling(share, pairs) if calls else Sampling(0, 0)
        settings = Settings(sampling, manual=manual, proof_only=proof)
        limits = {"calls": calls, "dollars": budget_usd, "pace": Pace(processor)}
        _run(parts, place, settings, limits, None if once else every, json)
        return
    if action in ("promote", "rollback"):
        from zooter_core.learn.by_hand import switch

        serving = switch(parts, action, WAIT_SECONDS)
        err.print(f"fleet.toml names {_name(serving)} now. {RELOAD}")
    else:
        from zooter_core.learn.by_hand import lock_learner

        Versions(parts)  # refuses the embedded fleet before a lock is made in it
        with lock_learner(parts, WAIT_SECONDS):
            versions = Versions(load_fleet(parts.folder))
            versions.state.paused = action == "pause"
            versions.save()
        err.print(PAUSED if action == "pause" else "Resumed.")
    if json:
        print_json(_status(Versions(load_fleet(parts.folder))))


def _check_bounds(
    models: int, calls: int, budget_usd: float | None, processor: float, shares: dict[str, float]
) -> None:
    for name, part in shares.items():
        if part > 1:
            raise ZooterError(f"{name} between 0 and 1", f"{part:g}", "0.05 is every twentieth query.")
    if 0 < calls < models:
        few = f"{calls}, too few for one query that all {models} models answer"
        raise ZooterError(f"--calls of 0, or of {models} or more", few, "The default is 500.")
    if budget_usd == 0:
        raise ZooterError("--budget-usd above 0", "0", "To ask for no answers, use --calls 0.")
    if not 0 < processor <= 1:
        raise ZooterError("--processor above 0 and up to 1", f"{processor:g}", "0.5 is half of all cores.")


def _run(fleet: Fleet, data: Path, settings: Any, limits: dict[str, Any], every: float | None, json: bool) -> None:
    from zooter_core.fleet.ensemble import Ensemble
    from zooter_core.learn.by_hand import lock_learner
    from zooter_core.learn.cycle import Cycle
    from zooter_core.learn.judging import Budget
    from zooter_core.learn.traffic import Traffic
    from zooter_core.learn.versions import Versions

    Versions(fleet)
    stop = threading.Event()
    _stand_back()
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Traffic.open(data, create=False) as traffic:
        ensemble = Ensemble(fleet)
        while not stop.is_set():
            with lock_learner(fleet):  # for one turn, so that others may promote or pause between two
                if (again := load_fleet(fleet.folder)) != fleet:
                    fleet, ensemble = again, ensemble.renewed(again)
                    ensemble.retain()
                cycle = Cycle(Versions(fleet), ensemble, traffic, data, settings, print_note)
                turn = cycle.turn(Budget(**limits), stop)
            if cycle.versions.state.paused:
                err.print(PAUSED)
            print_figures(asdict(turn), json, _print_turn)
            if every is None or stop.wait(every):
                return


def _stand_back() -> None:
    """Leave the processor to the endpoint and whatever else users wait for."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of PyTorch: its threads take turns with those of an answer
    with suppress(OSError, AttributeError):
        os.nice(NICE)
        if os.getsid(0) == os.getpid():
            rank_session(os.getpid())


PAUSED = "Nothing is judged, learned or switched until `zooter learn resume`."
RELOAD = "An endpoint that keeps its traffic takes it by itself, others at SIGHUP or POST /admin/reload."


def _name(router: str | None) -> str:
    return "no router" if router is None else router or "no router (a starting one serves)"


def _status(versions: Any) -> dict[str, Any]:
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
        "events": state.events,
    }


def _print_status(figures: dict[str, Any]) -> None:
    out.print(f"Champion: {_name(figures['champion'])}.")
    if figures["follows"]:
        out.print("The learner's later routers serve too, while the guard agrees.")
    elif figures["challenger"] is None:
        out.print("There is no challenger yet.")
    else:
        mean = figures["mean"]
        shown = "" if mean is None else f"; it earned {mean:+.3f} more on average"
        out.print(f"Challenger: {figures['challenger']}, {figures['pairs']} pairs{shown}.")
    if figures["paused"]:
        out.print("Learning is paused.")
    for name, left in figures["newcomers"].items():
        out.print(f"{name} is new and has {left} stored queries to answer.")
    for event in figures["events"][-10:]:
        when = datetime.fromtimestamp(event["time"]).strftime("%Y-%m-%d %H:%M")
        out.print(f"{when} {event['event']}: {_name(event['before'])} -> {_name(event['router'])}")


def _print_turn(turn: dict[str, Any]) -> None:
    spent = f", ${turn['dollars']:.2f}" if turn["dollars"] else ""
    out.print(f"{turn['judged']} decisions judged, {turn['calls']} answers asked for{spent}.")
    if turn["waiting"]:
        out.print("The others wait for the next turn: the budget is spent.")
    for name, count in turn["failures"].items():
        out.print(f"{name} failed {count} times.")
    shown = turn["evidence"]
    if shown and shown["pairs"]:
        proved = ", proved" if shown["proved"] else ""
        out.print(f"{shown['pairs']} pairs, {shown['mean']:+.3f} on the latest ones{proved}.")
    if turn["challenger"]:
        what = "router, which serves already" if turn["follows"] else "challenger"
        out.print(f"New {what}: {turn['challenger']}.")
    if turn["event"]:
        done = "promoted the challenger" if turn["event"] == "promote" else "went back to the router before"
        out.print(f"Learning {done}. {RELOAD}")
