"""Changes to the fleet from the browser: connect, edit, rename and remove a model. Only the machine's owner may do so.

`zooter demo` allows it on localhost. Elsewhere `--manage HOST ...` allows it, and models can be connected only from
these hosts, since a visitor could otherwise reach any server of the network. HOST:PORT allows only that port; HOST
allows the ports on which model servers usually listen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.hosts import DEFAULT_PORTS, Host, parse_host, parse_origin
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.edit import change_candidate, remove_candidate
from zooter_core.fleet.discovered import Model
from zooter_core.fleet.discovery import USUAL
from zooter_core.ui import resources
from zooter_core.ui.text import plain
from zooter_core.ui.widgets import draw_problem, keep_problem

OPTION = "--manage"  # among the app's own arguments: `streamlit run app.py -- --manage HOST ...`
ANY = "*"  # instead of a host
NEW_FLEET = "my-fleet"


def hosts() -> list[str]:
    """The hosts from which visitors may connect models; empty if they must not change the fleet."""
    arguments = sys.argv[1:]  # the app's own (ui/server.py)
    return arguments[arguments.index(OPTION) + 1 :] if OPTION in arguments else []


def allowed() -> bool:
    """Whether visitors may change the fleet."""
    return bool(hosts())


def check_host_allowed(url: str) -> None:
    """Refuse to contact a host that the owner has not named.

    Args:
        url: a server's address, as returned by `server_url`.

    Raises:
        ZooterError: `--manage` does not name the host, or names it with another port.
    """
    allowed_hosts, (scheme, host) = hosts(), parse_origin("://".join(urlsplit(url)[:2])) or ("", None)
    if ANY in allowed_hosts:
        return
    if host is not None:
        port = host.port or DEFAULT_PORTS[scheme]
        for allowed_host in map(parse_host, allowed_hosts):
            if allowed_host and allowed_host.name == host.name and port in _ports(allowed_host):
                return
        host = Host(host.name, port)
    where = str(host or url)
    raise ZooterError.saying(
        f"This demo connects models from {listed(allowed_hosts) or 'no host'}, and not from {where}.",
        f"Whoever runs the demo can start it with `--manage {where}`.",
    )


def check_models_allowed(models: Sequence[Model]) -> None:
    """Like `check_host_allowed`, for the servers of several models."""
    for model in models:
        if model.base_url:
            check_host_allowed(model.base_url)


def label(model: Model, present: bool = False) -> str:
    """A model's name, what is known of it or that it is `present` in the fleet, and its place."""
    facts = "in the fleet" if present else model.facts or model.model
    return " · ".join(dict.fromkeys((model.name, facts, model.place)))


def _ports(host: Host) -> Collection[int]:
    """The ports that an entry of `--manage` allows."""
    return (host.port,) if host.port is not None else (*DEFAULT_PORTS.values(), *USUAL.values())


def is_users(folder: str | Path) -> bool:
    """Whether a fleet belongs to the user; the embedded one must not be changed."""
    return Path(folder).resolve() != EMBEDDED_FLEET.resolve()


def target() -> Path:
    """The folder whose fleet.toml gets a new model: the session's fleet, or a new one in the current folder."""
    folder = resources.folder()
    return Path(folder) if is_users(folder) else Path.cwd() / NEW_FLEET


def attempt(change: Callable[[], None], place: str, folder: Path | None = None) -> None:
    """Change the fleet in a folder (by default `target`) in a callback, for all pages. If the change fails,
    `draw_problem` says why at this place."""
    try:
        change()
    except ZooterError as problem:
        keep_problem(place, problem)
        return
    folder = folder or target()
    resources.forget(folder)
    resources.pick_fleet(folder)


def buttons(candidate: CandidateConfig, alone: bool) -> None:
    """Draw Edit and Remove below a model's card. The only model of a fleet cannot be removed."""
    if not (allowed() and is_users(resources.folder())):
        return
    name = candidate.name
    with st.popover("Edit", key=f"edit-{name}"), st.form(f"form-{name}", border=False):
        draw_problem(f"edit-{name}")
        st.text_input("Name", name, key=f"name-{name}", max_chars=64)
        st.text_input("Description", candidate.description, key=f"description-{name}", help="What it is good at.")
        st.number_input(
            "Dollars per million tokens", 0.0, value=candidate.usd_per_million_tokens, key=f"price-{name}",
            help="Of what it writes; empty if unknown.",
        )  # fmt: skip
        st.form_submit_button("Save", on_click=_save, args=(candidate,))
    if alone:
        return
    with st.popover("Remove", key=f"remove-{name}"):
        draw_problem(f"remove-{name}")
        st.markdown(f"Remove {plain(name)} from the fleet? Its weights and server stay.")
        st.button(
            "Remove", key=f"removed-{name}", on_click=attempt,
            args=(lambda: remove_candidate(target(), name), f"remove-{name}"),
        )  # fmt: skip


def _save(candidate: CandidateConfig) -> None:
    name, state = candidate.name, st.session_state
    keys = {
        "name": state[f"name-{name}"].strip() or name,
        "description": state[f"description-{name}"].strip() or None,
        "usd_per_million_tokens": state[f"price-{name}"],
    }
    if keys["name"] != name and candidate.routed_as is None:
        keys["routed_as"] = name if resources.ensemble().fleet.router else None  # the router's name for it
    attempt(lambda: change_candidate(target(), name, keys), f"edit-{name}")
