"""What to do after a report: one recommendation, the first that applies, with its reason and command."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import Literal

from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.strict_json import dump_json
from zooter_core.config.fleet import Fleet
from zooter_core.config.serve import AUTO
from zooter_core.learn.changes import Change, day
from zooter_core.learn.report import EVERYTHING, Rule, TrafficReport
from zooter_core.learn.report_text import days, outlook, statements
from zooter_core.learn.traffic import HOUR, data_folder
from zooter_core.learn.versions import ROUTERS, Versions
from zooter_core.method.worth import FEWEST

NEVER = 60  # routed requests; a model that none of them went to gets less than 5% (the rule of three: 3 / 60)
SCORED = 'Give the fleet a [reward] that scores single answers (mode = "single" of a judge).'
COPY = "my-fleet"  # of the embedded fleet
PATIENT, SOON = 14, 7  # days: a sample that takes longer than PATIENT gets a larger share, to take SOON


Kind = Literal[
    "no traffic", "not routed", "no rewards", "fell", "cut", "not sampled", "few", "judge", "switched",
    "roll back", "far", "train", "always one", "alone", "probabilities", "drop", "more", "nothing",
]  # fmt: skip


@dataclass(frozen=True)
class Advice:
    """A recommendation.

    Attributes:
        kind: names the recommendation.
        sentence: what to do.
        reason: why.
        command: how; "" if there is nothing to do.
    """

    kind: Kind
    sentence: str
    reason: str
    command: str

    def reason_beside(self, lines: Sequence[str]) -> str:
        """Why, without the sentences that stand beside it already."""
        reason = self.reason
        for line in lines:
            reason = reason.replace(line, "")
        return " ".join(reason.split())


@dataclass(frozen=True)
class Setup:
    """What the fleet has, as far as it matters here.

    Attributes:
        fleet: its folder; "" for the embedded fleet, which stays as it is.
        data: the folder of the traffic; "" where commands find it by themselves.
        trained: whether it has a router, and not a starting one.
        learned: when `zooter learn` switched to that one, which can be rolled back; 0 if it is another router.
        rewards: whether its reward model scores single answers.
        pool: its candidates.
    """

    fleet: str = ""
    data: str = ""
    trained: bool = True
    learned: float = 0.0
    rewards: bool = True
    pool: Sequence[str] = ()

    @classmethod
    def of(cls, fleet: Fleet, data: Path) -> Setup:
        """The setup of a fleet whose traffic is in a folder."""
        is_own = fleet.folder.resolve() != EMBEDDED_FLEET.resolve()
        path = Path(fleet.router.path).resolve() if fleet.router else None
        learned = path is not None and path.is_relative_to((fleet.folder / ROUTERS).resolve())
        return cls(
            str(fleet.folder) if is_own else "",
            "" if is_own and data.resolve() == data_folder(fleet).resolve() else str(data),
            path is not None,
            max((event["time"] for event in Versions(fleet).state.events), default=0.0) if learned else 0.0,
            fleet.reward is not None and not fleet.reward.compares,
            fleet.pool,
        )

    def command(self, name: str, options: str = "", data: bool = False) -> str:
        """A command of ours for this fleet.

        Args:
            data: whether it takes the folder of the traffic.
        """
        fleet = f" --fleet {quote(self.fleet)}" if self.fleet else ""
        folder = f" --data {quote(self.data)}" if data and self.data else ""
        return f"zooter {name}{fleet}{folder}{options}"

    def learn(self, options: str = "") -> str:
        """`zooter learn`, which needs a fleet of the user's own."""
        if self.fleet:
            return self.command("learn", options, data=True)
        learn = Setup(COPY, self.data).command("learn", options, data=True)
        return f"cp -r {quote(str(EMBEDDED_FLEET))} {COPY} && {learn}"

    def edit(self) -> str:
        """Opens fleet.toml, of a copy where it is that of the embedded fleet."""
        copy = "" if self.fleet else f"cp -r {quote(str(EMBEDDED_FLEET))} {COPY} && "
        return f"{copy}${{EDITOR:-vi}} {quote(str(Path(self.fleet or COPY) / 'fleet.toml'))}"


def advise(report: TrafficReport, setup: Setup) -> Advice:
    """The most important recommendation for a period."""
    if first := next(_advise_on_data(report, setup), None):
        return first
    best = report.best
    if best is None:
        reason = f"{report.sampled} of {FEWEST} requests are sampled. {outlook(report)}"
        return Advice("few", "Sample more.", reason, setup.learn(_larger_share(report, FEWEST - report.sampled)))
    return next(chain(_advise_on_router(report, best, setup), _advise_on_fleet(report, best, setup)))


