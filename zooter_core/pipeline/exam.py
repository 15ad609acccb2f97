"""The exam: a fleet's candidates answer the starter set, and a router is trained on what the answers are worth.

It is the ordinary pipeline in an ordinary run folder inside the fleet's, so that it resumes like any run. The queries
are this project's own, in sixteen skills; nearly half have a known answer, and rewards are verified there. At the end
router and report move into the fleet's folder, and its fleet.toml names the router.
"""

from __future__ import annotations

import filecmp
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zooter_core import pipeline
from zooter_core.backends import Request, iter_responses
from zooter_core.base.errors import Failure, ZooterError
from zooter_core.base.files import atomic, locked, remove, writing
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.records import Message, Query, Response
from zooter_core.base.strict_json import parse_json
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.edit import set_router, set_table
from zooter_core.config.fleet import Fleet, GenerationConfig, load_fleet
from zooter_core.config.labelling import ENCODER, JudgeConfig
from zooter_core.data.run_folder import LOCK, REPORT, ROUTER, STATE, STEPS
from zooter_core.data.runs import Run, find_runs
from zooter_core.evaluation.figures import Report
from zooter_core.evaluation.verified import check_verifiable
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.machine import gpus
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline.batches import Progress, quiet
from zooter_core.pipeline.collect import Collecting, failed, start_settings
from zooter_core.pipeline.plan import Plan, check
from zooter_core.pipeline.tally import Tally
from zooter_core.router.kinds import PROFILE, settings_of

LONGEST = 256  # tokens of an answer: enough for every query of the set
MEAN_TOKENS = 120  # of an answer to the starter set, for the estimate
DESPITE_FAILURES = Collecting(allow_missing=True)
LABELS = LabelConfig()
DEFAULTS = {"reward": {"kind": "embedded"}, "tagger": {"kind": "skills"}}


@dataclass(frozen=True)
class Estimate:
    """What an exam will take. `cost` is for people; see `cost_of`."""

    answers: int
    seconds: float
    cost: str


def answerable(queries: Sequence[Query], tell: Callable[[str], None] = lambda note: None) -> list[Query]:
    """The queries, without keys that nothing here can check: unit tests without a sandbox, forms without a library.

    Args:
        tell: called with a note on what is left out and why.
    """
    kinds: dict[str, ZooterError | None] = {}
    checked = []
    for query in queries:
        kind = "+".join(sorted({*(query.key or ()), *((query.key or {}).get("check") or ())}))
        if query.key and kind not in kinds:
            kinds[kind] = None
            try:
                check_verifiable([query.key])
            except ZooterError as problem:
                kinds[kind] = problem
                tell(f"Answers are not checked for {kind}: {problem}")
        checked.append(replace(query, key=None) if kinds.get(kind) else query)
    return checked


def folder_of(fleet: Path, quick: bool) -> Path:
    """The run folder of a fleet's exam."""
    return fleet / ("exam-quick" if quick else "exam")


def discard(folder: Path) -> None:
    """Delete an exam with its answers, if there is one.

    Raises:
        ZooterError: another process is at work in it.
    """
    if folder.is_dir():
        with writing(folder), locked(folder / LOCK, f"the exam in {folder}"):
            remove(folder)


def prepared(folder: Path) -> Fleet:
    """The fleet in a folder, with a reward model and a tagger; fleet.toml gets what it lacks of them.

    Raises:
        ZooterError: fleet.toml is no fleet, it has one candidate only, it is the embedded one, or it cannot be written.
    """
    if folder.resolve() == EMBEDDED_FLEET.resolve():
        step = "It has a router. Run `zooter init` for a fleet of your own models."
        raise ZooterError("a fleet of your own", "the embedded one", step)
    fleet = load_fleet(folder)
    if len(fleet.pool) < 2:
        raise ZooterError("two candidates or more to choose from", "one", "Add more with `zooter init`.")
    missing = [table for table in DEFAULTS if getattr(fleet, table) is None]
    for table in missing:
        set_table(folder, table, DEFAULTS[table])
    return load_fleet(folder) if missing else fleet


def estimate(ensemble: Ensemble, queries: Sequence[Query], generation: GenerationConfig) -> Estimate:
    """What the answers will take, from one short answer of each candidate.

    Candidates behind servers work at the same time, each on `parallel` answers; those in memory take turns, and servers
    on a machine without a GPU share its processors. One that does not answer counts for nothing: the exam will say so.
    """
    seconds: dict[str, float] = {}
    for candidate in ensemble.fleet.candidates:
        messages = (Message("user", "Name three fruits."),)
        short = replace(generation, max_new_tokens=24)
        pieces = ensemble.run_candidate(candidate.name, [Request(candidate, messages)], threading.Event(), short)
        ((_, response),) = iter_responses(pieces)
        at_once = min(candidate.endpoint.parallel, 8) if candidate.endpoint else 1
        seconds[candidate.name] = _seconds_of(response) * len(queries) / at_once
    here = not gpus()
    apart = {c.name for c in ensemble.fleet.candidates if c.endpoint and not (c.endpoint.local and here)}
    together = [seconds[name] for name in apart]
    in_turn = sum(taken for name, taken in seconds.items() if name not in apart)
    cost = cost_of(ensemble.fleet, len(queries))
    return Estimate(len(queries) * len(ensemble.fleet.pool), max([in_turn, *together]), cost)


