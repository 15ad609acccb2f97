"""Public benchmarks as score files. A format is one file with one function `lines`, and one line in KINDS.

`lines(paths, options)` gives lines of a score file one at a time, whatever the size of what it reads; a wrong record
is named by file and line, and a query that some candidate lacks is left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zooter_core.errors import ZooterError
from zooter_core.files import written_whole
from zooter_core.plugins import load_kind
from zooter_core.strict_json import dump_json

KINDS = {
    "alpacaeval": "zooter_core.data.formats.alpacaeval:lines",
    "routerdc": "zooter_core.data.formats.routerdc:lines",
    "llmrouterbench": "zooter_core.data.formats.llmrouterbench:lines",
    "routerbench": "zooter_core.data.formats.routerbench:lines",
}
Line = dict[str, Any]


@dataclass
class Options:
    """What a call says besides its paths, and what is told of it in the end.

    Attributes:
        annotator: AlpacaEval's judge, where a results folder has several.
        left_out: why queries were left out -> how many.
        notes: what else a person should know.
    """

    annotator: str | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


Reader = Callable[[Sequence[Path], Options], Iterator[Line]]


def import_file(name: str, paths: Sequence[str | Path], out: Path, options: Options) -> int:
    """Write what is at `paths`, in the format `name`, as a score file; returns the number of its lines.

    The file appears whole or not at all.

    Raises:
        ZooterError: an unknown format, a path that is not there, a wrong record, or nothing to write.
        WorkError: the disk took no more.
    """
    reader: Reader = load_kind("import", KINDS, name)
    found = [Path(path) for path in paths]
    for path in found:
        if not path.exists():
            raise ZooterError(f"files of {name}", f"nothing at {path}", "Check the path.")
    count = 0
    with written_whole(out) as lines:
        for count, line in enumerate(reader(found, options), 1):  # noqa: B007
            lines.write(dump_json(line, ensure_ascii=False) + "\n")
        if not count:
            why = "; ".join(f"{number} left out: {reason}" for reason, number in options.left_out.items())
            raise ZooterError(f"at least one query in files of {name}", f"none ({why or 'empty'})", "Check the paths.")
    return count
