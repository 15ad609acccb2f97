"""The exam: a fleet's candidates answer the starter set, and a router is trained on the rewards of their answers.

It is the usual pipeline in a run folder inside the fleet's folder, so that it resumes like any run. The queries were
written for this project and cover sixteen skills. Nearly half of them have an answer key, by which rewards are
verified. If the router is better than the fleet's router, it is copied with its report into the fleet's folder, and
entered in fleet.toml.
"""

from __future__ import annotations

import filecmp
import shutil
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from zooter_core import pipeline
from zooter_core.backends import Request, iter_responses
from zooter_core.base.errors import Failure, ZooterError
from zooter_core.base.files import atomic, inside, locked, remove, writing
from zooter_core.base.money import in_dollars
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.progress import Progress, Tell, quiet, silent
from zooter_core.base.records import Message, Query
from zooter_core.base.strict_json import dump_json
from zooter_core.config.edit import set_router, set_table
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.config.labelling import ENCODER, JudgeConfig
from zooter_core.data.prices import runs_here
from zooter_core.data.run_folder import LOCK, REPORT, ROUTER, STEPS
from zooter_core.data.runs import Run, read_run
from zooter_core.evaluation import verdicts
from zooter_core.evaluation.figures import Report, Verdict, load_report, load_verdict, to_json
from zooter_core.evaluation.verified import check_verifiable
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.machine import gpus
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline.collect import Collecting, failed, start_settings
from zooter_core.pipeline.plan import Plan, check
from zooter_core.pipeline.train import fair_choices
from zooter_core.router.kinds import PROFILE, configure
from zooter_core.router.neighbours import familiar_rows

MEAN_TOKENS = 120  # assumed length of an answer to the starter set
DESPITE_FAILURES = Collecting(allow_missing=True)
LABELS, TRAINING = LabelConfig(), replace(configure(PROFILE), keep_texts=True)
RIVAL = "rival.json"  # in the exam's folder: the verdict on its router against the fleet's previous one
INSTALLED = (ROUTER, REPORT, f"{ROUTER}.old")  # what an exam writes into the fleet's folder
DEFAULTS = {"reward": {"kind": "embedded"}, "tagger": {"kind": "skills"}}


def answerable(queries: Sequence[Query], tell: Tell = silent) -> list[Query]:
    """The queries, without keys that need a sandbox or a library which this system lacks.
    `tell` is called with a note on what is left out and why."""
    kinds: dict[str, ZooterError | None] = {}
    checked = []
    for query in queries:
        fields = (query.key or {}).items()
        parts = sorted(part for field, value in fields for part in ((field,) if field == "tests" else value))
        kind = " and ".join(f"`{part}`" for part in parts)
        if query.key and kind not in kinds:
            kinds[kind] = None
            try:
                check_verifiable([query.key])
            except ZooterError as problem:
                kinds[kind] = problem
                tell(f"Answer keys with {kind} are left out. {problem}")
        checked.append(replace(query, key=None) if kinds.get(kind) else query)
    return checked


def exam_folder(fleet: Path, quick: bool) -> Path:
    return fleet / ("exam-quick" if quick else "exam")


def discard(folder: Path) -> None:
    """Delete an exam with its answers, if there is one.

    Raises:
        ZooterError: another process is using the folder, or it is a link.
    """
    if inside(folder.parent, folder.name).is_dir():
        with writing(folder), locked(folder / LOCK, f"the exam in {folder}"):
            remove(folder)


def prepare_fleet(folder: Path) -> Fleet:
    """The fleet in a folder, with a reward model and a tagger, which are added to fleet.toml if they are missing.

    Raises:
        ZooterError: fleet.toml is not a valid fleet or cannot be written, the fleet has only one candidate or is the
            embedded one, or one of the files that an exam writes is a link.
    """
    if folder.resolve() == EMBEDDED_FLEET.resolve():
        step = "It has a router. Run `zooter init` for a fleet of your own models."
        raise ZooterError("a fleet of your own", "the embedded one", step)
    fleet = load_fleet(folder)
    for name in INSTALLED:  # checked before the first paid request
        inside(folder, name)
    if len(fleet.pool) < 2:
        raise ZooterError("two candidates or more to choose from", "one", "Add more with `zooter init`.")
    missing = [table for table in DEFAULTS if getattr(fleet, table) is None]
    for table in missing:
        set_table(folder, table, DEFAULTS[table])
    return load_fleet(folder) if missing else fleet