def cost_of(fleet: Fleet, queries: int) -> str:
    """What the answers to so many queries cost, for people, and what that leaves out; empty if all of it is free."""
    prices = [one.usd_per_million_tokens for one in fleet.candidates if _is_hosted(one)]
    if None in prices:
        return "at a cost that fleet.toml does not say"
    judges = fleet.reward.judges if isinstance(fleet.reward, JudgeConfig) else ()
    total = sum(price or 0 for price in prices) * queries * MEAN_TOKENS / 1e6
    if any(map(_is_hosted, judges)):
        return f"${total:.2f} without the prompts and the judges"
    return f"${total:.2f} without the prompts" if total else ""


def _is_hosted(candidate: CandidateConfig) -> bool:
    return candidate.endpoint is not None and not candidate.endpoint.local


def _seconds_of(response: Response) -> float:
    """How long an answer of usual length takes, by a short one."""
    if response.error is not None and not response.text:
        return 0.0
    speed = response.tokens_per_second or MEAN_TOKENS
    return (response.first_token_seconds or 0.0) + MEAN_TOKENS / speed


def sit(
    ensemble: Ensemble,
    folder: Path,
    queries: Sequence[Query],
    progress: Progress = quiet,
    tell: Callable[[str], None] = lambda note: None,
    how: Collecting = DESPITE_FAILURES,
    watch: Callable[[Sequence[Tally]], None] = lambda tallies: None,
) -> tuple[Report, Mapping[str, Failure]]:
    """Let the candidates answer, and train a router. A call after a stop goes on; one with new candidates asks those.

    Returns:
        the report, and why candidates lack answers, if any do.

    Raises:
        ZooterError: the questions or a candidate differ from those of the exam, or a part of the fleet does not work.
        WorkError: no two candidates answer.
    """
    fleet = ensemble.fleet
    training = replace(settings_of(PROFILE), keep_texts=True)
    generation = replace(fleet.generation, max_new_tokens=min(LONGEST, fleet.generation.max_new_tokens), seed=0)
    with Run(folder, create=True) as run:
        settings = start_settings(ensemble, queries)
        if run.state["steps"].get("start", settings)["queries_sha256"] != settings["queries_sha256"]:
            sentence = f"The exam in {folder} began with other questions."
            raise ZooterError("the questions of the exam", "others", f"Delete {folder} to begin again.", sentence)
        check(run, Plan(STEPS, queries, generation, 1, LABELS, ENCODER, training), ensemble)
        pipeline.start(run, ensemble, queries)
        missing = pipeline.collect(run, ensemble, generation, progress, 1, tell, how, watch)
        if missing and len({name for texts in run.responses().values() for name in texts}) < 2:
            raise failed(missing)
        holes = bool(missing)
        pipeline.score(run, ensemble, progress, None, holes)
        pipeline.tag(run, ensemble, progress, None)
        pipeline.label(run, LABELS, progress, holes)
        report = pipeline.distill_run(run, ensemble, ENCODER, training, progress, holes)
    return report, missing


def install(fleet: Path, run: Path) -> None:
    """Copy an exam's router and report into the fleet's folder, and name the router in its fleet.toml.

    The router that was there stays as router.old, also where this was killed in between and is called again.

    Raises:
        WorkError: the disk is full, or the folder cannot be written. The fleet is as it was.
    """
    place = fleet / ROUTER
    with writing(place):
        if not _same_folder(run / ROUTER, place):
            with atomic(place) as partial:
                shutil.copytree(run / ROUTER, partial)
                if place.exists():
                    with atomic(fleet / f"{ROUTER}.old") as old:
                        shutil.copytree(place, old)
        with atomic(fleet / REPORT) as partial:
            shutil.copyfile(run / REPORT, partial)
    set_router(fleet, ROUTER, parse_json((run / STATE).read_text(encoding="utf-8"))["steps"]["start"]["pool"])


def newcomers(fleet: Fleet, run: Path) -> Fleet:
    """A fleet with those candidates alone that its exam has not asked yet; all of them before it has begun."""
    answering = {name for one in find_runs(run)[:1] for name in one.candidates}
    return replace(fleet, candidates=tuple(one for one in fleet.candidates if one.name not in answering))


def has_all_answers(fleet: Fleet, run: Path) -> bool:
    """Whether every candidate of a fleet has answered every query of an exam that has begun."""
    return any("collect" in one.finished and {*fleet.pool} <= {*one.pool} for one in find_runs(run)[:1])


def is_installed(fleet: Fleet, run: Path) -> bool:
    """Whether a fleet routes by the router of an exam."""
    return fleet.router is not None and _same_folder(run / ROUTER, Path(fleet.router.path))


def _same_folder(one: Path, other: Path) -> bool:
    """Whether two folders, if both are there, have the same files with the same content."""
    names = [sorted(str(path.relative_to(place)) for path in place.rglob("*")) for place in (one, other)]
    files = [name for name in names[0] if (one / name).is_file()]
    return bool(files) and names[0] == names[1] and not any(filecmp.cmpfiles(one, other, files, shallow=False)[1:])
