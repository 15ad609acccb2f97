"""The `[[candidate]]` table of fleet.toml, and `[memory]`, which all candidates share."""

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictBool, StrictStr, ValidationInfo, field_validator

from zooter_core.base.errors import MOST_NAMED, did_you_mean, listed, shortened
from zooter_core.base.gone import GONE
from zooter_core.base.skills import GROUPS, SKILLS
from zooter_core.base.weights import PREFIX
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.serve import VIRTUAL, is_virtual
from zooter_core.config.tables import (
    Count,
    Limit,
    Name,
    NotNegative,
    Positive,
    Reference,
    Table,
    local_path,
    reference,
    refusal,
    table,
    unknown_key,
    with_settings,
)

TRANSFORMERS, GGUF, AUTO_BACKEND, ENDPOINT, RECORDED = "transformers", "gguf", "auto", "openai", "recorded"
Thinking = Literal[False, True, "auto", "low", "medium", "high"]


@table("[memory]")
class MemoryConfig(Table):
    """The `[memory]` table: the memory on each device for the candidates' models, in gigabytes (1e9 bytes).

    The default is the memory that is free when a model is loaded, minus a margin.
    """

    budget_gb: Positive | None = None


@table("[[candidate]]")
class CandidateConfig(Table):
    """One `[[candidate]]` table."""

    name: Name
    backend: StrictStr  # `transformers`, `gguf`, `auto` (the one that reads `model`), `openai`, `recorded` or a plug-in
    # A hub id, a folder or `package:NAME`. With the backend `gguf` it is a .gguf file or a package with one, with
    # `openai` the server's name for the model, and with `recorded` a score file or a run folder.
    model: StrictStr
    adapter: Reference | None = None  # a peft folder or hub id; with `gguf` also a LoRA adapter as a .gguf file
    revision: StrictStr | None = None
    prompt_template: StrictStr | None = None
    # By default bfloat16, or float32 on a CPU that is slow at bfloat16.
    dtype: Literal["bfloat16", "float16", "float32"] | None = None
    quantisation: Literal["8bit", "4bit"] | None = None
    device_map: StrictStr | None = None  # a device, or accelerate's strategy to distribute the model over devices
    # Whether a calculator completes the model's sums (`12 * 7 = `), and answers queries that have an exact answer.
    calculator: StrictBool = False
    # Above 1, tokens that were already written become less likely; 1 has no effect.
    repetition_penalty: Annotated[float, Field(strict=True, ge=1, allow_inf_nan=False)] = 1.0
    threads: Count | None = None  # for llama.cpp; by default, the free cores that this process may use
    gpu_layers: Limit | None = None  # of llama.cpp on a GPU; by default all layers if xllamacpp was built for it
    description: StrictStr = ""
    # Its level in skills or groups of skills (base/skills.py), each in [0, 1], for a starting router.
    skills: dict[str, Annotated[float, Field(strict=True, ge=0, le=1)]] = field(default_factory=dict, hash=False)
    usd_per_million_tokens: NotNegative | None = None  # for output tokens; 0 means free
    usd_per_million_prompt_tokens: NotNegative | None = None  # for prompt tokens
    usd_per_million_cached_tokens: NotNegative | None = None  # for cached prompt tokens; by default as other ones
    # The router's name for it; by default `name`. Candidates with the same name share its probability evenly.
    routed_as: Name | None = None
    # Whether the model thinks before it answers, and how much: false, true, or an effort that its server supports.
    # "auto" and None leave that to the server; with None, Zooter finds out whether the model thinks.
    thinking: Thinking | None = None
    max_new_tokens: Count | None = None  # of an answer, without its thoughts; None means that of `[generation]`
    # The limit for prompt and answer together; None if unknown. With `gguf`, all conversations with the model share
    # this number of tokens; the default is 8,192, or what the model was trained for.
    context_tokens: Count | None = None
    # Whether it supports images, tools and JSON mode. None means yes for a candidate on a server, until the server
    # refuses them, and no for a local candidate.
    images: StrictBool | None = None
    tools: StrictBool | None = None
    json_mode: StrictBool | None = None
    endpoint: EndpointConfig | None = field(default=None, repr=False)  # with `openai`; not nested in the file
    settings: dict[str, Any] = field(default_factory=dict, hash=False)  # the keys that only a plug-in knows
    # The fleet's `[memory]`. Fleets share models, so each candidate has it.
    memory: Annotated[MemoryConfig | None, Field(validate_default=True)] = field(default=None, repr=False)

    hidden: ClassVar[Sequence[str]] = ("endpoint", "settings", "memory")
    shared: ClassVar[Sequence[str]] = (
        *("name", "backend", "model", "description", "skills", "routed_as", "usd_per_million_tokens"),
        *("usd_per_million_prompt_tokens", "usd_per_million_cached_tokens"),
        *("thinking", "max_new_tokens", "context_tokens", "images", "tools", "json_mode"),
    )
    generating: ClassVar[Sequence[str]] = ("adapter", "prompt_template", "calculator", "repetition_penalty")
    engine: ClassVar[Sequence[str]] = ("threads", "gpu_layers")  # of llama.cpp

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if is_virtual(value):
            names = listed(VIRTUAL)
            raise refusal(f"a name other than {names}, which `zooter serve` reserves", f'"{value}"', "Rename it.")
        return value

    @field_validator("model")
    @classmethod
    def _model(cls, value: str, info: ValidationInfo) -> str:
        backend = info.data.get("backend")
        if backend == ENDPOINT or not info.context:
            return value
        on_disk = backend == RECORDED or (backend == GGUF and not value.startswith(PREFIX))
        return (local_path if on_disk else reference)(value, info.context["folder"])

    @field_validator("memory", mode="before")
    @classmethod
    def _memory(cls, value: Any, info: ValidationInfo) -> Any:
        """The file's `[memory]` for all of its models: a judge and a tagger share memory with the candidates."""
        return info.context["memory"] if info.context else value

    @field_validator("skills")
    @classmethod
    def _skills(cls, value: dict[str, float]) -> dict[str, float]:
        for name in value:
            if name not in (*SKILLS, *GROUPS):
                hint = did_you_mean(name, (*GROUPS, *SKILLS))
                raise refusal("known skills or groups of them", f'"{shortened(name, MOST_NAMED)}"', hint)
        return value

    @classmethod
    def from_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The fields for a table of the file: an endpoint's keys become `endpoint`, a plug-in's keys `settings`."""
        every, remote = cls.file_keys(), EndpointConfig.file_keys()
        keys_of: dict[str, Sequence[str]] = {
            TRANSFORMERS: [key for key in every if key not in cls.engine],
            GGUF: [*cls.shared, *cls.generating, *cls.engine],
            AUTO_BACKEND: every,
            ENDPOINT: [*cls.shared, *remote],
            RECORDED: cls.shared,
        }
        backend = values.get("backend")
        if instead := GONE.get(f"backend kind {backend}"):
            raise ValueError(f'{{where}} has the backend "{backend}", which was removed: {instead}')
        if not isinstance(backend, str):  # refused elsewhere
            backend = TRANSFORMERS
        if backend not in keys_of:
            return with_settings(values, keys_of[TRANSFORMERS])
        keys = keys_of[backend]
        for key in values:
            if key not in keys:
                owner = next((name for name, others in keys_of.items() if key in others), None)
                if owner is None:
                    raise unknown_key(cls.title, key, keys)
                wrong = f'{{where}} has the key "{key}" of the backend {owner}, but its backend is {backend}.'
                raise ValueError(f"{wrong} Remove it, or correct backend.")
        if backend != ENDPOINT:
            return values
        endpoint = {key: value for key, value in values.items() if key in remote}
        return {key: value for key, value in values.items() if key not in endpoint} | {"endpoint": endpoint}

    def to_file(self) -> dict[str, Any]:
        return super().to_file() | (self.endpoint.to_file() if self.endpoint else {}) | self.settings