def estimate_seconds(ensemble: Ensemble, queries: int) -> float:
    """The estimated time in seconds for the answers to this many queries, from one short answer of each candidate.

    Candidates behind servers work in parallel, each on `parallel` answers at the same time. Models in memory take
    turns, as do servers on this machine if it has no GPU. Candidates that do not answer are ignored; the exam reports
    them.
    """
    in_turn, longest = 0.0, 0.0
    here, short = not gpus(), replace(ensemble.fleet.generation, max_new_tokens=24)
    for candidate in ensemble.fleet.candidates:
        request = Request(candidate, (Message("user", "Name three fruits."),))
        ((_, response),) = iter_responses(ensemble.run_candidate(candidate.name, [request], threading.Event(), short))
        if response.error is not None and not response.text:
            continue
        server, speed = candidate.endpoint, response.tokens_per_second or MEAN_TOKENS
        usual = (response.first_token_seconds or 0.0) + MEAN_TOKENS / speed  # per answer
        seconds = usual * queries / (min(server.parallel, 8) if server else 1)
        if server and not (server.local and here):
            longest = max(longest, seconds)
        else:
            in_turn += seconds
    return max(in_turn, longest)


def describe_cost(fleet: Fleet, queries: int) -> str:
    """A phrase with the cost of the answers to this many queries, and what it does not include; "" if all are free."""
    prices = [one.usd_per_million_tokens for one in fleet.candidates if not runs_here(one)]
    if None in prices:
        return "at a cost that fleet.toml does not say"
    judges = fleet.reward.judges if isinstance(fleet.reward, JudgeConfig) else ()
    total = sum(price or 0 for price in prices) * queries * MEAN_TOKENS / 1e6
    if not all(map(runs_here, judges)):
        return f"${in_dollars(total)} without the prompts and the judges"
    return f"${in_dollars(total)} without the prompts" if total else ""


def sit(
    ensemble: Ensemble,
    folder: Path,
    queries: Sequence[Query],
    progress: Progress = quiet,
    how: Collecting = DESPITE_FAILURES,
) -> tuple[Report, Mapping[str, Failure]]:
    """Let the candidates answer, and train a router. After a stop, another call continues; new candidates answer too.

    Returns:
        The report, and the reasons why candidates lack answers, if any do.

    Raises:
        ZooterError: the queries or a candidate differ from those of the exam, or a part of the fleet does not work.
        WorkError: fewer than two candidates answer.
    """
    fleet = ensemble.fleet
    generation = replace(fleet.generation, seed=0)
    with Run(inside(folder.parent, folder.name), create=True) as run:
        settings = start_settings(ensemble, queries)
        if run.state["steps"].get("start", settings)["queries_sha256"] != settings["queries_sha256"]:
            sentence = f"The exam in {folder} began with other questions."
            raise ZooterError.saying(sentence, f"Delete {folder} to begin again.")
        check(run, Plan(STEPS, queries, generation, 1, LABELS, ENCODER, TRAINING), ensemble)
        pipeline.start(run, ensemble, queries)
        missing = pipeline.collect(run, ensemble, generation, progress, how=how)
        if missing and len({name for texts in run.responses().values() for name in texts}) < 2:
            raise failed(missing)
        pipeline.score(run, ensemble, progress)
        pipeline.tag(run, ensemble, progress)
        pipeline.label(run, LABELS, progress)
        report = pipeline.distill_run(run, ensemble, ENCODER, TRAINING, progress)
    return report, missing


