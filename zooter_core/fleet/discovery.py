"""Discovers possible candidates: models of servers on this machine, weights on its disk, and its GPUs.

Only servers on the usual ports of this machine and at addresses that the user named are contacted. Hosted providers are
not contacted; they are reported by the environment variables that hold their keys.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

from zooter_core.backends.endpoint.abilities import (
    Abilities,
    ask_llama_cpp,
    ask_ollama,
    ask_route,
    find_base,
    get_nested,
    read_count,
    read_entry,
)
from zooter_core.backends.endpoint.backend import Portal
from zooter_core.backends.endpoint.connection import Connection
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.errors import ZooterError, listed, one_line, shortened
from zooter_core.base.hosts import Host
from zooter_core.base.progress import Tell, silent
from zooter_core.base.strict_json import objects
from zooter_core.base.terminal import NOT_IN_NAMES, visible_name
from zooter_core.config.candidates import ENDPOINT, CandidateConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.tables import error_in
from zooter_core.config.trust import PROVIDERS, provider_key
from zooter_core.fleet.discovered import (
    LLAMA_CPP,
    LM_STUDIO,
    MOST_MODELS,
    OLLAMA,
    OTHER,
    SLOW_TO_LOAD,
    VLLM,
    Model,
    text_or_empty,
)
from zooter_core.fleet.families import thinks
from zooter_core.fleet.machine import MOST_BILLIONS, Gpu, billions_in, gpus
from zooter_core.fleet.on_disk import models_in, ollama_folder, shown, usual_folders

Result = TypeVar("Result")
USUAL = {OLLAMA: 11434, VLLM: 8000, LLAMA_CPP: 8080, LM_STUDIO: 1234}  # ports
PATHS = {  # of providers whose API does not begin at /v1
    "api.cohere.ai": "/compatibility/v1",
    "api.cohere.com": "/compatibility/v1",
    "api.deepinfra.com": "/v1/openai",
    "api.fireworks.ai": "/inference/v1",
    "api.groq.com": "/openai/v1",
    "generativelanguage.googleapis.com": "/v1beta/openai",
    "openrouter.ai": "/api/v1",
}
MAKES = {"vllm": VLLM, "llamacpp": LLAMA_CPP}  # `owned_by` in the list of models -> server
ASK_SECONDS = 10.0  # for a server to list its models
CONNECT_SECONDS = 1.0
AT_ONCE = 8  # concurrent requests to a server about its models
MOST_CHARACTERS = 80_000  # limits a server's answer to 33 million bytes
LONGEST_NAME, LONGEST_FACT = 1000, 40  # characters
NO_TEXT = re.compile(
    r"embed|bge-|minilm|rerank|reward|whisper|(?<![a-z])(clip|tts|sora)(?![a-z])|dall-e|gpt-image|transcribe|moderation",
    re.IGNORECASE,
)
NO_TEXT_TYPES = ("embedding", "embeddings", "rerank", "moderation", "image", "video", "audio", "transcribe")


@dataclass(frozen=True)
class Discovery:
    """The result of a search."""

    models: tuple[Model, ...]
    gpus: tuple[Gpu, ...] = ()
    # Named addresses at which no server answers -> reason.
    silent: Mapping[str, str] = field(default_factory=dict)
    providers: tuple[str, ...] = ()  # variables that hold a key of a hosted provider, which was not contacted
    # Sentences about skipped files and models, truncated lists, and Ollama's models if Ollama is not running.
    passed_over: tuple[str, ...] = ()


def discover(addresses: Mapping[str, str | None] | None = None, folders: Sequence[Path] = ()) -> Discovery:
    """Search the usual ports and cache folders of this machine, and further servers and folders.

    Args:
        addresses: further servers: address including /v1 -> the variable that holds the key, if any.
        folders: further folders with weights.
    """
    addresses = addresses or {}
    servers: dict[str, str] = {}  # a server with two names is asked under the first
    for url in (*addresses, *usual_addresses()):
        servers.setdefault(one_name(url), url)
    notes: list[str] = []
    served, silent = _run_in_own_loop(_all_served({url: addresses.get(url) for url in servers.values()}, notes.append))
    names = {model.name for model in served}
    if (folder := ollama_folder()) and not any(model.make == OLLAMA for model in served):
        notes.append(f"Start Ollama to use its models in {shown(folder)}.")
    files = [  # a server may serve files of the usual folders; a named folder is listed completely
        model
        for place in dict.fromkeys((*folders, *usual_folders()))
        for model in models_in(place, notes.append)
        if place in folders or model.name not in names
    ]
    problems = {url: reason for url, reason in silent.items() if url in addresses}
    providers = tuple(name for name in PROVIDERS if os.environ.get(name))
    return Discovery((*served, *files), gpus(), problems, providers, tuple(dict.fromkeys(notes)))


def one_name(url: str) -> str:
    """An address in which localhost, 127.0.0.1 and ::1 all become localhost."""
    parts = urlsplit(url)
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return f"{parts.scheme}://{Host('localhost', parts.port)}{parts.path}" if here else url


def usual_addresses() -> list[str]:
    """The usual addresses of servers on this machine; Ollama's is in OLLAMA_HOST, if that is set."""
    addresses = [f"http://localhost:{port}/v1" for port in USUAL.values()]
    host = os.environ.get("OLLAMA_HOST", "").strip()
    if host:
        with suppress(ValueError):
            parts = urlsplit(host if "://" in host else f"http://{host}")
            name = "localhost" if parts.hostname in ("0.0.0.0", "::", None, "") else parts.hostname
            addresses[0] = f"{parts.scheme}://{Host(name, parts.port or USUAL[OLLAMA])}/v1"
    return addresses


