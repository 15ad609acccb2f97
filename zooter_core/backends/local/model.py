"""Loads a base model with its tokenizer, and the LoRA adapters of the candidates that share it."""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from zooter_core.backends import memory
from zooter_core.backends.local.checkpoint import Checkpoint, fault, find_dtype
from zooter_core.backends.local.decoding import NO_ADAPTER, find_digits
from zooter_core.base.errors import NotInstalledError, WorkError, first_line
from zooter_core.base.weights import LOAD_LOCK, cache_dir
from zooter_core.config.candidates import CandidateConfig

FIX_ADAPTER = "Fix `adapter` in fleet.toml, or train it on this base."

# On Hopper GPUs, transformers prefers cuDNN's attention, which is made for training. It needs a new plan for every
# number of keys, that is, for every token of an answer, which takes longer than the token itself (docs/own-gpus.md).
torch.backends.cuda.enable_cudnn_sdp(False)


class Base:
    """One language model, its tokenizer and its LoRA adapters.

    Attributes:
        usable: always True (`LoadedModel`).
        lock: held while a batch runs, because selecting adapters in peft is not thread-safe.
        sizes: bytes of parameters and buffers, by device.
        adapters: folder -> the adapter's name in peft, which does not allow all characters of a path.
    """

    usable = True

    def __init__(self, checkpoint: Checkpoint, used: memory.Sizes) -> None:
        """Load the model. See `load` for arguments and errors."""
        candidate = checkpoint.candidate
        self.name = Path(candidate.model).name if Path(candidate.model).is_absolute() else candidate.model
        self.tokenizer = checkpoint.tokenizer()
        self.model: Any = load(checkpoint, used)
        device = self.model.get_input_embeddings().weight.device  # "meta" if accelerate loads the weight when needed
        self.device: torch.device = torch.device(memory.devices(None)[0]) if device.type == "meta" else device
        self.adapters: dict[str, str] = {}
        self.lock = threading.Lock()
        self.sizes = measured(self.model)

    @property
    def positions(self) -> int:
        """The context length of the model in tokens."""
        return int(getattr(self.model.config, "max_position_embeddings", 1 << 30))

    @property
    def bytes_a_token(self) -> int:
        """The size of the key-value cache in bytes per token, if all layers keep all tokens."""
        config = self.model.config.get_text_config()
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        keys = (getattr(config, "num_key_value_heads", None) or heads) * size
        return int(2 * config.num_hidden_layers * keys * self.model.dtype.itemsize)

    @cached_property
    def ends(self) -> set[int]:
        """The token ids that end a turn, according to the generation settings and the tokenizer."""
        eos = self.model.generation_config.eos_token_id
        ids = set(eos) if isinstance(eos, list) else {eos}
        return {token for token in (*ids, self.tokenizer.eos_token_id) if token is not None}

    @cached_property
    def digits(self) -> list[int]:
        return find_digits(self.tokenizer)

    def add_adapter(self, candidate: CandidateConfig) -> None:
        """Load a candidate's adapter if it is not loaded yet.

        Raises:
            WorkError: the adapter does not load, or belongs to another base.
        """
        if candidate.adapter is None or candidate.adapter in self.adapters:
            return
        if any(weight.device.type == "meta" for weight in self.model.parameters()):
            raise WorkError(
                f"a model that is completely in memory for the adapter of {candidate.name}",
                "one that is partly offloaded (device_map)",
                "Merge the adapter into the model's weights, or use quantisation.",
            )
        from peft import PeftConfig, PeftModelForCausalLM

        name = f"adapter{len(self.adapters)}"
        try:
            with LOAD_LOCK:
                config = PeftConfig.from_pretrained(candidate.adapter)
                if not self.adapters:
                    self.model = PeftModelForCausalLM(self.model, config, name, autocast_adapter_dtype=False)
                report = self.model.load_adapter(candidate.adapter, name, autocast_adapter_dtype=False)
            differing = [key for key in (*report.missing_keys, *report.unexpected_keys) if "lora_" in key]
            problem = f"one for another base: {min(differing)} is not in both" if differing else ""
        except Exception as raised:  # for example a corrupt safetensors file, wrong shapes, or a missing config
            problem = _adapter_reason(raised)
        if problem:
            self._remove_adapter(name)
            raise WorkError(
                f"a LoRA adapter for {candidate.name} at {Path(candidate.adapter).name}", problem, FIX_ADAPTER
            )
        self.model.eval()
        self.adapters[candidate.adapter] = name
        self.sizes = measured(self.model)

    def _remove_adapter(self, name: str) -> None:
        """Remove an adapter that failed to load."""
        if self.adapters:
            with suppress(ValueError):  # the adapter had not been added
                self.model.delete_adapter(name)
        elif hasattr(self.model, "unload"):
            self.model = self.model.unload()

    def choose(self, names: Sequence[str]) -> tuple[AbstractContextManager[Any], dict[str, Any]]:
        """Select the adapters for the rows of a batch in the cheapest way: none, one for all rows, or one for each row.

        Returns:
            The context in which to call the model, and arguments for the call.
        """
        if not self.adapters:
            return nullcontext(), {}
        if set(names) == {NO_ADAPTER}:
            return self.model.disable_adapter(), {}
        if len(set(names)) == 1:
            self.model.set_adapter(names[0], inference_mode=True)
            return nullcontext(), {}
        return nullcontext(), {"adapter_names": list(names)}

    def close(self) -> None:
        self.model, self.sizes = None, {}
        memory.give_back()