def settle(fleet: Path, run: Path, ensemble: Ensemble, anyway: bool = False) -> bool:
    """Install the router of a finished exam in the fleet if it is better than the fleet's (`verdicts.takes_over`).

    Another call has the same result: a router that is already installed stays. `load_rival` reads the figures of the
    comparison. The backends of the ensemble are shared.

    Args:
        anyway: install the router even if it is not better.

    Returns:
        Whether the fleet has the new router now.

    Raises:
        ZooterError, WorkError: as in `install`.
    """
    parts = load_fleet(fleet)
    taken = is_installed(parts, run)
    if not taken:
        with Run(run) as opened:
            rival = _rival(opened, Ensemble(parts, ensemble.backends))
        with writing(run), atomic(run / RIVAL) as partial:
            partial.write_text(dump_json(to_json(rival)) + "\n", encoding="utf-8")
        taken = anyway or verdicts.takes_over(load_report(run / REPORT), rival)
    if taken:
        install(fleet, run)
    return taken


def load_rival(run: Path) -> Verdict | None:
    """The verdict on an exam's router against the fleet's previous one; None if there is no verdict or no router."""
    with suppress(ZooterError):
        return load_verdict(run / RIVAL)
    return None


def _rival(run: Run, ensemble: Ensemble) -> Verdict | None:
    """The verdict on the exam's router against the fleet's, on the queries that neither of them has learned from.

    A starting router has not learned from any queries. None if the fleet's router does not work.
    """
    fleet = ensemble.fleet
    scores, earned, folds = fair_choices(run, ensemble, ENCODER, TRAINING)
    try:
        router = ensemble.router
        probabilities = router.probabilities_all([query.text for query in scores.queries])
    except ZooterError:
        return None
    probabilities = probabilities[:, [router.candidates.index(name) for name in fleet.pool]]
    columns = [scores.candidates.index(name) if name in scores.candidates else -1 for name in fleet.pool]
    picks = np.array(columns)[probabilities.argmax(axis=1)]
    other = np.where(picks < 0, np.nan, scores.scores[np.arange(len(picks)), picks])
    if fleet.router and (familiar := familiar_rows(scores.queries, Path(fleet.router.path))) is not None:
        other[familiar] = np.nan
    against = verdicts.STARTING if router.note else verdicts.PRESENT
    return verdicts.reach_verdict(scores, earned, other, against, "judged", folds=folds, corrected=True)


def install(fleet: Path, run: Path) -> None:
    """Copy an exam's router and report into the fleet's folder, and enter the router in its fleet.toml.

    The previous router is kept as router.old, even if this function is killed and called again.

    Raises:
        ZooterError: one of these files is a link.
        WorkError: the disk is full, or the folder cannot be written. The fleet is unchanged.
    """
    place, report, old_place = (inside(fleet, name) for name in INSTALLED)
    with Run(run) as opened:
        pool = opened.pool
    with writing(place):
        if not _same_folder(run / ROUTER, place):
            with atomic(place) as partial:
                shutil.copytree(run / ROUTER, partial)
                if place.exists():
                    with atomic(old_place) as old:
                        shutil.copytree(place, old, symlinks=True)
        with atomic(report) as partial:
            shutil.copyfile(run / REPORT, partial)
    set_router(fleet, ROUTER, pool)


def newcomers(fleet: Fleet, run: Path) -> Fleet:
    """The fleet with only those candidates that its exam has not asked yet; before the exam, with all candidates."""
    begun = read_run(run)
    answering = begun.candidates if begun else ()
    return replace(fleet, candidates=tuple(one for one in fleet.candidates if one.name not in answering))


def has_all_answers(fleet: Fleet, run: Path) -> bool:
    """Whether an exam has begun and every candidate of the fleet has answered all its queries."""
    begun = read_run(run)
    return begun is not None and "collect" in begun.finished and set(fleet.pool) <= set(begun.pool)


def is_installed(fleet: Fleet, run: Path) -> bool:
    return fleet.router is not None and _same_folder(run / ROUTER, Path(fleet.router.path))


def _same_folder(one: Path, other: Path) -> bool:
    """Whether two folders exist and have the same files with the same contents."""
    names = [sorted(str(path.relative_to(place)) for path in place.rglob("*")) for place in (one, other)]
    files = [name for name in names[0] if (one / name).is_file()]
    return bool(files) and names[0] == names[1] and not any(filecmp.cmpfiles(one, other, files, shallow=False)[1:])