async def _all_served(addresses: Mapping[str, str | None], tell: Tell) -> tuple[list[Model], dict[str, str]]:
    """The models of all servers, and the reasons why servers do not answer."""
    results = await asyncio.gather(*(served(*one, tell) for one in addresses.items()), return_exceptions=True)
    models: list[Model] = []
    silent: dict[str, str] = {}
    for url, result in zip(addresses, results, strict=True):
        if isinstance(result, EndpointError):
            silent[url] = result.message
        elif isinstance(result, ZooterError):  # an invalid address
            silent[url] = result.failure.reason
        elif isinstance(result, BaseException):
            raise result
        else:
            models += result
    return models, silent


def server_url(address: str) -> str:
    """The base address of a model server, to which /chat/completions is appended, from what a user typed: the base
    itself, the full address, or only the host.

    Raises:
        ZooterError: it is not a web address, or it contains a password.
    """
    typed = re.sub(r"/(chat/completions|models)/*$", "", address.strip())
    scheme = "https" if provider_key(f"https://{typed}") else "http"
    try:
        url = EndpointConfig(base_url=(typed if "://" in typed else f"{scheme}://{typed}").rstrip("/")).base_url
    except ValidationError:
        shown = f'"{address}"' if "@" not in address else "An address with a name or password"
        sentence = f"{shown} is not the address of a server." if typed else "There is no address yet."
        example = "It looks like http://localhost:8000/v1."
        raise ZooterError.saying(sentence, example) from None
    parts = urlsplit(url)
    return url if parts.path else url + PATHS.get(parts.hostname or "", "/v1")


def models_at(url: str, key_variable: str | None = None) -> Discovery:
    """The models of one server. Arguments and errors: see `served`."""
    notes: list[str] = []
    models = _run_in_own_loop(served(url, key_variable, notes.append))
    return Discovery(tuple(models), passed_over=tuple(notes))


