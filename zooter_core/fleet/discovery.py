"""What could be a candidate: models of servers that run on this machine, weights on its disk, and its GPUs.

Servers are asked by the routes that they have for it, on the usual ports of this machine and at addresses that somebody
named; nothing else is contacted. A hosted provider is only reported, by the variable that holds its key.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from zooter_core.backends.endpoint.abilities import Abilities, base_of, of_entry, of_llama_cpp, of_ollama
from zooter_core.backends.endpoint.backend import Portal
from zooter_core.backends.endpoint.connection import Connection
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.backends.gguf.header import PART, check_model, read_header
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.hosts import Host
from zooter_core.base.strict_json import is_number, objects, parse_json
from zooter_core.base.terminal import visible
from zooter_core.config.candidates import ENDPOINT, GGUF, TRANSFORMERS, CandidateConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.trust import PROVIDERS
from zooter_core.fleet.machine import Gpu, billions_in, gpus

Result = TypeVar("Result")
OLLAMA, LM_STUDIO, LLAMA_CPP, VLLM, OTHER = "Ollama", "LM Studio", "llama.cpp", "vLLM", "a server"
USUAL = {OLLAMA: 11434, VLLM: 8000, LLAMA_CPP: 8080, LM_STUDIO: 1234}  # ports
SLOW_TO_LOAD = (OLLAMA, LM_STUDIO)  # these load a model at its first request
LOAD_SECONDS = 180.0
ASK_SECONDS = 10.0  # for a server to list its models
CONNECT_SECONDS = 1.0
AT_ONCE = 8  # models that a server is asked about at the same time
MOST_FILES = 20_000  # looked at in a folder
EMBEDDINGS = re.compile(r"embed|bge-|minilm|rerank|whisper|(?<![a-z])clip(?![a-z])", re.IGNORECASE)
QUANTISATION = re.compile(
    r"[-_.:]?\b(?:UD-)?(?:I?Q\d(?:_\w+)?|BF16|F16|F32|FP8|AWQ|GPTQ(?:-Int\d)?|GGUF|MLX|\dbit)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Model:
    """A model that can become a candidate.

    Attributes:
        backend, model: as in `[[candidate]]`.
        place: where it runs or lies, for people: "Ollama at localhost:11434".
        billions: of parameters, where something says so.
        size: bytes of its weights.
        base_url, api_key_env, parallel: of its server.
        base: the server's name for the model of which it is a LoRA adapter.
    """

    backend: str
    model: str
    place: str
    make: str = ""
    billions: float | None = None
    size: int | None = None
    family: str = ""
    quantisation: str = ""
    context_tokens: int | None = None
    images: bool | None = None
    tools: bool | None = None
    json_mode: bool | None = None
    base_url: str = ""
    api_key_env: str | None = None
    parallel: int | None = None
    base: str = ""

    @property
    def name(self) -> str:
        """A short name for the candidate: `Qwen/Qwen2.5-Coder-7B-Instruct` is qwen2.5-coder-7b."""
        text = self.model if self.backend == ENDPOINT else Path(self.model).name
        text = PART.sub("", text).removesuffix(".gguf").removesuffix(":latest").rsplit("/", 1)[-1].replace(":", "-")
        text = re.sub(r"[-_.]?\b(instruct|chat|it)\b(?![a-z])", "", QUANTISATION.sub("", text), flags=re.IGNORECASE)
        return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:40] or "model"

    @property
    def facts(self) -> str:
        """What is known of it, for people: "7.6B, Q4_K_M, 32,768 tokens"."""
        parts = [
            f"{self.billions:g}B" if self.billions else "",
            self.quantisation,
            f"{self.size / 1e9:.1f} GB" if self.size else "",
            f"{self.context_tokens:,} tokens" if self.context_tokens else "",
            "reads images" if self.images else "",
        ]
        return ", ".join(part for part in parts if part)

    def keys(self) -> dict[str, Any]:
        """The keys of its `[[candidate]]`, with a comment."""
        title = f"{self.model if self.backend == ENDPOINT else self.name} ({self.facts})" if self.facts else self.model
        keys: dict[str, Any] = {
            "comment": visible(f"{title}, {self.place}"),
            "name": self.name,
            "backend": self.backend,
            "model": self.model,
        }
        if self.backend == ENDPOINT:
            keys |= {"base_url": self.base_url, "api_key_env": self.api_key_env, "parallel": self.parallel}
            keys["first_token_seconds"] = LOAD_SECONDS if self.make in SLOW_TO_LOAD else None
            keys |= {"images": self.images, "tools": self.tools, "json_mode": self.json_mode}
            keys["context_tokens"] = self.context_tokens
            keys["description"] = f"LoRA adapter of {visible(self.base)}" if self.base else None
        return {key: value for key, value in keys.items() if value is not None}


@dataclass(frozen=True)
class Discovery:
    """What was discovered.

    Attributes:
        silent: addresses that somebody named where no server answers, each with the reason.
        providers: variables that hold a key of a hosted provider. It has not been contacted.
    """

    models: tuple[Model, ...]
    gpus: tuple[Gpu, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    providers: tuple[str, ...] = ()


def discover(
    addresses: Mapping[str, str | None] | None = None, folders: Sequence[Path] = (), usual: bool = True
) -> Discovery:
    """Look at servers and folders.

    Args:
        addresses: of further servers, each up to and with its /v1, and the variable that holds its key, if it has one.
        folders: further ones with weights.
        usual: look at the usual ports and cache folders of this machine too.
    """
    addresses = addresses or {}
    servers: dict[str, str] = {}  # a server that has two names is asked by the first
    for url in (*addresses, *(usual_addresses() if usual else ())):
        servers.setdefault(one_name(url), url)
    served, silent = _apart(_all_served({url: addresses.get(url) for url in servers.values()}))
    places = [*folders, *(usual_folders() if usual else ())]
    names = {model.name for model in served}
    files = [  # Ollama serves the files that it has; a folder that somebody named is listed whole
        model
        for place in dict.fromkeys(places)
        for model in models_in(place)
        if place in folders or model.name not in names
    ]
    problems = {url: reason for url, reason in silent.items() if url in addresses}
    return Discovery((*served, *files), gpus(), problems, tuple(name for name in PROVIDERS if os.environ.get(name)))


def one_name(url: str) -> str:
    """An address with one name for this machine, which is localhost, 127.0.0.1 and ::1."""
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.hostname in ("localhost", "127.0.0.1", "::1"):
            return f"{parts.scheme}://{Host('localhost', parts.port)}{parts.path}"
    return url


def usual_addresses() -> list[str]:
    """The usual addresses of servers on this machine; that of Ollama is what OLLAMA_HOST names."""
    addresses = [f"http://localhost:{port}/v1" for port in USUAL.values()]
    host = os.environ.get("OLLAMA_HOST", "").strip()
    if host:
        with suppress(ValueError):
            parts = urlsplit(host if "://" in host else f"http://{host}")
            name = "localhost" if parts.hostname in ("0.0.0.0", "::", None, "") else parts.hostname
            addresses[0] = f"{parts.scheme}://{Host(name, parts.port or USUAL[OLLAMA])}/v1"
    return addresses


def usual_folders() -> list[Path]:
    """The folders in which Ollama, LM Studio and the hub's client keep weights, where they exist."""
    home = Path.home()
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or home / ".cache/huggingface") / "hub"
    ollama = Path(os.environ.get("OLLAMA_MODELS") or home / ".ollama/models")
    places = [ollama, home / ".lmstudio/models", home / ".cache/lm-studio/models", Path(hub)]
    return [place for place in places if os.path.isdir(place)]  # not of one that cannot be read


