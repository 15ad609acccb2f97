"""The packages without which a fleet cannot route or answer. They are looked up, and none is loaded.

`zooter init` names those that are missing; `zooter setup` and `zooter demo` do not begin without them. The parts of a
fleet raise the same errors when they are used, as by `zooter check`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from zooter_core.backends.gguf import check_engine
from zooter_core.base.errors import NotInstalledError, ZooterError
from zooter_core.base.weights import PREFIX, package_folder
from zooter_core.config.fleet import Fleet
from zooter_core.config.labelling import ENCODER


def missing(fleet: Fleet) -> list[NotInstalledError]:
    """What its router and its candidates need and do not have, each package once."""
    checks: list[Callable[[], object]] = [partial(check_encoder, fleet)]
    for candidate in fleet.candidates:
        checks += [partial(check_engine, candidate, candidate.name), partial(_check_weights, candidate.model)]
    errors: dict[str, NotInstalledError] = {}
    for check in checks:
        try:
            check()
        except NotInstalledError as error:
            errors.setdefault(error.package, error)
    return list(errors.values())


def check_engines(fleet: Fleet) -> None:
    """Refuse a fleet none of whose candidates can answer, because the library of its backend is not installed.

    Raises:
        NotInstalledError: names it, and the command that installs it.
    """
    errors = []
    for candidate in fleet.candidates:
        try:
            check_engine(candidate, f"The fleet {fleet.name}")
        except NotInstalledError as error:
            errors.append(error)
    if len(errors) == len(fleet.candidates):
        raise errors[0]


def check_encoder(fleet: Fleet) -> None:
    """Refuse a fleet whose router reads queries with a sentence encoder that is not installed.

    Raises:
        NotInstalledError: names it, and the command that installs it.
    """
    encoder = ENCODER  # of a starting router
    if fleet.router is not None:
        from zooter_core.router.head import RouterHead  # loads numpy, which the demo of connected models does later

        encoder = ""
        with suppress(ZooterError):  # opening the router says what is wrong
            encoder = RouterHead.load(fleet.router.path).config.encoder
    _check_weights(encoder)


def _check_weights(reference: str) -> None:
    if reference.startswith(PREFIX):
        try:
            package_folder(reference)
        except NotInstalledError:
            raise
        except ZooterError:
            return  # the name is none, which using it says
