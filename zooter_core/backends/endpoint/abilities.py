"""Detects the abilities of a server's model: by the server's own routes if it has them, otherwise by tiny requests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from zooter_core.backends.endpoint.connection import CHAT, LIMIT, PROBE, Connection
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.backends.thoughts import in_template
from zooter_core.base.strict_json import objects
from zooter_core.config.tables import LARGEST
from zooter_core.data.json_records import as_number

ROUTE_SECONDS = 10.0  # timeout for a route that only some servers have
WHITE = (  # a white picture of 64 x 64 pixels; some models refuse smaller ones
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAAXklEQVR4nO3PMQ0AMAzAsPInvYLYYVWKESTzjhsd8KsBrQGtAa0B"
    "rQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0BbQHKU9LC7/CP1AAAAABJRU5ErkJggg=="
)
PICTURE = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": WHITE}}]
FUNCTION = {"name": "now", "description": "The time.", "parameters": {"type": "object", "properties": {}}}
JSON_PROBE = [{"role": "user", "content": "Reply with an empty JSON object."}]
PRICES = {  # key in fleet.toml -> its names at OpenRouter (dollars per token), Together and DeepInfra (per million)
    "usd_per_million_tokens": ("completion", "output", "output_tokens"),
    "usd_per_million_prompt_tokens": ("prompt", "input", "input_tokens"),
    "usd_per_million_cached_tokens": ("input_cache_read", "cached_input", "cache_read_tokens"),
}
DEAREST = 1e4  # dollars per million tokens; higher prices are taken for errors


@dataclass(frozen=True)
class Abilities:
    """The abilities of a model; None if unknown."""

    context_tokens: int | None = None  # for prompt and answer together
    images: bool | None = None
    tools: bool | None = None
    json_mode: bool | None = None
    logprobs: bool | None = None
    thinking: bool | None = None  # whether the model can think before it answers
    parallel: int | None = None  # concurrent requests of the server
    # From the server's list, as keys of `[[candidate]]` with values; the price of answers comes first.
    prices: tuple[tuple[str, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"prices": dict(self.prices)}


async def find_abilities(server: Connection) -> Abilities:
    """The abilities of a server's model. `check_server` must have succeeded before."""
    model = server.model
    abilities = await ask_llama_cpp(server) or await ask_ollama(server, model) or await _ask_list(server, model)
    trials: dict[str, dict[str, Any]] = {
        "images": {"messages": [{"role": "user", "content": PICTURE}]},
        "tools": {"messages": PROBE, "tools": [{"type": "function", "function": FUNCTION}]},
        "json_mode": {"messages": JSON_PROBE, "response_format": {"type": "json_object"}},
        "logprobs": {"messages": PROBE, "logprobs": True},
    }
    for name, body in trials.items():
        if getattr(abilities, name) is None:
            result: dict[str, Any] = {name: await _trial(server, name, body)}
            abilities = replace(abilities, **result)
    return abilities


async def ask_llama_cpp(server: Connection) -> Abilities | None:
    """The abilities according to `/props` of llama.cpp; None for other servers.

    With llama.cpp's grammars, any model can write JSON. It ignores tools if the chat template has none.
    """
    props = await ask_route(server, "/props")
    if "default_generation_settings" not in props:
        return None
    return Abilities(
        context_tokens=read_count(get_nested(props, "default_generation_settings", "n_ctx")),
        images=_flag(get_nested(props, "modalities", "vision")),
        tools=_flag(get_nested(props, "chat_template_caps", "supports_tools")),
        json_mode=True,
        thinking=in_template(template) if isinstance(template := props.get("chat_template"), str) else None,
        parallel=read_count(props.get("total_slots")),
    )


async def ask_ollama(server: Connection, model: str) -> Abilities | None:
    """The abilities according to `/api/show` and `/api/ps` of Ollama; None for other servers.

    The context is the loaded one: Ollama silently cuts longer prompts.
    """
    shown = await ask_route(server, "/api/show", {"model": model})
    capabilities = shown.get("capabilities")
    if not isinstance(capabilities, list):
        return None
    running = objects((await ask_route(server, "/api/ps")).get("models"))
    lengths = [read_count(one.get("context_length")) for one in running if model in (one.get("name"), one.get("model"))]
    parameters = shown.get("parameters")
    text = parameters if isinstance(parameters, str) else ""
    setting = re.search(r"^num_ctx\s+(\d{1,18})(?!\d)", text, re.MULTILINE)
    context = next(filter(None, lengths), int(setting[1]) if setting else None)
    images, tools, thinking = (name in capabilities for name in ("vision", "tools", "thinking"))
    return Abilities(context, images, tools, json_mode=True, thinking=thinking)