async def _all_served(addresses: Mapping[str, str | None]) -> tuple[list[Model], dict[str, str]]:
    """The models of all servers, and why others do not answer."""
    results = await asyncio.gather(*(served(*one) for one in addresses.items()), return_exceptions=True)
    models: list[Model] = []
    silent: dict[str, str] = {}
    for url, result in zip(addresses, results, strict=True):
        if isinstance(result, EndpointError):
            silent[url] = result.message
        elif isinstance(result, ZooterError):  # an address that is none
            silent[url] = result.failure.reason
        elif isinstance(result, BaseException):
            raise result
        else:
            models += result
    return models, silent


def server_url(address: str) -> str:
    """The address of a model server, up to and with its /v1, from what a user typed, perhaps without a scheme.

    Raises:
        ZooterError: it is no web address, or it holds a password.
    """
    typed = address.strip()
    try:
        url = EndpointConfig(base_url=(typed if "://" in typed else f"http://{typed}").rstrip("/")).base_url
    except ZooterError:
        shown = f'"{address}"' if "@" not in address else "An address with a name or password"
        sentence = f"{shown} is not the address of a server." if typed else "There is no address yet."
        example = "It looks like http://localhost:8000/v1."
        raise ZooterError("the address of a server", shown, example, sentence) from None
    return url if urlsplit(url).path else f"{url}/v1"


