"""`zooter import`: a public benchmark's files as a score file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from zooter_core.base.plugins import kind_names
from zooter_core.cli.consoles import err
from zooter_core.cli.options import argument, option
from zooter_core.data.formats import KINDS, Options, import_file


def import_(
    name: Annotated[str, argument("NAME", f"Format: {', '.join(kind_names('import', KINDS))}.")],
    paths: Annotated[list[Path], argument("PATH", "Its files or folders.")],
    out: Annotated[Path, option("--out", "FILE", "Score file to write, .jsonl or .jsonl.gz.")],
    annotator: Annotated[
        str | None, option("--annotator", "NAME", "alpacaeval: whose preferences to use, if there are several.")
    ] = None,
) -> None:
    options = Options(annotator)
    count = import_file(name, paths, out, options)
    for note in dict.fromkeys(options.notes):
        err.print(note)
    for reason, number in options.left_out.items():
        err.print(f"left out {number}: {reason}")
    err.print(f"{count} lines in {out}")
