"""Public benchmarks as score files. A format is one file with a function `lines`, and one line in KINDS.

`lines(paths, options)` yields the lines of a score file one at a time. An error names the file and the line or record;
a query that some candidate lacks is left out and counted in `options`. Other packages can add formats
(zooter_core/base/plugins.py). `routerarena` is the one export.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zooter_core.base.errors import ZooterError
from zooter_core.base.files import check_file, open_atomic
from zooter_core.base.plugins import load_kind
from zooter_core.base.strict_json import dump_json

KINDS = {
    "alpacaeval": "zooter_core.data.formats.alpacaeval:lines",
    "routerdc": "zooter_core.data.formats.routerdc:lines",
    "llmrouterbench": "zooter_core.data.formats.llmrouterbench:lines",
    "routerbench": "zooter_core.data.formats.routerbench:lines",
}
Line = dict[str, Any]


@dataclass
class Options:
    """Options of an import, and what it has to report at its end.

    Attributes:
        annotator: AlpacaEval's judge, for a results folder with several.
        left_out: why queries were left out -> their number.
        notes: further remarks for the user.
    """

    annotator: str | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


Reader = Callable[[Sequence[Path], Options], Iterator[Line]]


def import_file(name: str, paths: Sequence[str | Path], out: Path, options: Options) -> int:
    """Write the files at `paths`, which have the format `name`, as a score file; returns its number of lines.

    The score file appears complete or not at all.

    Raises:
        ZooterError: the format is unknown, a path does not exist, a record is wrong, or there is nothing to write.
        WorkError: the disk is full or cannot be written.
    """
    reader: Reader = load_kind("import", KINDS, name)
    sources = [Path(path) for path in paths]
    for path in sources:
        if not path.exists():
            raise ZooterError(f"files of {name}", f"nothing at {path}", "Check the path.")
    check_file(out, sources)
    count = 0
    with open_atomic(out) as file:
        for line in reader(sources, options):
            file.write(dump_json(line, ensure_ascii=False) + "\n")
            count += 1
        if not count:
            reasons = "; ".join(f"{number} left out: {reason}" for reason, number in options.left_out.items())
            raise ZooterError(
                f"at least one query in files of {name}", f"none ({reasons or 'empty'})", "Check the paths."
            )
    return count
