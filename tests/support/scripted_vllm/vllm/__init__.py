"""What child.py uses of vLLM. An answer is "SEED on LENGTH" and the adapter's name, a word a step.

Rules, by seed of a request: `die` ends the process, `refuse` is no valid request, `hang` never goes on after its first
word, `abort` is ended by vLLM. `fail` is raised when the engine is made, `adapters` when one is loaded. With `fork` it
starts a process as vLLM does on a GPU.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from vllm import sampling_params

FOLDER = Path(os.environ["SCRIPTED_VLLM"])
SamplingParams = sampling_params.SamplingParams


def note(**event: Any) -> None:
    with (FOLDER / "events.jsonl").open("a") as log:
        print(json.dumps(event), file=log)


class EngineDeadError(Exception):
    pass


def TokensPrompt(prompt_token_ids: list[int]) -> list[int]:  # noqa: N802 (vLLM's name)
    return prompt_token_ids


@dataclass
class EngineArgs:
    model: str
    revision: str | None
    dtype: str
    max_model_len: int | None
    gpu_memory_utilization: float
    max_num_seqs: int = 2
    tensor_parallel_size: int = 1
    enable_lora: bool = False
    max_lora_rank: int = 16
    max_loras: int = 1


class LLMEngine:
    def __init__(self, args: EngineArgs) -> None:
        self.rules = json.loads((FOLDER / "rules.json").read_text())
        note(start=asdict(args))
        print("library chatter")
        if self.rules.get("fail"):
            print(f"(EngineCore pid=1) ERROR 11-23 [core.py:1] {self.rules['fail']}")
            raise RuntimeError("Engine core initialization failed. See root cause above.")
        if self.rules.get("fork"):
            process = multiprocessing.get_context("fork").Process(target=os.getpid)
            process.start()
            process.join()
        self.vllm_config = SimpleNamespace(
            model_config=SimpleNamespace(max_model_len=args.max_model_len or 512),
            scheduler_config=SimpleNamespace(max_num_seqs=args.max_num_seqs),
        )
        self.engine_core = SimpleNamespace(shutdown=lambda: note(shutdown=True))
        self.running: dict[str, tuple[int, list[str]]] = {}

    @classmethod
    def from_engine_args(cls, args: EngineArgs) -> LLMEngine:
        return cls(args)

    def has_unfinished_requests(self) -> bool:
        return bool(self.running)

    def add_lora(self, adapter: Any) -> None:
        if adapter.name in self.rules.get("adapters", []):
            raise ValueError("no adapter_model.safetensors")
        note(adapter=adapter.path)

    def add_request(self, number: str, prompt: list[int], params: SamplingParams, lora_request: Any) -> None:
        if params.seed in self.rules.get("refuse", []):
            raise ValueError("a token that the model has not")
        note(add=params.seed, beside=len(self.running))
        words = [f"{params.seed}", " on", f" {len(prompt)}", *([f" {lora_request.name}"] if lora_request else [])]
        words.append("")  # the end of the turn
        self.running[number] = (params.seed, words[: params.max_tokens])

    def abort_request(self, numbers: list[str]) -> None:
        note(abort=len(numbers))
        for number in numbers:
            self.running.pop(number, None)

    def step(self) -> list[Any]:
        if any(seed in self.rules.get("die", []) for seed, _ in self.running.values()):
            if self.rules.get("quietly"):
                os._exit(3)
            print("(EngineCore pid=1) ERROR 11-23 [core.py:1] torch.AcceleratorError: an illegal memory access")
            raise EngineDeadError("EngineCore encountered an issue. See stack trace (above) for the root cause.")
        time.sleep(0.001)
        outputs = []
        for number, (seed, words) in list(self.running.items()):
            if not words:  # it hangs
                continue
            word = words.pop(0)
            finish = None
            if seed in self.rules.get("hang", []):
                words.clear()
            elif not words:
                finish = "abort" if seed in self.rules.get("abort", []) else "length" if word else "stop"
                del self.running[number]
            answer = SimpleNamespace(text=word, token_ids=[1], finish_reason=finish)
            outputs.append(SimpleNamespace(request_id=number, outputs=[answer], finished=finish is not None))
        return outputs
