"""The options that several commands share, as types of their functions' parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from zooter_core.base.errors import MOST_NAMED, shortened
from zooter_core.base.files import impossible
from zooter_core.router.kinds import KINDS


def _path(text: str) -> Path:
    return Path(_reference(text))


def _reference(text: str) -> str:
    """A path, or the name of a model."""
    if not text:
        raise typer.BadParameter("the path is empty")
    if reason := impossible(text):
        raise typer.BadParameter(f"{shortened(text, MOST_NAMED)}: {reason}")
    return text


PARSERS = {"FILE": _path, "DIR": _path, "PATH": _path, "ID": _reference, "FILE|off": _reference}  # by metavar


def option(name: str, metavar: str | None = None, help: str | None = None, min: int | None = None) -> Any:
    """An option. The metavar says what its value is, and how it is checked."""
    return typer.Option(name, metavar=metavar, help=help, min=min, parser=PARSERS.get((metavar or "").rstrip(".")))


def argument(metavar: str, help: str | None = None) -> Any:
    return typer.Argument(metavar=metavar, help=help, parser=PARSERS.get(metavar))


FleetDir = Annotated[Path | None, option("--fleet", "DIR", "Folder with a fleet.toml (default: the embedded fleet).")]
RouterDir = Annotated[Path, option("--router", "DIR", "Folder of the router.")]
RunDir = Annotated[Path, option("--run", "DIR", "Folder of the run.")]
ScoreFiles = Annotated[list[Path], option("--scores", "FILE...", "Score files.")]
Strict = Annotated[bool, option("--strict", help="Refuse score files in which a line lacks a candidate's score.")]
Json = Annotated[bool, option("--json", help="Print one JSON document.")]
Query = Annotated[str, argument("QUERY")]
Temperature = Annotated[
    float | None, option("--temperature", "X", "Sampling temperature; 0 is greedy (default: the fleet's).")
]
MaxNewTokens = Annotated[
    int | None, option("--max-new-tokens", "N", "Longest response in tokens (default: the fleet's).")
]
Willingness = Annotated[
    float,
    option("--willingness", "X", "Choose by probability - X * price / highest price; 0 ignores prices."),
]
Samples = Annotated[
    int, option("--samples", "N", "Responses per candidate and query; the mean of their rewards counts.")
]
AllowMissing = Annotated[
    bool,
    option(
        "--allow-missing", help="Finish without a model that fails for good; the next start asks for what it lacks."
    ),
]
BudgetUsd = Annotated[
    float | None,
    option("--budget-usd", "X", "Budget in US dollars for answers of endpoints, over all starts of the run."),
]
Engine = Annotated[
    Literal["local", "ray"],
    option("--engine", help="Where models in memory, the reward model and the tagger run: here, or on a Ray cluster."),
]
Address = Annotated[
    str | None, option("--address", "HOST", "With --engine ray: the cluster (default: one on this machine).")
]
Gpus = Annotated[
    list[str] | None,
    option("--gpus", "NAME=SHARE...", "With --engine ray: GPUs of each actor of a model, such as math=0.5 reward=1."),
]
Beta = Annotated[
    float | None,
    option("--beta", "X", "Weight of the plain label (default: 0.3; for score files 0: tag priors alone)."),
]
Tau = Annotated[float | None, option("--tau", "X", "Softmax temperature of rewards (default: 1; for score files 0.3).")]
Normalise = Annotated[
    str | None,
    option(
        "--normalise",
        "NAME",
        "Normalisation of rewards: none (default), spread (default for score files), zscore, zscore-dataset.",
    ),
]
Holdout = Annotated[
    float | None,
    option("--holdout", "X", "Share of queries held back for evaluation (default: 0.2; for score files 0)."),
]
Seed = Annotated[int, option("--seed", "N", "Random seed.")]
TrainingSeed = Annotated[int | None, option("--seed", "N", "Random seed (default: 0; in a run, the fleet's).")]
TagSource = Literal["auto", "given", "clusters", "fleet", "none"]
Tagger = Annotated[
    TagSource,
    option(
        "--tagger",
        help="Source of tags: given in the file, clusters of similar queries, or the fleet's tagger. "
        "auto uses the file's tags where it has any, otherwise clusters.",
    ),
]
Epochs = Annotated[int | None, option("--epochs", "N", "Maximum number of passes over the queries (default: 8).")]
RouterKind = Annotated[
    str, option("--router-kind", "KIND", f"Kind of router: {', '.join(KINDS)}, or the name of a plug-in.")
]
RouterSettings = Annotated[
    list[str] | None, option("--router-set", "NAME=NUMBER...", "Settings of that kind, such as k=50.")
]
FinetunedPart = Literal["none", "last", "all"]
Finetune = Annotated[
    FinetunedPart,
    option(
        "--finetune",
        help="Part of the encoder to train too: nothing (seconds), the last layer, or all of it (needs a GPU).",
    ),
]
KeepTexts = Annotated[
    bool, option("--keep-texts", help="Keep the text of the queries in the router's folder, to explain choices.")
]
