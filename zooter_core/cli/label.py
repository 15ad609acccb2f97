"""`zooter label`: the labels of a run, from its rewards and tags."""

from __future__ import annotations

from zooter_core.cli.consoles import bars
from zooter_core.cli.options import Beta, Holdout, Normalise, RunDir, Tau, labels_of, named
from zooter_core.data.runs import Run
from zooter_core.method.labels import LabelConfig


def label(
    run: RunDir, beta: Beta = None, tau: Tau = None, normalise: Normalise = None, holdout: Holdout = None
) -> None:
    from zooter_core import pipeline
    from zooter_core.pipeline.plan import Plan, check

    with Run(run) as folder, bars() as progress:
        labels = labels_of(LabelConfig(), named(beta=beta, tau=tau, normalise=normalise, holdout=holdout))
        check(folder, Plan(("label",), labels=labels))
        pipeline.label(folder, labels, progress)
