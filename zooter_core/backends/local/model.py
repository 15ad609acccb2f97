"""A language model in memory, with its tokenizer and the LoRA adapters of the candidates that share it."""

from __future__ import annotations

import importlib.util
import threading
import weakref
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from zooter_core.backends.local import memory
from zooter_core.backends.local.checkpoint import Checkpoint, dtype_of
from zooter_core.backends.local.decoding import digits_of
from zooter_core.config.candidates import CandidateConfig
from zooter_core.errors import WorkError, ZooterError, first_line
from zooter_core.weights import LOAD_LOCK, check_readable

NO_ADAPTER = "__base__"  # peft's name for a row without adapter
FULL = "too little memory for it"
FREE = "Free some, or lower budget_gb in [memory], so that fewer models are kept."
MEND = "Mend `adapter` in fleet.toml, or train it anew on this base."
ADAPTER_FILE = "adapter_model.safetensors"


class Base:
    """One language model, its tokenizer and its LoRA adapters.

    Attributes:
        lock: guards all of it while a batch runs, because peft's choice of adapter is not thread-safe.
        sizes: bytes of its parameters and buffers by device, as they lie there.
        adapters: folder -> peft's name of the adapter, which may not be any text.
    """

    def __init__(self, checkpoint: Checkpoint, held: memory.Sizes) -> None:
        """
        Args:
            held: bytes that other models take by device.

        Raises:
            ZooterError: what fleet.toml asks for is not here: a device, or bitsandbytes.
            WorkError: it does not load.
        """
        candidate = checkpoint.candidate
        self.name = Path(candidate.model).name if Path(candidate.model).is_absolute() else candidate.model
        self.tokenizer = checkpoint.tokenizer()
        self._checkpoint = checkpoint
        self._options = _placement(candidate, held)
        self.model: Any = self.bare()
        self.device = _input_device(self.model)
        self.adapters: dict[str, str] = {}
        self.lock = threading.Lock()
        self.sizes = measured(self.model)

    def bare(self) -> Any:
        """The model without adapters, whole.

        Raises:
            WorkError: it does not load, or lacks weights that a causal language model has.
        """
        candidate = self._checkpoint.candidate
        try:
            model, found = self.load_weights()
        except Exception as problem:  # transformers and safetensors raise many kinds
            if memory.is_full(problem):
                raise
            raise _unloaded(candidate, first_line(problem)) from problem
        missing, other = sorted(found["missing_keys"]), sorted(found["mismatched_keys"])
        if missing:
            raise _unloaded(candidate, f"{len(missing)} of its weights missing, such as {missing[0]}")
        if other:
            raise _unloaded(
                candidate, f"{other[0][0]} of the shape {list(other[0][1])} in place of {list(other[0][2])}"
            )
        return model.eval()

    def load_weights(self) -> tuple[Any, dict[str, Any]]:
        """The model, and which of its weights the files lack."""
        candidate = self._checkpoint.candidate
        with LOAD_LOCK:
            loaded: tuple[Any, dict[str, Any]] = AutoModelForCausalLM.from_pretrained(
                self._checkpoint.source,
                revision=candidate.revision,
                dtype=dtype_of(candidate),
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are told, with their names
                **self._options,
            )
        return loaded

    @property
    def usable(self) -> bool:
        """Whether the model is there; it is not where it could not be loaded again after an adapter that failed."""
        return self.model is not None

    @property
    def positions(self) -> int:
        """The most tokens that it can hold."""
        return int(getattr(self.model.config, "max_position_embeddings", 1 << 30))

    @cached_property
    def ends(self) -> set[int]:
        """Token ids that end a turn, as the model's generation settings and its tokenizer name them."""
        named = self.model.generation_config.eos_token_id
        ids = set(named) if isinstance(named, list) else {named}
        return {token for token in (*ids, self.tokenizer.eos_token_id) if token is not None}

    @cached_property
    def digits(self) -> list[int]:
        return digits_of(self.tokenizer)

    def add_adapter(self, candidate: CandidateConfig) -> None:
        """Load a candidate's adapter, once.

        Raises:
            WorkError: it does not load, or is one for another base.
        """
        if candidate.adapter is None or candidate.adapter in self.adapters:
            return
        if any(weight.device.type == "meta" for weight in self.model.parameters()):
            raise WorkError(
                f"a model that is in memory whole, for the adapter of {candidate.name}",
                "one of which a part waits elsewhere (device_map)",
                "Merge the adapter into the model's weights, or use quantisation.",
            )
        from peft import PeftModel

        check_readable(Path(candidate.adapter))
        name = f"adapter{len(self.adapters)}"
        options = {"adapter_name": name, "autocast_adapter_dtype": False, "is_trainable": False}
        try:
            with LOAD_LOCK:
                if self.adapters:
                    self.model.load_adapter(candidate.adapter, **options)
                else:
                    self.model = PeftModel.from_pretrained(self.model, candidate.adapter, **options).eval()
            problem = self._stranger(candidate.adapter, name)
        except Exception as raised:  # a corrupt safetensors file, wrong shapes, a missing config
            problem = _plain_words(raised)
        if problem:
            self._forget(name)
            raise WorkError(
                f"a LoRA adapter for {candidate.name} at {Path(candidate.adapter).name}",
                problem,
                FREE if problem.startswith(FULL) else MEND,
            )
        self.adapters[candidate.adapter] = name
        self.sizes = measured(self.model)

    def _stranger(self, adapter: str, name: str) -> str | None:
        """What is wrong with an adapter whose weights are not those it has in this model, which peft passes over."""
        file = Path(adapter) / ADAPTER_FILE
        if not file.is_file():  # on a hub, or in another form
            return None
        with safe_open(file, framework="pt") as weights:
            there = {key for key in weights.keys() if "lora_" in key}  # noqa: SIM118 (no mapping)
        marks = (f".{name}.", ".")
        here = {key.replace(*marks) for key, _ in self.model.named_parameters() if "lora_" in key and marks[0] in key}
        return f"one for another base: {sorted(there ^ here)[0]} is in one of them alone" if there != here else None

    def _forget(self, name: str) -> None:
        """Take out what an adapter that failed to load has left in the model."""
        if not self.adapters:
            self.model = None  # two of it might not fit
            memory.give_back()
            self.model = self.bare()
        elif name in self.model.peft_config:
            self.model.delete_adapter(name)

    def adapter_of(self, candidate: CandidateConfig) -> str:
        """peft's name of a candidate's adapter."""
        return self.adapters.get(candidate.adapter or "", NO_ADAPTER)

    def choose(self, names: Sequence[str]) -> tuple[AbstractContextManager[Any], dict[str, Any]]:
        """The cheapest way to run these rows: no adapter, one adapter for all, or one named for each row."""
        if not self.adapters:
            return nullcontext(), {}
        if set(names) == {NO_ADAPTER}:
            return self.model.disable_adapter(), {}
        if len(set(names)) == 1:
            self.model.set_adapter(names[0], inference_mode=True)
            return nullcontext(), {}
        return nullcontext(), {"adapter_names": list(names)}

    def close(self) -> None:
        """Let go of the weights."""
        watched = [weakref.ref(weight) for weight in self.model.parameters()] if self.usable else []
        self.model, self.sizes = None, {}
        memory.give_back(watched)


