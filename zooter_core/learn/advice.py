"""The recommendation below a report: the first one that applies, with its reason and command."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Literal

from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.strict_json import dump_json
from zooter_core.config.fleet import Fleet
from zooter_core.config.serve import AUTO_MODEL
from zooter_core.learn.changes import Change, day
from zooter_core.learn.report import Rule, TrafficReport
from zooter_core.learn.report_text import days, outlook, statements
from zooter_core.learn.traffic import HOUR, data_folder
from zooter_core.learn.versions import ROUTERS, Versions
from zooter_core.method.worth import FEWEST

SCORED = 'Give the fleet a [reward] that scores single answers (mode = "single" of a judge).'
COPY = "my-fleet"  # the name of a copy of the embedded fleet
PATIENT, SOON = 14, 7  # days; if the sample takes longer than PATIENT, recommend a larger share that takes SOON
Kind = Literal[
    "no traffic", "not routed", "no rewards", "fell", "not sampled", "few", "switched",
    "roll back", "far", "train", "alone", "probabilities", "more", "nothing",
]  # fmt: skip


@dataclass(frozen=True)
class Advice:
    """A recommendation: what to do, why, and by which command; "" if there is nothing to do."""

    kind: Kind
    sentence: str
    reason: str
    command: str

    def reason_beside(self, lines: Sequence[str]) -> str:
        """The reason without sentences that are already shown in `lines`."""
        reason = self.reason
        for line in lines:
            reason = reason.replace(line, "")
        return " ".join(reason.split())


@dataclass(frozen=True)
class Setup:
    """The facts about a fleet that recommendations depend on."""

    fleet: str = ""  # the fleet's folder; "" for the embedded fleet, which cannot be changed
    data: str = ""  # the folder of the traffic; "" if commands find it without an option
    trained: bool = True  # whether the fleet has a trained router instead of a starting router
    learned: float = 0.0  # when `zooter learn` switched to the fleet's router; 0 if the router has another origin
    guarded: bool = False  # whether the previous router can be restored
    rewards: bool = True  # whether the reward model scores single answers

    @classmethod
    def of(cls, fleet: Fleet, data: Path) -> Setup:
        """The setup of a fleet whose traffic is in a folder."""
        is_own = fleet.folder.resolve() != EMBEDDED_FLEET.resolve()
        path = Path(fleet.router.path).resolve() if fleet.router else None
        learned = path is not None and path.is_relative_to((fleet.folder / ROUTERS).resolve())
        versions = Versions(fleet) if learned else None
        return cls(
            str(fleet.folder) if is_own else "",
            "" if is_own and data.resolve() == data_folder(fleet).resolve() else str(data),
            path is not None,
            max((switch.time for switch in versions.state.events), default=0.0) if versions else 0.0,
            versions is not None and versions.rollback_target() is not None,
            fleet.reward is not None and not fleet.reward.compares,
        )

    def command(self, name: str, options: str = "", data: bool = False) -> str:
        """A Zooter command with options for this fleet and, if `data` is true, for the folder of the traffic."""
        fleet = f" --fleet {quote(self.fleet)}" if self.fleet else ""
        folder = f" --data {quote(self.data)}" if data and self.data else ""
        return f"zooter {name}{fleet}{folder}{options}"

    def learn(self, options: str = "") -> str:
        """The command `zooter learn`, after a command that copies the fleet if it is the embedded one."""
        if self.fleet:
            return self.command("learn", options, data=True)
        learn = Setup(COPY, self.data).command("learn", options, data=True)
        return f"cp -r {quote(str(EMBEDDED_FLEET))} {COPY} && {learn}"


def advise(report: TrafficReport, setup: Setup) -> Advice:
    """The most important recommendation for a period."""
    if first := _advise_on_data(report, setup):
        return first
    if (best := report.best) is None:
        reason = f"{report.sampled} of {FEWEST} requests are sampled. {outlook(report)}"
        return Advice("few", "Sample more.", reason, setup.learn(_larger_share(report, FEWEST - report.sampled)))
    return _advise_on_router(report, best, setup)


def _advise_on_data(report: TrafficReport, setup: Setup) -> Advice | None:
    """The advice if requests, rewards, working candidates or the sample are missing; None if nothing is missing."""
    if not report.requests:
        reason = f"No request came from {day(report.since)} to {day(report.until)}."
        if report.last:
            reason += (
                f" The last one was kept on {day(report.last)}: nobody asks, or the endpoint runs without --learn."
            )
        sentence = "Put clients in front of the endpoint, and let it keep its traffic."
        return Advice("no traffic", sentence, reason, setup.command("serve", " --learn", data=True))
    if not report.routed:
        reason = (
            f"The router chose for none of {report.requests:,} requests: clients name a model, or the requests are"
            " chores of chat UIs, or come from an old log."
        )
        return Advice("not routed", f"Let clients ask for the model `{AUTO_MODEL}`.", reason, _request(AUTO_MODEL))
    if not setup.rewards:
        reason = "Without one no answer has a reward, and nothing tells what routing is worth."
        edit = f"${{EDITOR:-vi}} {quote(str(Path(setup.fleet) / 'fleet.toml'))}"
        return Advice("no rewards", SCORED, reason, edit)
    if change := _warning(report, "reward"):
        sentence = f"See what has happened to {change.name}, and to its server."
        return Advice("fell", sentence, change.message, setup.command("check"))
    if not report.sampled:
        reason = f"No request has been answered by every model yet. {outlook(report)}"
        return Advice("not sampled", "Let `zooter learn` run beside the endpoint.", reason, setup.learn())
    return None


def _advise_on_router(report: TrafficReport, best: Rule, setup: Setup) -> Advice:
    """The advice on whether routing earns more than a single model and, if it does, on improvements."""
    worth = statements(report)[0]
    gains = best.gain.significant and best.gain.mean > 0
    loses = best.gain.significant and best.gain.mean < 0
    if setup.learned > report.since and not gains:
        sentence = "Judge the new router by its own requests."
        reason = f"It has served since {day(setup.learned)}, and these figures are of the one before it, too."
        since = f" --since {max(int((report.until - setup.learned) / HOUR), 1)}h"
        return Advice("switched", sentence, reason, setup.command("report", since, data=True))
    if setup.guarded and loses:
        return Advice("roll back", "Go back to the router before.", worth, setup.command("learn rollback"))
    if change := _warning(report, "far"):
        return Advice("far", "Let the router learn from your own requests.", change.message, setup.learn())
    if not setup.trained and not gains:
        reason = f"A starting router chooses, which has seen no answer of these models. {worth}"
        return Advice("train", "Train a router.", reason, setup.command("exam"))
    if loses or (not gains and best.cost.low > 1):
        unless = ", unless the lower cost matters more" if best.cost.high < 1 else ""
        return Advice("alone", f"Use {best.name} alone{unless}.", worth, _request(best.name))
    if change := _warning(report, "calibration"):
        sentence = "Let the learner make a router whose probabilities hold."
        return Advice("probabilities", sentence, change.message, setup.learn())
    if outlook(report) and not best.cost.high < 1:  # NaN without prices
        left = (best.gain.needed(abs(best.gain.mean)) or 0) - best.gain.n
        return Advice("more", "Sample more.", f"{worth} {outlook(report)}", setup.learn(_larger_share(report, left)))
    return Advice("nothing", "There is nothing to do.", worth, "")


def _warning(report: TrafficReport, kind: str) -> Change | None:
    return next((change for change in report.changes if change.kind == kind), None)


def _larger_share(report: TrafficReport, left: float) -> str:
    """The option for a larger sample, if `left` more requests would otherwise take too long."""
    if days(left, report.a_day, report.share) <= PATIENT or not report.a_day:
        return ""
    share = min(math.ceil(100 * left / (report.a_day * SOON)) / 100, 1.0)
    return f" --share {share:g}" if share > report.share else ""


def _request(model: str) -> str:
    """A command that sends a request for a model to the endpoint at its default address."""
    body = dump_json({"model": model, "messages": [{"role": "user", "content": "Hello"}]}, ensure_ascii=False)
    return f"curl http://127.0.0.1:8400/v1/chat/completions --json {quote(body)}"