def models_at(url: str, key_variable: str | None = None) -> list[Model]:
    """The models of one server. Arguments and errors: see `served`."""
    return _apart(served(url, key_variable))


def _apart(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine in a loop of its own, also beside one that runs."""
    portal = Portal("discovery")  # its loop ends with it
    return portal.submit(coroutine).result()


async def served(url: str, key_variable: str | None = None) -> list[Model]:
    """The models of a server that write text.

    Args:
        key_variable: the environment variable with the server's key.

    Raises:
        EndpointError: it does not answer, or has no list of models.
    """
    endpoint = EndpointConfig(base_url=url, api_key_env=key_variable, connect_seconds=CONNECT_SECONDS)
    server = Connection(CandidateConfig("discovery", ENDPOINT, "", endpoint=endpoint))
    try:
        entries = objects((await server.ask("/models", seconds=ASK_SECONDS)).get("data"))
        if any(entry.get("owned_by") == "zooter" for entry in entries):
            raise EndpointError("this is a Zooter endpoint", "Show its fleet with `zooter demo --fleet DIR`.")
        details, make = await _details(server)
        listed = [{**entry, **details.get(str(entry.get("id")), {})} for entry in entries]
        shared = await of_llama_cpp(server) if make == LLAMA_CPP else None
        places = asyncio.Semaphore(AT_ONCE)

        async def model(name: str, listing: Mapping[str, Any]) -> Model:
            abilities = shared
            if make == OLLAMA:  # the only one that has to be asked about each model: a hosted list has hundreds
                async with places:
                    abilities = await of_ollama(server, name)
            base = base_of(listing, listed)
            abilities = abilities or of_entry(listing, base)
            return _model(server, make or _make(listing), name, listing, abilities, str(base.get("id", "")))

        return await asyncio.gather(*(model(listing["id"], listing) for listing in listed if _writes(listing)))
    finally:
        await server.close()


def _writes(listing: Mapping[str, Any]) -> bool:
    """Whether an entry of a list of models is one that writes text, as far as its name and type tell."""
    name = listing.get("id")
    named = isinstance(name, str) and name and not EMBEDDINGS.search(name)
    return bool(named) and listing.get("type") not in ("embedding", "embeddings")


async def _details(server: Connection) -> tuple[dict[str, dict[str, Any]], str]:
    """What Ollama and LM Studio list of their models, by name, and which make of server it is.

    llama.cpp comes first: its server has Ollama's list too, without the details.
    """
    root = server.client.url.removesuffix("/v1")
    for path, member, key, make in (
        ("/props", "", "", LLAMA_CPP),
        ("/api/tags", "models", "name", OLLAMA),
        ("/api/v0/models", "data", "id", LM_STUDIO),
    ):
        with suppress(EndpointError):
            answer = await server.ask(root + path, seconds=ASK_SECONDS)
            if make == LLAMA_CPP and "default_generation_settings" in answer:
                return {}, make
            if isinstance(entries := answer.get(member), list):
                return {entry[key]: entry for entry in objects(entries) if isinstance(entry.get(key), str)}, make
    return {}, ""


def _make(entry: Mapping[str, Any]) -> str:
    return {"vllm": VLLM, "llamacpp": LLAMA_CPP}.get(str(entry.get("owned_by")), OTHER)


def _model(
    server: Connection, make: str, name: str, listing: Mapping[str, Any], abilities: Abilities, base: str
) -> Model:
    """A model from what its server lists of it."""
    details, meta = (value if isinstance(value := listing.get(key), dict) else {} for key in ("details", "meta"))
    count = meta.get("n_params")
    billions = round(count / 1e9, 2) if is_number(count) else billions_in(str(details.get("parameter_size", "")))
    size = listing.get("size", meta.get("size"))
    capabilities = listing.get("capabilities")
    parallel = abilities.parallel or (1 if make in SLOW_TO_LOAD else None)
    longest = abilities.context_tokens or listing.get("loaded_context_length") or listing.get("max_context_length")
    return Model(
        ENDPOINT,
        name,
        f"on {make} at {server.config.host}",
        make,
        billions or billions_in(base or name),
        size if isinstance(size, int) and size > 0 else None,
        str(details.get("family") or listing.get("arch") or ""),
        str(details.get("quantization_level") or listing.get("quantization") or meta.get("ftype") or ""),
        longest if isinstance(longest, int) and longest > 0 else None,
        abilities.images if listing.get("type") != "vlm" else True,
        "tool_use" in capabilities if make == LM_STUDIO and isinstance(capabilities, list) else abilities.tools,
        abilities.json_mode,
        server.config.base_url,
        server.config.api_key_env,
        parallel,
        base,
    )


def models_in(folder: Path) -> list[Model]:
    """The models in a folder: GGUF files, transformers folders, and Ollama's blobs by its manifests."""
    models = [*_of_ollama(folder), *(model for path in _paths(folder) if (model := _of_path(path)))]
    return sorted({model.model: model for model in models}.values(), key=lambda model: model.name)


def _paths(folder: Path) -> Iterator[Path]:
    """GGUF files and config.json files in a folder, links followed only from the hub's snapshots to its blobs."""
    for number, (place, folders, files) in enumerate(os.walk(folder)):
        if number > MOST_FILES:
            return
        folders[:] = [name for name in folders if name not in ("blobs", "refs") and not name.startswith(".")]
        for name in sorted(files):
            if name.endswith(".gguf") or name == "config.json":
                yield Path(place, name)


def _of_path(path: Path) -> Model | None:
    return _of_gguf(path) if path.suffix == ".gguf" else _of_folder(path.parent)


def _of_gguf(path: Path, name: str = "") -> Model | None:
    """A GGUF file; None if it holds no model that writes text, or is a later part of one."""
    part = PART.search(path.name)
    if part and int(part[1]) != 1:
        return None
    try:
        header = read_header(path)
        check_model(header)
        positions = header.positions
    except (WorkError, ValueError, TypeError):  # of a value that is no number
        return None
    text = name or path.stem
    count = sum(math.prod(shape) for shape in header.shapes.values()) / 1e9
    quantised = QUANTISATION.search(path.stem)
    return Model(
        GGUF,
        str(path.resolve() if name else path.absolute()),
        f"in {_shown(path.parent)}" if not name else f"Ollama's file of {name}",
        billions=round(count, 2) if count else billions_in(text),
        size=header.bytes,
        family=header.architecture,
        quantisation=quantised[0].strip("-_.:") if quantised else "",
        context_tokens=positions,
    )


def _of_folder(folder: Path) -> Model | None:
    """A transformers folder of a model that writes text; None if it is something else."""
    with suppress(OSError, ValueError, TypeError):  # a config.json may hold anything
        config = parse_json((folder / "config.json").read_text(encoding="utf-8"))
        weights = [path for path in folder.glob("*.safetensors") if path.is_file()]
        if not weights or not isinstance(config, dict):
            return None
        if not any("CausalLM" in str(name) for name in config.get("architectures") or ()):
            return None
        hub = re.search(r"models--(.+?)--(.+?)/snapshots/", folder.as_posix() + "/")
        positions = config.get("max_position_embeddings")
        size = sum(path.stat().st_size for path in weights)
        return Model(
            TRANSFORMERS,
            f"{hub[1]}/{hub[2]}" if hub else str(folder.absolute()),
            "in the hub's cache" if hub else f"in {_shown(folder.parent)}",
            billions=billions_in(hub[2] if hub else folder.name),
            size=size,
            family=str(config.get("model_type", "")),
            context_tokens=positions if isinstance(positions, int) else None,
        )
    return None


def _of_ollama(folder: Path) -> Iterator[Model]:
    """The models whose manifests lie in Ollama's folder. Their files have no names, so the manifest gives it."""
    files = (Path(place, name) for place, _, names in os.walk(folder / "manifests") for name in names)
    for path in sorted(islice(files, MOST_FILES)):
        with suppress(OSError, ValueError, KeyError, TypeError):
            for layer in parse_json(path.read_text(encoding="utf-8"))["layers"]:
                if str(layer["mediaType"]).endswith(".model"):
                    blob = folder / "blobs" / str(layer["digest"]).replace(":", "-")
                    if model := _of_gguf(blob, f"{path.parent.name}:{path.name}"):
                        yield model


def _shown(path: Path) -> str:
    """A folder for people: with ~ for the home folder."""
    text, home = str(path.absolute()), str(Path.home())
    return text.replace(home, "~", 1) if text.startswith(home + os.sep) else text