def load(checkpoint: Checkpoint, used: memory.Sizes) -> Any:
    """Load a model without adapters.

    Args:
        used: bytes of the models that are already loaded, by device.

    Raises:
        ZooterError: this machine lacks a device or package that fleet.toml requires.
        WorkError: the model does not load, or lacks weights of a causal language model.
    """
    candidate, options = checkpoint.candidate, _placement(checkpoint.candidate, used)
    try:
        with LOAD_LOCK:
            model, report = AutoModelForCausalLM.from_pretrained(
                checkpoint.source,
                revision=candidate.revision,
                dtype=find_dtype(candidate),
                output_loading_info=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # reported below
                **options,
            )
    except Exception as problem:  # transformers and safetensors raise many kinds of errors
        if memory.is_full(problem):
            raise
        raise fault(candidate, first_line(problem)) from problem
    missing, other = sorted(report["missing_keys"]), sorted(report["mismatched_keys"])
    if missing:
        raise fault(candidate, f"{len(missing)} of its weights missing, such as {missing[0]}")
    if other:
        raise fault(candidate, f"{other[0][0]} of the shape {list(other[0][1])} instead of {list(other[0][2])}")
    # The last tokens of a batch are a slice. With slices, torch on a CPU copies the head's weights for every row.
    if (head := model.get_output_embeddings()) is not None:
        head.register_forward_pre_hook(_make_contiguous)
    return model.eval()


def measured(model: Any) -> memory.Sizes:
    """The bytes of a model's parameters and buffers, by device, without weights that accelerate has offloaded."""
    sizes: Counter[str] = Counter()
    for weight in (*model.parameters(), *model.buffers()):
        if weight.device.type != "meta":
            sizes[str(weight.device)] += weight.numel() * weight.element_size()
    return dict(sizes)


def _make_contiguous(_: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(tensor.contiguous() for tensor in inputs)


def _placement(candidate: CandidateConfig, used: memory.Sizes) -> dict[str, Any]:
    """The options of `from_pretrained` for devices and quantisation."""
    places, budget = memory.devices(candidate.device_map), memory.read_budget(candidate)
    options: dict[str, Any] = {}
    if candidate.device_map in memory.SPREAD:
        most = {
            int(place.partition(":")[2]) if ":" in place else place: memory.room(place, used, budget)
            for place in dict.fromkeys((*places, "cpu"))
        }
        if len(most) > 1:  # the budget applies to GPUs only
            most["cpu"] = memory.room("cpu", {}, None)
        rewritten = cache_dir() / "offloaded" / hashlib.sha256(candidate.model.encode()).hexdigest()[:16]
        options = {"device_map": candidate.device_map, "max_memory": most, "offload_folder": str(rewritten)}
    elif places[0] != "cpu" or candidate.quantisation:  # load directly, without a copy in the CPU's memory
        options = {"device_map": {"": places[0]}}
    if candidate.quantisation:
        options["quantization_config"] = _quantised(candidate)
    return options


def _quantised(candidate: CandidateConfig) -> Any:
    if importlib.util.find_spec("bitsandbytes") is None:
        user, command = f"The quantisation of {candidate.name}", "pip install 'zooter[quant]'"
        raise NotInstalledError("bitsandbytes", user, command, "remove quantisation from fleet.toml")
    from transformers import BitsAndBytesConfig

    if candidate.quantisation == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=find_dtype(candidate)
    )


def _adapter_reason(problem: Exception) -> str:
    """The reason why an adapter does not load, without the libraries' lists of all layers."""
    words = str(problem)
    if "size mismatch" in words or "not found in the base model" in words:
        return "one for another base: its layers have other names or shapes"
    return first_line(problem)
