"""`zooter`: the command line. Results go to stdout, progress and errors to stderr; heavy imports wait for a command."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from zooter_core import __version__
from zooter_core.cli import COMMANDS, arguments
from zooter_core.data.formats import KINDS as FORMATS
from zooter_core.errors import FIX_PERMISSIONS, MOST_FOUND, MOST_NAMED, ZooterError, shortened
from zooter_core.files import impossible
from zooter_core.plugins import load_kind
from zooter_core.router.kinds import DEFAULT, KINDS
from zooter_core.terminal import guarded

FLEET = "models/embedded"
NORMALISATIONS = "zscore, zscore-dataset"
PATHS = ("FILE", "DIR", "PATH", "ID")  # metavars of options that are paths, or may be


class CallError(ZooterError):
    """A command line that cannot be read."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ZooterErrors, so that all errors look alike."""

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """As argparse has it; but no option takes an empty text, and no path is one that no system has."""
        takes_text = options.get("action", "store") in ("store", "extend") and "type" not in options
        if options.get("metavar") in PATHS:
            options["type"] = _path
        elif takes_text and names[0].startswith("-"):
            options["type"] = _filled
        return super().add_argument(*names, **options)

    def error(self, message: str) -> None:  # type: ignore[override]
        raise CallError(f"a valid call of {self.prog}", message, f"Try `{self.prog} --help`.")