def _advise_on_data(report: TrafficReport, setup: Setup) -> Iterator[Advice]:
    """What comes first: requests, rewards, candidates that work, and a sample."""
    if not report.requests:
        reason = f"No request came from {day(report.since)} to {day(report.until)}."
        if report.last:
            reason += (
                f" The last one was kept on {day(report.last)}: nobody asks, or the endpoint runs without --learn."
            )
        sentence = "Put clients in front of the endpoint, and let it keep its traffic."
        yield Advice("no traffic", sentence, reason, setup.command("serve", " --learn", data=True))
    if not report.routed:
        reason = (
            f"For none of {report.requests:,} requests the router chose: clients name a model, or the requests are"
            " chores of chat UIs, or come from an old log."
        )
        yield Advice("not routed", f"Let clients ask for the model `{AUTO}`.", reason, _request(AUTO))
    if not setup.rewards:
        reason = "Without one no answer has a reward, and nothing tells what routing is worth."
        yield Advice("no rewards", SCORED, reason, setup.edit())
    if change := _warning(report, "reward"):
        sentence = f"See what has happened to {change.name}, and to its server."
        reason = f"Its mean reward fell from {change.before:.2f} to {change.after:.2f} about {day(change.since)}."
        yield Advice("fell", sentence, reason, setup.command("check"))
    for name, share in report.cut.items():
        sentence = (
            f"Give {name} more tokens to think: a larger max_tokens in the requests of clients, max_new_tokens in its"
            ' [[candidate]], or less thinking (thinking = "low").'
        )
        reason = f"{share:.0%} of its latest answers ended while it was thinking."
        yield Advice("cut", sentence, reason, setup.edit())
    if not report.sampled:
        reason = f"No request has been answered by every model yet. {outlook(report)}"
        yield Advice("not sampled", "Let `zooter learn` run beside the endpoint.", reason, setup.learn())


def _advise_on_router(report: TrafficReport, best: Rule, setup: Setup) -> Iterator[Advice]:
    """Whether the figures can be trusted, and whether routing earns more than one model alone."""
    worth, votes = statements(report)[0], report.agreement.get(EVERYTHING)
    gains = best.gain.significant and best.gain.mean > 0
    loses = best.gain.significant and best.gain.mean < 0
    if votes and votes.n >= FEWEST and not votes.low > 0.5:
        reason = (
            f"The rewards do not agree with people's votes: the answer that people liked has the higher one in"
            f" {votes.mean:.0%} of the pairs (95% CI {votes.low:.0%} to {votes.high:.0%}, {votes.n:,} votes), and"
            " chance in 50%."
        )
        yield Advice("judge", "Choose another [reward]; all other figures rest on it.", reason, setup.edit())
    if setup.learned > report.since and not gains:
        sentence = "Judge the new router by its own requests."
        reason = f"It has served since {day(setup.learned)}, and these figures are of the one before it, too."
        since = f" --since {max(int((report.until - setup.learned) / HOUR), 1)}h"
        yield Advice("switched", sentence, reason, setup.command("report", since, data=True))
    if setup.learned and loses:
        yield Advice("roll back", "Go back to the router before.", worth, setup.command("learn rollback"))
    if change := _warning(report, "far"):
        reason = (
            f"{change.after:.0%} of the newest requests are unlike what the router has learned from, where"
            f" {change.before:.0%} would be usual."
        )
        yield Advice("far", "Let the router learn from your own requests.", reason, setup.learn())
    if not setup.trained and not gains:
        reason = f"A starting router chooses, which has seen no answer of these models. {worth}"
        yield Advice("train", "Train a router.", reason, setup.command("exam"))
    (name, count), *others = report.answered().items()  # of those that may be chosen, the one with most is first
    if others and count >= NEVER and not any(n for _, n in others) and not loses:
        reason = f"It answered each of {count:,} requests that were routed, so there is nothing to route."
        yield Advice("always one", f"Use {name} alone.", reason, _request(name))
    if loses or (not gains and best.cost.low > 1):
        unless = ", unless the lower cost matters more" if best.cost.high < 1 else ""
        yield Advice("alone", f"Use {best.name} alone{unless}.", worth, _request(best.name))


def _advise_on_fleet(report: TrafficReport, best: Rule, setup: Setup) -> Iterator[Advice]:
    """What could be better where routing is worth something; the last one is that nothing could."""
    worth, counts = statements(report)[0], report.answered()
    if change := _warning(report, "calibration"):
        sentence = "Let the learner make a router whose probabilities hold."
        reason = (
            f"Its choices had a probability of {change.after:.0%} on average and were the best in {change.before:.0%}."
            " Routers of `zooter learn` are calibrated on the sample."
        )
        yield Advice("probabilities", sentence, reason, setup.learn())
    total = sum(counts.values())
    unused = [name for name, n in counts.items() if not n and name != best.name and name in setup.pool]
    if unused and setup.fleet and len(counts) > 2 and total >= NEVER:
        reason = f"It answered none of {total:,} requests that were routed, and another model is the best single one."
        yield Advice("drop", f"Remove {unused[0]} from the fleet.", reason, setup.edit())
    if outlook(report) and not best.cost.high < 1:  # it is NaN without prices
        left = (best.gain.needed(abs(best.gain.mean)) or 0) - best.gain.n
        yield Advice("more", "Sample more.", f"{worth} {outlook(report)}", setup.learn(_larger_share(report, left)))
    yield Advice("nothing", "There is nothing to do.", worth, "")


def _warning(report: TrafficReport, kind: str) -> Change | None:
    return next((change for change in report.changes if change.kind == kind), None)


def _larger_share(report: TrafficReport, left: float) -> str:
    """The option for a larger sample, where so many more requests of it take too long."""
    if days(left, report.a_day, report.share) <= PATIENT or not report.a_day:
        return ""
    share = min(math.ceil(100 * left / (report.a_day * SOON)) / 100, 1.0)
    return f" --share {share:g}" if share > report.share else ""


def _request(model: str) -> str:
    """A request for a model of the endpoint, at its usual address."""
    body = dump_json({"model": model, "messages": [{"role": "user", "content": "Hello"}]}, ensure_ascii=False)
    return f"curl http://127.0.0.1:8400/v1/chat/completions --json {quote(body)}"