async def _ask_list(server: Connection, model: str) -> Abilities:
    """The abilities according to the server's list of models, for example of vLLM or OpenRouter."""
    entries: list[dict[str, Any]] = []
    with suppress(EndpointError):  # some servers have no list
        entries = objects((await server.ask("/models", seconds=ROUTE_SECONDS)).get("data"))
    entry = next((entry for entry in entries if entry.get("id") == model), {})
    return read_entry(entry, find_base(entry, entries))


def find_base(entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The entry of the base model of a LoRA adapter in vLLM's list; empty if the entry is not an adapter."""
    parent = entry.get("parent")
    return next((one for one in entries if parent and parent == one.get("id") != entry.get("id")), {})


def read_entry(entry: Mapping[str, Any], base: Mapping[str, Any]) -> Abilities:
    """The abilities according to an entry in the list of models of vLLM, Groq, Together, DeepInfra or OpenRouter.

    Only OpenRouter lists modalities and parameters.

    Args:
        base: the entry of the base model, whose length applies to a LoRA adapter in vLLM.
    """
    lengths = (
        *(one.get("max_model_len") for one in (entry, base)),
        *(entry.get("context_length"), entry.get("context_window"), get_nested(entry, "metadata", "context_length")),
    )
    inputs, fields = get_nested(entry, "architecture", "input_modalities"), entry.get("supported_parameters")
    tools, json_mode = (name in fields if isinstance(fields, list) else None for name in ("tools", "response_format"))
    return Abilities(
        context_tokens=next(filter(None, map(read_count, lengths)), None),
        images="image" in inputs if isinstance(inputs, list) else None,
        tools=tools,
        json_mode=json_mode,
        prices=_prices(get_nested(entry, "pricing") or get_nested(entry, "metadata", "pricing")),
    )


def _prices(pricing: object) -> tuple[tuple[str, float], ...]:
    """The prices of a model in a server's list; empty if there is no price for answers.

    Together lists 0 for an unknown price; OpenRouter lists "0" for free models and -1 for variable prices.
    """
    listed = pricing if isinstance(pricing, dict) else {}
    unit = 1e6 if "prompt" in listed else 1
    numbers = {key: as_number(next(filter(None, map(listed.get, names)), None)) for key, names in PRICES.items()}
    prices = {key: round(unit * number, 6) for key, number in numbers.items() if number is not None and number >= 0}
    usable = "usd_per_million_tokens" in prices and max(prices.values()) < DEAREST
    return tuple(prices.items()) if usable else ()


async def ask_route(server: Connection, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """The JSON object at a path of the server outside `/v1`; empty if there is none."""
    with suppress(EndpointError):  # other servers may send anything
        return await server.ask(server.client.url.removesuffix("/v1") + path, body, ROUTE_SECONDS)
    return {}


async def _trial(server: Connection, name: str, body: Mapping[str, Any]) -> bool | None:
    """Whether the server supports the ability that a tiny request uses; None if the request failed otherwise."""
    body = {"model": server.model, **body}
    try:
        reply = await server.ask_model(CHAT, body, {LIMIT: 1}, server.config.first_token_seconds)
    except EndpointError as error:
        return False if error.refused else None
    choice = get_nested(reply, "choices", 0)
    if name == "json_mode":  # transformers serve ignores response_format
        text = get_nested(choice, "message", "content")
        return not isinstance(text, str) or text.strip()[:1] in ("", "{")
    return bool(get_nested(choice, "logprobs")) if name == "logprobs" else True


def get_nested(value: Any, *keys: str | int) -> Any:
    """The value at a path in nested JSON; None if it does not exist."""
    for key in keys:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def read_count(value: object) -> int | None:
    """The value if it is a count that fleet.toml accepts; None for anything else that a server may send."""
    return value if type(value) is int and 0 < value <= LARGEST else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