def measured(model: Any) -> memory.Sizes:
    """Bytes of a model's parameters and buffers by device; what accelerate keeps on disk takes none."""
    sizes: Counter[str] = Counter()
    places = {name: str(place) for name, place in (getattr(model, "hf_device_map", None) or {}).items()}
    seen: set[int] = set()
    for name, weight in (*model.named_parameters(), *model.named_buffers()):
        if id(weight) in seen:  # the same under two names
            continue
        seen.add(id(weight))
        device = str(weight.device)
        if device == "meta":  # accelerate has it elsewhere until its layer runs
            part = max((part for part in places if f".{name}.".find(f".{part}.") >= 0 or not part), key=len, default="")
            device = places.get(part, "disk")
        if device != "disk":
            sizes["cuda:0" if device == "cuda" else device] += weight.numel() * weight.element_size()
    return dict(sizes)


def _placement(candidate: CandidateConfig, held: memory.Sizes) -> dict[str, Any]:
    """Where and in which form the weights go, as options of `from_pretrained`."""
    places, budget = memory.devices(candidate.device_map), memory.budget_of(candidate)
    options: dict[str, Any] = {}
    if candidate.device_map in memory.SPREAD:
        most = {
            int(place.partition(":")[2]) if ":" in place else place: memory.room(place, held, budget)
            for place in dict.fromkeys((*places, "cpu"))
        }
        if len(most) > 1:  # the budget is the GPUs'
            most["cpu"] = memory.room("cpu", {}, None)
        options = {"device_map": candidate.device_map, "max_memory": most}
    elif places[0] != "cpu" or candidate.quantisation:  # at once where it belongs, not by way of the processor's memory
        options = {"device_map": {"": places[0]}}
    if candidate.offload_folder:
        options["offload_folder"] = candidate.offload_folder
    if candidate.quantisation:
        options["quantization_config"] = _quantised(candidate)
    return options


def _quantised(candidate: CandidateConfig) -> Any:
    """Settings of bitsandbytes.

    Raises:
        ZooterError: it is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ZooterError(
            f"bitsandbytes for the quantisation of {candidate.name}",
            "no such package installed",
            "Run `pip install 'zooter[quant]'`, or take quantisation out of fleet.toml.",
        )
    from transformers import BitsAndBytesConfig

    if candidate.quantisation == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype_of(candidate))


def _input_device(model: Any) -> torch.device:
    """Where a model's prompts go: to its embeddings, or, where those wait elsewhere, to where they will work."""
    device: torch.device = model.get_input_embeddings().weight.device
    if device.type != "meta":
        return device
    return torch.device(memory.devices(None)[0])


def _unloaded(candidate: CandidateConfig, found: str) -> WorkError:
    return WorkError(f"a causal language model at {candidate.model}", found, "Check `model` in fleet.toml.")


def _plain_words(problem: Exception) -> str:
    """What is wrong with an adapter, without a library's list of all its layers."""
    words = str(problem)
    if memory.is_full(problem):
        return f"{FULL} ({memory.asked_for(problem)})"
    if "size mismatch" in words or "not found in the base model" in words:
        return "one for another base: its layers are of other names or shapes"
    return first_line(problem)
