"""What to do after a report: one recommendation, the most important of about a dozen, with its reason and command.

Each rule is a function of the report and of what the fleet has. The first that applies is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.strict_json import dump_json
from zooter_core.config.fleet import Fleet
from zooter_core.config.serve import AUTO
from zooter_core.learn.drift import Change, day
from zooter_core.learn.pace import days
from zooter_core.learn.report import EVERYTHING, Report, statements
from zooter_core.learn.traffic import data_folder
from zooter_core.learn.versions import ROUTERS
from zooter_core.method.worth import FEWEST

NEVER = 60  # routed requests; a model that none of them went to gets less than 5% (the rule of three: 3 / 60)
COPY = "my-fleet"  # of the embedded fleet
PATIENT, SOON = 14, 7  # days: a sample that takes longer than the first gets a share with which it takes the second


@dataclass(frozen=True)
class Advice:
    """A recommendation.

    Attributes:
        kind: the name of its rule.
        sentence: what to do.
        reason: why.
        command: how; "" if there is nothing to do.
    """

    kind: str
    sentence: str
    reason: str
    command: str


@dataclass(frozen=True)
class Setup:
    """What the fleet has, as far as it matters here.

    Attributes:
        fleet: its folder; "" for the embedded fleet, which stays as it is.
        data: the folder of the traffic; "" where commands find it by themselves.
        trained: whether it has a router, and not a starting one.
        learned: whether that one is a router of `zooter learn`, which can be rolled back.
        rewards: whether its reward model scores single answers.
    """

    fleet: str = ""
    data: str = ""
    trained: bool = True
    learned: bool = False
    rewards: bool = True

    @classmethod
    def of(cls, fleet: Fleet, data: Path) -> Setup:
        """The setup of a fleet whose traffic is in a folder."""
        is_own = fleet.folder.resolve() != EMBEDDED_FLEET.resolve()
        path = Path(fleet.router.path).resolve() if fleet.router else None
        return cls(
            str(fleet.folder) if is_own else "",
            "" if is_own and data.resolve() == data_folder(fleet).resolve() else str(data),
            path is not None,
            path is not None and path.is_relative_to((fleet.folder / ROUTERS).resolve()),
            fleet.reward is not None and not fleet.reward.compares,
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


Rule = Callable[[Report, Setup], Advice | None]


def advise(report: Report, setup: Setup) -> Advice:
    """The most important recommendation for a period."""
    return next(advice for rule in RULES if (advice := rule(report, setup)))


def _no_traffic(report: Report, setup: Setup) -> Advice | None:
    if report.requests:
        return None
    reason = f"No request came from {day(report.since)} to {day(report.until)}."
    if report.last:
        reason += f" The last one was kept on {day(report.last)}: nobody asks, or the endpoint runs without --learn."
    sentence = "Put clients in front of the endpoint, and let it keep its traffic."
    return Advice("no traffic", sentence, reason, setup.command("serve", " --learn", data=True))


def _not_routed(report: Report, setup: Setup) -> Advice | None:
    if report.routed:
        return None
    reason = (
        f"For none of {report.requests:,} requests the router chose: clients name a model, or the requests are chores"
        " of chat UIs, or come from an old log."
    )
    return Advice("not routed", f"Let clients ask for the model `{AUTO}`.", reason, _request(AUTO))


def _no_rewards(report: Report, setup: Setup) -> Advice | None:
    if setup.rewards:
        return None
    sentence = "Give the fleet a [reward] that scores single answers."
    reason = "Without one no answer has a reward, and nothing tells what routing is worth."
    return Advice("no rewards", sentence, reason, setup.edit())


def _fell(report: Report, setup: Setup) -> Advice | None:
    if not (change := _change(report, "reward")):
        return None
    sentence = f"See what has happened to {change.name}, and to its server."
    reason = f"Its mean reward fell from {change.before:.2f} to {change.after:.2f} about {day(change.since)}."
    return Advice("fell", sentence, reason, setup.command("check"))


def _cut(report: Report, setup: Setup) -> Advice | None:
    if not report.cut:
        return None
    name, share = next(iter(report.cut.items()))
    sentence = (
        f"Give {name} more tokens to think: a larger max_tokens in the requests of clients, max_new_tokens in its"
        ' [[candidate]], or less thinking (thinking = "low").'
    )
    reason = f"{share:.0%} of its latest answers ended while it was thinking."
    return Advice("cut", sentence, reason, setup.edit())


def _not_sampled(report: Report, setup: Setup) -> Advice | None:
    if report.sampled:
        return None
    reason = f"No request has been answered by every model yet. {report.outlook}"
    return Advice("not sampled", "Let `zooter learn` run beside the endpoint.", reason, setup.learn())


def _few(report: Report, setup: Setup) -> Advice | None:
    if report.best:
        return None
    reason = f"{report.sampled} of {FEWEST} requests are sampled. {report.outlook}"
    return Advice("few", "Sample more.", reason, setup.learn(_larger_share(report, FEWEST - report.sampled)))


def _judge(report: Report, setup: Setup) -> Advice | None:
    votes = report.agreement.get(EVERYTHING)
    if votes is None or votes.n < FEWEST or votes.low > 0.5:
        return None
    reason = (
        f"The rewards do not agree with people's votes: the answer that people liked has the higher one in"
        f" {votes.mean:.0%} of the pairs (95% CI {votes.low:.0%} to {votes.high:.0%}, {votes.n:,} votes), and chance in"
        " 50%."
    )
    return Advice("judge", "Choose another [reward]; all other figures rest on it.", reason, setup.edit())


def _roll_back(report: Report, setup: Setup) -> Advice | None:
    if not (setup.learned and _loses(report)):
        return None
    command = setup.command("learn rollback")
    return Advice("roll back", "Go back to the router before.", _worth(report), command)


def _far(report: Report, setup: Setup) -> Advice | None:
    if not (change := _change(report, "far")):
        return None
    reason = f"{change.after:.0%} of the newest requests are unlike what the router has learned from, where"
    reason = f"{reason} {change.before:.0%} would be usual."
    return Advice("far", "Let the router learn from your own requests.", reason, setup.learn())


def _train(report: Report, setup: Setup) -> Advice | None:
    if setup.trained or _gains(report):
        return None
    reason = f"A starting router chooses, which has seen no answer of these models. {_worth(report)}"
    return Advice("train", "Train a router.", reason, setup.command("exam"))


def _always_one(report: Report, setup: Setup) -> Advice | None:
    (name, count), *others = report.answered().items()  # of those that may be chosen, the one with most is first
    if not others or count < NEVER or any(n for _, n in others) or _loses(report):
        return None
    reason = f"The router chose it for each of {count:,} requests, so there is nothing to route."
    return Advice("always one", f"Use {name} alone.", reason, _request(name))


def _alone(report: Report, setup: Setup) -> Advice | None:
    best = report.best
    if best is None or _gains(report) or not (_loses(report) or best.cost.low > 1):
        return None
    unless = ", unless the lower cost matters more" if best.cost.high < 1 else ""
    return Advice("alone", f"Use {best.name} alone{unless}.", _worth(report), _request(best.name))


def _probabilities(report: Report, setup: Setup) -> Advice | None:
    if not (change := _change(report, "calibration")):
        return None
    reason = (
        f"Its choices had a probability of {change.after:.0%} on average and were the best in {change.before:.0%}."
        " Routers of `zooter learn` are calibrated on the sample."
    )
    return Advice("probabilities", "Let the learner make a router whose probabilities hold.", reason, setup.learn())


def _drop(report: Report, setup: Setup) -> Advice | None:
    best, counts = report.best, report.answered()
    unused = [name for name, count in counts.items() if not count and name != (best and best.name)]
    if not (unused and setup.fleet) or len(counts) < 3 or sum(counts.values()) < NEVER:
        return None
    reason = (
        f"The router chose it for none of {sum(counts.values()):,} requests, and another model is the best single one."
    )
    return Advice("drop", f"Remove {unused[0]} from the fleet.", reason, setup.edit())


def _more(report: Report, setup: Setup) -> Advice | None:
    best = report.best
    if best is None or not report.outlook or best.cost.high < 1:
        return None
    left = (best.gain.needed(abs(best.gain.mean)) or 0) - best.gain.n
    reason = f"{_worth(report)} {report.outlook}"
    return Advice("more", "Sample more.", reason, setup.learn(_larger_share(report, left)))


def _nothing(report: Report, setup: Setup) -> Advice:
    return Advice("nothing", "There is nothing to do.", _worth(report), "")


RULES: tuple[Rule, ...] = (
    _no_traffic,
    _not_routed,
    _no_rewards,
    _fell,
    _cut,
    _not_sampled,
    _few,
    _judge,
    _roll_back,
    _far,
    _train,
    _always_one,
    _alone,
    _probabilities,
    _drop,
    _more,
    _nothing,
)


def _change(report: Report, kind: str) -> Change | None:
    return next((change for change in report.changes if change.kind == kind), None)


def _gains(report: Report) -> bool:
    return report.best is not None and report.best.gain.significant and report.best.gain.mean > 0


def _loses(report: Report) -> bool:
    return report.best is not None and report.best.gain.significant and report.best.gain.mean < 0


def _worth(report: Report) -> str:
    """What routing was worth beside the best single model."""
    return statements(report)[0]


def _larger_share(report: Report, left: float) -> str:
    """The option for a larger sample, where so many more requests of it take too long."""
    if days(left, report.a_day, report.share) <= PATIENT or not report.a_day:
        return ""
    share = min(math.ceil(100 * left / (report.a_day * SOON)) / 100, 1.0)
    return f" --share {share:g}" if share > report.share else ""


def _request(model: str) -> str:
    """A request for a model of the endpoint, at its usual address."""
    body = dump_json({"model": model, "messages": [{"role": "user", "content": "Hello"}]}, ensure_ascii=False)
    return f"curl http://127.0.0.1:8400/v1/chat/completions --json {quote(body)}"
