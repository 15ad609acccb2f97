"""Checks for the packages that a fleet needs to route and answer, without importing them.

`zooter init` lists missing packages; `zooter setup` and `zooter demo` do not start without them. The parts of a fleet
raise the same errors on use, e.g. in `zooter check`.
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
    """The errors for missing packages of the fleet's router and candidates, one per package."""
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
    """Refuse a fleet if no candidate can answer because the libraries of their backends are not installed.

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
    """Refuse a fleet if the sentence encoder of its router is not installed.

    Raises:
        NotInstalledError: names the encoder's package and the command that installs it.
    """
    encoder = ENCODER  # of a starting router
    if fleet.router is not None:
        from zooter_core.router.head import RouterHead  # loads numpy, which the demo of connected models does later

        encoder = ""
        with suppress(ZooterError):  # opening the router reports the problem
            encoder = RouterHead.load(fleet.router.path).config.encoder
    _check_weights(encoder)


def _check_weights(reference: str) -> None:
    if reference.startswith(PREFIX):
        try:
            package_folder(reference)
        except NotInstalledError:
            raise
        except ZooterError:
            return  # an invalid name, which is reported when it is used
