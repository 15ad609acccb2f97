"""The options that several commands share, and those of the commands with many."""

from __future__ import annotations

from argparse import ArgumentParser

SUITES = "gsm8k, mmlu, human-eval, alpaca-eval, flask or mt-bench"


def bench(parser: ArgumentParser) -> None:
    """The options of `zooter bench`."""
    parser.add_argument("--suite", required=True, metavar="NAME", help=SUITES)
    parser.add_argument(
        "--from",
        required=True,
        nargs="+",
        action="extend",
        metavar="FILE",
        dest="sources",
        help="the suite's own files, plain or .gz",
    )
    parser.add_argument("--out", required=True, metavar="FILE", help=".jsonl or .jsonl.gz; FILE.run keeps the work")
    parser.add_argument("--limit", type=int, metavar="N", help="a sample of so many problems (default: all)")
    parser.add_argument("--judge", metavar="NAME", help="alpaca-eval, flask, mt-bench: a candidate of the fleet")
    parser.add_argument("--judge-fleet", metavar="DIR", help="the fleet that the judge is in, where it is another")
    parser.add_argument(
        "--run-code", action="store_true", help="human-eval: execute what the candidates write, in a sandbox"
    )
    parser.add_argument(
        "--no-sandbox", action="store_true", help="human-eval: execute it without the sandbox, as your own programs"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample and the responses (default: 0)")
    parser.add_argument("--temperature", type=float, help="(default: 0, greedy)")
    parser.add_argument("--max-new-tokens", type=int, help="(default: the fleet's)")
    parser.add_argument("--json", action="store_true")


def evaluate(parser: ArgumentParser) -> None:
    parser.add_argument("--router", metavar="DIR", help="the router, or ...")
    parser.add_argument("--fleet", metavar="DIR", help="... the fleet that it is in")
    parser.add_argument("--scores", required=True, nargs="+", metavar="FILE")
    parser.add_argument(
        "--rmr",
        action="store_true",
        help="with --fleet: also what running all and keeping the best by its reward model earns; needs responses",
    )
    parser.add_argument(
        "--learned-from",
        nargs="+",
        metavar="FILE",
        help="the score files it was distilled from: kNN joins the baselines, which else are picked in hindsight",
    )
    parser.add_argument(
        "--robust", action="store_true", help="also how often a choice survives typos, case, paraphrases"
    )
    parser.add_argument(
        "--select", action="store_true", help="cost and quality with k candidates where the router is unsure"
    )
    parser.add_argument(
        "--judge-fleet",
        metavar="DIR",
        help="with --select: also where the best by this fleet's reward model is kept; needs responses",
    )
    parser.add_argument("--plot", metavar="FILE", help="with --select: also draw it, into an .html file")
    parser.add_argument(
        "--prices", metavar="DIR", help="a fleet with usd_per_million_tokens: cost in dollars, not in calls"
    )
    parser.add_argument(
        "--tokens", type=int, help="with --prices: of a response that the score files do not hold (default: 300)"
    )
    willingness(parser, "with --prices: ")
    parser.add_argument("--json", action="store_true")


def willingness(parser: ArgumentParser, about: str = "") -> None:
    parser.add_argument(
        "--willingness",
        type=float,
        default=0.0,
        metavar="X",
        help=f"{about}choose by probability - X * price / highest price (default: 0, the price is no matter)",
    )


def generation(parser: ArgumentParser) -> None:
    parser.add_argument("--temperature", type=float, help="0 is greedy (default: the fleet's)")
    parser.add_argument("--max-new-tokens", type=int, help="(default: the fleet's)")