def _filled(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("an empty text")
    return text


def _path(text: str) -> str:
    if why := impossible(_filled(text)):
        raise argparse.ArgumentTypeError(f"{shortened(text, MOST_NAMED)}: {why}")
    return text


def build() -> Parser:
    """The whole command line; each command names a function of zooter_core.cli."""
    parser = Parser(prog="zooter", description="One front door to several language models.")
    parser.add_argument("--version", action="version", version=f"zooter {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser, required=True)

    def command(name: str, about: str, fleet: bool = True) -> Parser:
        made: Parser = commands.add_parser(name, help=about, description=about)
        made.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        if fleet:
            made.add_argument("--fleet", metavar="DIR", help=f"a folder with fleet.toml (default: {FLEET})")
        return made

    one = command("demo", "open the web demo")
    one.add_argument("--port", type=int, default=8501)
    one.add_argument("--address", metavar="ADDRESS", help="what to bind, as in 0.0.0.0 (default: localhost alone)")
    one.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further host name under which browsers reach the demo; may be repeated",
    )
    one.add_argument(
        "--embed-from",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a site that may show the demo in a frame, as in https://www.example.org; may be repeated",
    )
    one.add_argument("--no-browser", action="store_true", help="do not open a browser")
    one.add_argument("--history", metavar="FILE", help="where conversations are kept on this machine; off: nowhere")

    one = command("ask", "route a query and stream the answer")
    one.add_argument("query")
    one.add_argument("--candidate", help="ask this candidate instead of the router's choice")
    arguments.willingness(one)
    arguments.generation(one)

    one = command("route", "probabilities, tags and choice for a query, or for each line of stdin with -")
    one.add_argument("query", help="a query, or - to read lines or JSON lines from stdin")
    arguments.willingness(one)
    one.add_argument("--why", action="store_true", help="also which words, tags and like queries speak for the choice")
    one.add_argument("--json", action="store_true")

    one = command("compare", "every candidate's response, ranked by reward")
    one.add_argument("query")
    one.add_argument("--json", action="store_true")
    arguments.generation(one)

    one = command("check", "can each candidate, the reward model, tagger and router answer, and how fast")
    one.add_argument("--json", action="store_true")

    one = command("queries", "a queries file to train on: sources mixed, without repeats, diverse in tags")
    _queries(one)

    one = command("run", "the whole pipeline: collect, score, tag, label, distill, report")
    one.add_argument("--queries", required=True, metavar="FILE")
    one.add_argument("--out", required=True, metavar="DIR")
    one.add_argument("--scores", metavar="FILE", help="also write rewards and responses as a score file")
    arguments.generation(one)
    _samples(one)
    _label(one)
    _distill(one)

    one = command("collect", "a run's responses")
    one.add_argument("--run", required=True, metavar="DIR")
    one.add_argument("--queries", metavar="FILE", help="needed when the run is new")
    arguments.generation(one)
    _samples(one)

    one = command("score", "a run's rewards, or rewards for responses that exist already")
    one.add_argument("--run", metavar="DIR")
    one.add_argument("--responses", metavar="FILE", help="a score file without `scores`")
    one.add_argument("--out", metavar="FILE")

    one = command("tag", "a run's tags")
    one.add_argument("--run", required=True, metavar="DIR")

    one = command("label", "a run's labels", fleet=False)
    one.add_argument("--run", required=True, metavar="DIR")
    _label(one)

    one = command("distill", "a router from a run's labels, or from score files alone")
    one.add_argument("--run", metavar="DIR")
    one.add_argument("--scores", nargs="+", metavar="FILE")
    one.add_argument("--out", metavar="DIR")
    _tagger(one)
    one.add_argument("--encoder", metavar="ID", help="a sentence encoder (default: the fleet's)")
    _label(one)
    _distill(one)

    one = command("bench", "a public benchmark answered by every candidate and scored, as a score file")
    arguments.bench(one)

    one = command("evaluate", "a router against score files: reward, regret, MTR, %%Uplift", fleet=False)
    arguments.evaluate(one)

    one = command("extend", "a candidate added to a router's pool, or taken out of it, without starting over")
    one.add_argument("--router", required=True, metavar="DIR")
    one.add_argument("--out", required=True, metavar="DIR", help="the new router's folder")
    one.add_argument("--candidate", metavar="NAME", help="the one to add, by scores of it and of the others")
    one.add_argument("--without", metavar="NAME", help="the one to take out; needs no scores")
    one.add_argument("--scores", nargs="+", metavar="FILE")
    one.add_argument("--curve", metavar="LIST", help="also routers from so many queries (default: 50,200,1000)")
    _tagger(one)
    _label(one, router=True)
    one.add_argument("--seed", type=int, default=0, help="(default: 0)")
    one.add_argument("--json", action="store_true")

    one = command("import", "a public benchmark's files as a score file", fleet=False)
    one.add_argument("name", choices=tuple(FORMATS), metavar="NAME", help=", ".join(FORMATS))
    one.add_argument("paths", nargs="+", metavar="PATH", help="its files or folders")
    one.add_argument("--out", required=True, metavar="FILE", help=".jsonl or .jsonl.gz")
    one.add_argument("--annotator", metavar="NAME", help="alpacaeval: whose preferences, where there are several")

    one = command("export", "a router's choices in a benchmark's own form", fleet=False)
    one.add_argument("name", choices=("routerarena",), metavar="NAME", help="routerarena")
    one.add_argument("--router", required=True, metavar="DIR")
    one.add_argument("--queries", required=True, metavar="FILE", help="RouterArena's data set, or a queries file")
    one.add_argument("--out", required=True, metavar="FILE", help="a prediction file (.json)")

    one = command("sweep", "how much beta and tau matter: routers over folds and seeds, with intervals")
    one.add_argument("--scores", required=True, nargs="+", metavar="FILE")
    one.add_argument("--beta", default="0,0.1,0.3,0.5,0.7,0.9,1", metavar="LIST", help="(default: %(default)s)")
    one.add_argument("--tau", metavar="LIST", help="softmax temperatures of rewards (default: 0.3)")
    one.add_argument("--normalise", metavar="NAME", help=f"rewards first: spread (default), or {NORMALISATIONS}")
    _tagger(one)
    one.add_argument("--plot", metavar="FILE", help="also draw it, into an .html file")
    one.add_argument("--out", metavar="FILE", help="also as JSON, into a file; the demo shows a fleet's sweep.json")
    one.add_argument("--folds", type=int, default=5, help="(default: 5)")
    one.add_argument("--seeds", type=int, default=3, help="(default: 3)")
    one.add_argument("--json", action="store_true")
    return parser


def _queries(parser: Parser) -> None:
    parser.add_argument("--from", required=True, nargs="+", metavar="FILE", dest="sources", help="queries files")
    parser.add_argument("--n", required=True, type=int, help="how many to pick, at most")
    parser.add_argument("--out", required=True, metavar="FILE", help=".jsonl or .jsonl.gz")
    parser.add_argument("--exclude", nargs="+", default=(), metavar="FILE", help="benchmarks to keep out")
    parser.add_argument("--ngram", type=int, default=8, help="words in a row that overlap a benchmark (default: 8)")
    parser.add_argument(
        "--near", type=float, default=0.7, help="similarity of a near repeat, of character 5-grams (default: 0.7)"
    )
    parser.add_argument("--tagger", choices=("fleet", "given"), help="(default: given where every line has tags)")
    parser.add_argument("--tag-at-most", type=int, default=20_000, help="queries for the tagger (default: 20000)")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--json", action="store_true")


def _samples(parser: Parser) -> None:
    parser.add_argument(
        "--samples", type=int, default=1, help="responses a candidate and query, whose mean reward counts (default: 1)"
    )


def _label(parser: Parser, router: bool = False) -> None:
    if router:
        said = "(default: as the router's own labels were made)"
        parser.add_argument("--beta", type=float, help=f"share of the plain label {said}")
        parser.add_argument("--tau", type=float, help=f"softmax temperature of rewards {said}")
        parser.add_argument("--normalise", metavar="NAME", help=f"rewards first {said}")
        parser.set_defaults(holdout=None)
        return
    parser.add_argument(
        "--beta", type=float, help="share of the plain label (default: 0.3; from score files 0: tag priors alone)"
    )
    parser.add_argument("--tau", type=float, help="softmax temperature of rewards (default: 1; from score files 0.3)")
    parser.add_argument(
        "--normalise",
        metavar="NAME",
        help=f"rewards first: none (default), spread (default from score files), or {NORMALISATIONS}",
    )
    parser.add_argument("--holdout", type=float, help="share of queries kept for evaluation (default: 0.2 in a run)")


def _tagger(parser: Parser) -> None:
    parser.add_argument(
        "--tagger",
        choices=("auto", "given", "clusters", "fleet", "none"),
        default="auto",
        help="where tags come from: the file's own, clusters of like queries, or the fleet's tagger "
        "(default: the file's where it has any, else clusters)",
    )


def _distill(parser: Parser) -> None:
    parser.add_argument("--seed", type=int, help="(default: 0; in a run the fleet's)")
    parser.add_argument("--epochs", type=int, help="passes over the queries, at most (default: 8)")
    kinds = ", ".join(name for name in KINDS if name != DEFAULT)
    parser.add_argument(
        "--router-kind", default=DEFAULT, metavar="KIND", help=f"%(default)s (default), or to compare: {kinds}"
    )
    parser.add_argument(
        "--finetune",
        choices=("none", "last", "all"),
        default="none",
        help="what of the encoder learns too: nothing (default, seconds), its last layer, or all of it (a GPU's work)",
    )
    parser.add_argument(
        "--keep-texts", action="store_true", help="keep the queries' texts in the router's folder, to explain choices"
    )
    parser.add_argument("--router-set", nargs="+", metavar="NAME=NUMBER", help="settings of that kind, such as k=50")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns 0 when done, 1 when the work failed, 2 when the call or its input is wrong."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    with guarded():
        try:
            return _run(arguments)
        except BrokenPipeError:  # `zooter route - | head`
            sys.stderr.close()
            return 0
        except KeyboardInterrupt:
            print("\nzooter: stopped. What was finished is kept; start it again to go on.", file=sys.stderr)
            return 130
        except Exception as problem:
            if "--debug" in arguments and not isinstance(problem, CallError):
                traceback.print_exc()  # here, where it passes the guard
            if isinstance(problem, ZooterError):
                print(f"zooter: {problem}", file=sys.stderr)
                return problem.exit_code
            if isinstance(problem, PermissionError):  # of which nothing nearer to it has told
                expected = f"Expected {problem.filename} to be open to you"
                print(f"zooter: {expected}. Found {problem}. {FIX_PERMISSIONS}", file=sys.stderr)
                return 2
            found = shortened(f"{type(problem).__name__}: {problem}", MOST_FOUND)
            print(f"zooter: the work failed: {found}. Try --debug.", file=sys.stderr)
            return 1


def _run(arguments: Sequence[str]) -> int:
    parser = build()
    if not arguments:
        parser.print_help()
        return 0
    call = parser.parse_args(arguments)
    return int(load_kind("command", COMMANDS, call.command)(call) or 0)