def _run_in_own_loop(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, run in an event loop of its own, since the caller's thread may already run one."""
    portal = Portal("discovery")  # its loop ends with it
    return portal.submit(coroutine).result()


async def served(url: str, key_variable: str | None = None, tell: Tell = silent) -> list[Model]:
    """The models of a server that write text.

    Args:
        key_variable: the environment variable with the server's key.
        tell: called with a sentence about models that are skipped.

    Raises:
        EndpointError: the server does not answer, or has no list of models.
        ZooterError: the address, or the name of the variable, is not valid.
    """
    try:
        endpoint = EndpointConfig(
            base_url=url, api_key_env=key_variable, connect_seconds=CONNECT_SECONDS, most_characters=MOST_CHARACTERS
        )
    except ValidationError as problem:
        raise error_in(problem, EndpointConfig.title) from None
    server = Connection(CandidateConfig("discovery", ENDPOINT, "", endpoint=endpoint))
    try:
        entries = objects((await server.ask("/models", seconds=ASK_SECONDS)).get("data"))
        if any(entry.get("owned_by") == "zooter" for entry in entries):
            raise EndpointError("this is a Zooter endpoint", "Show its fleet with `zooter demo --fleet DIR`.")
        shared = await ask_llama_cpp(server)  # llama.cpp also has Ollama's list, without the details
        details, make = ({}, LLAMA_CPP) if shared else await _details(server)
        named = _named(entries, endpoint.host, tell)
        listings = [{**entry, **details.get(name, {}), "id": name} for name, entry in named.items()]
        if not any(map(_writes, listings)):  # e.g. Ollama's after its installation
            tell(f"{endpoint.host} lists no model that writes text.")
        places = asyncio.Semaphore(AT_ONCE)

        async def model(listing: Mapping[str, Any]) -> Model:
            base, abilities = find_base(listing, listings), shared
            if make == OLLAMA:  # only Ollama has to be asked about each model: a hosted list has hundreds
                async with places:
                    abilities = await ask_ollama(server, listing["id"])
            return _model(server, make, listing, abilities or read_entry(listing, base), str(base.get("id", "")))

        return await asyncio.gather(*(model(listing) for listing in listings if _writes(listing)))
    finally:
        await server.close()


def _named(entries: Sequence[Mapping[str, Any]], host: str, tell: Tell) -> dict[str, Mapping[str, Any]]:
    """The first MOST_MODELS entries of a list of models, by name. Entries with an unusable name are skipped."""
    named = {name: entry for entry in entries if isinstance(name := entry.get("id"), str) and name}
    wrong = {name for name in named if NOT_IN_NAMES.search(name) or len(name) > LONGEST_NAME}
    if wrong:
        names = listed(visible_name(shortened(name, LONGEST_FACT)) for name in sorted(wrong))
        tell(f"{host} lists models whose names are too long or have control characters; skipped: {names}.")
    good = {name: entry for name, entry in named.items() if name not in wrong}
    if len(good) > MOST_MODELS:
        tell(f"{host} lists {len(good) - MOST_MODELS:,} more models than the first {MOST_MODELS:,}; they are skipped.")
    return dict(list(good.items())[:MOST_MODELS])


def _writes(listing: Mapping[str, Any]) -> bool:
    """Whether an entry of a list of models writes text, judging by its name and type."""
    outputs = get_nested(listing, "architecture", "output_modalities")
    writes = "text" in outputs if isinstance(outputs, list) else True
    return writes and not NO_TEXT.search(listing["id"]) and listing.get("type") not in NO_TEXT_TYPES


async def _details(server: Connection) -> tuple[dict[str, dict[str, Any]], str]:
    """What Ollama and LM Studio list of their models, by name, and which of the two it is; "" if it is neither."""
    for path, member, key, make in (
        ("/api/tags", "models", "name", OLLAMA),
        ("/api/v0/models", "data", "id", LM_STUDIO),
    ):
        if isinstance(entries := (await ask_route(server, path)).get(member), list):
            return {entry[key]: entry for entry in objects(entries) if isinstance(entry.get(key), str)}, make
    return {}, ""


def _model(server: Connection, make: str, listing: Mapping[str, Any], abilities: Abilities, base: str) -> Model:
    """A model from its server's entry, in which only the name is known to be valid."""
    name = listing["id"]
    make = make or MAKES.get(text_or_empty(listing.get("owned_by")), OTHER)

    def fact(*values: object) -> str:
        return one_line(next(filter(None, map(text_or_empty, values)), ""), LONGEST_FACT)

    counted = round((read_count(get_nested(listing, "meta", "n_params")) or 0) / 1e9, 2)
    capabilities = listing.get("capabilities") if make == LM_STUDIO else None
    lengths = (abilities.context_tokens, listing.get("loaded_context_length"), listing.get("max_context_length"))
    return Model(
        backend=ENDPOINT,
        model=name,
        place=f"on {make} at {server.config.host}",
        make=make,
        billions=(counted if counted < MOST_BILLIONS else 0)
        or billions_in(fact(get_nested(listing, "details", "parameter_size")))
        or billions_in(base or name),
        size=read_count(listing.get("size", get_nested(listing, "meta", "size"))),
        quantisation=fact(
            get_nested(listing, "details", "quantization_level"),
            listing.get("quantization"),
            get_nested(listing, "meta", "ftype"),
        ),
        abilities=replace(
            abilities,
            context_tokens=next(filter(None, map(read_count, lengths)), None),
            images=abilities.images if listing.get("type") != "vlm" else True,
            tools="tool_use" in capabilities if isinstance(capabilities, list) else abilities.tools,
            thinking=thinks(base or name) or None if abilities.thinking is None else abilities.thinking,
            parallel=abilities.parallel or (1 if make in SLOW_TO_LOAD else None),
        ),
        base_url=server.config.base_url,
        api_key_env=server.config.api_key_env,
        base=base,
    )
