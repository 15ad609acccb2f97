"""`zooter import` and `export`: to and from the files of public benchmarks."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from zooter_core.cli.options import err
from zooter_core.data.formats import Options, import_file
from zooter_core.errors import listed


def import_(call: Namespace) -> None:
    """A benchmark's files as a score file."""
    options = Options(call.annotator)
    count = import_file(call.name, call.paths, Path(call.out), options)
    for note in dict.fromkeys(options.notes):
        err.print(note)
    for reason, number in options.left_out.items():
        err.print(f"left out {number}: {reason}")
    err.print(f"{count} lines in {call.out}")


def export(call: Namespace) -> None:
    """A router's choices as a benchmark reads them."""
    from zooter_core.data.formats.routerarena import export_routerarena
    from zooter_core.router.router import Router
    from zooter_core.weights import quiet_libraries

    quiet_libraries()
    counts = export_routerarena(Router.load(call.router).route, Path(call.queries), Path(call.out))
    shares = listed(f"{name} {number}" for name, number in counts.items())
    err.print(f"{sum(counts.values())} predictions in {call.out}: {shares}")
