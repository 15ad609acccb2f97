"""Large models in turn on one device: python benchmarks/real_fleet.py [--size 13b|7b|tiny] [--parts switch ...]

Runs six models with the shape of Llama 2 13B (26 GB each in bfloat16), or of Mistral 7B (14.5 GB), on a GPU that cannot
hold all of them. Their files are sparse: a real header and zeros that take no space on the disk. Everything works as
with downloaded models, and loads are as fast as memory and bus allow. Speeds are measured with random weights.
`--size tiny` runs the same on a CPU, where the figures have no meaning.

Parts: `switch` (loads, unloads and memory), `speed` (tokens/s of the backend against plain generate(), alone and in
batches), `exam` (`zooter exam --quick` on four of the models, whose answers are nonsense).
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast
from transformers import GenerationConfig as Settings

from zooter_core.backends import Request, iter_responses, memory
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.backends.residency import NEVER
from zooter_core.base.paths import ROOT
from zooter_core.base.records import Message
from zooter_core.base.weights import quiet_libraries
from zooter_core.config.candidates import CandidateConfig, MemoryConfig
from zooter_core.config.fleet import GenerationConfig

sys.path.insert(0, str(ROOT / "tests"))
from support import tiny_models

SHAPES: dict[str, dict[str, int]] = {
    "13b": {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40, "num_attention_heads": 40,
            "num_key_value_heads": 40, "vocab_size": 32000, "max_position_embeddings": 4096},
    "7b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
           "num_key_value_heads": 8, "vocab_size": 32768, "max_position_embeddings": 32768},
    "tiny": {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 4, "vocab_size": 1000, "max_position_embeddings": 4096},
}  # fmt: skip
DEVICE = "cuda:0" if torch.cuda.is_available() else "cpu"
SWITCHES = 50
QUERY = "Describe a walk through a market in the morning."


def save_model(folder: Path, size: str) -> int:
    """Write a model's folder with sparse weights. Return their size in bytes."""
    config = LlamaConfig(**SHAPES[size], dtype="bfloat16", bos_token_id=None, eos_token_id=None, pad_token_id=0)
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(folder)
    tokenizer = tiny_models.byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_start|>", chat_template=tiny_models.CHATML
    ).save_pretrained(folder)
    with torch.device("meta"):
        shapes = AutoModelForCausalLM.from_config(config).state_dict()
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, weight in shapes.items():
        start, end = end, end + 2 * math.prod(weight.shape)
        header[name] = {"dtype": "BF16", "shape": list(weight.shape), "data_offsets": [start, end]}
    words = json.dumps(header).encode()
    words += b" " * (-len(words) % 8)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(words).to_bytes(8, "little") + words)
        file.truncate(8 + len(words) + end)
    return end


def memory_used() -> int:
    """Bytes that this process uses on the models' device."""
    return torch.cuda.memory_allocated() if DEVICE != "cpu" else psutil.Process().memory_info().rss


def synchronise() -> None:
    if DEVICE != "cpu":
        torch.cuda.synchronize()


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    synchronise()
    begun = time.perf_counter()
    result = function()
    synchronise()
    return time.perf_counter() - begun, result


def ask(backend: TransformersBackend, candidate: CandidateConfig, rows: int = 1, tokens: int = 1) -> int:
    """Generate greedy responses to one query. Return their number of tokens."""
    requests = [Request(candidate, (Message("user", f"{QUERY} {number}"),)) for number in range(rows)]
    count = 0
    for _, response in iter_responses(backend.stream(requests, GenerationConfig(tokens, 0.0), threading.Event())):
        assert response.error is None, response.error
        count += response.tokens
    return count


def switch(backend: TransformersBackend, candidates: list[CandidateConfig], times: int) -> None:
    """Run each candidate in turn, so that unloaded candidates have to be loaded again."""
    seconds, after = [], []
    for number in range(times):
        candidate = candidates[number % len(candidates)]
        before, loaded = memory_used(), set(backend.resident.names())
        spent, _ = timed(lambda candidate=candidate: ask(backend, candidate))
        unloaded = loaded - set(backend.resident.names())
        seconds.append(spent)
        after.append(memory_used())
        print(
            f"switch {number + 1:2d} to {candidate.name}: {spent:6.2f} s; "
            f"left: {', '.join(sorted(unloaded)) or 'none'}; "
            f"kept {len(backend.resident.names())}, counted {memory.in_bytes(sum(backend.resident.used().values()))}, "
            f"in the process {memory.in_bytes(before)} -> {memory.in_bytes(after[-1])}"
        )
    full = min(len(backend.resident.names()), times - 1)  # the first switch that unloads another model
    departed, _ = timed(backend.resident.spare)
    print(
        f"load and first token: median {sorted(seconds)[len(seconds) // 2]:.2f} s; all leave in {departed:.3f} s, then "
        f"{memory.in_bytes(memory_used())}; growth from switch {full + 1} to {times}: "
        f"{(after[-1] - after[full]) / 1e6:+.1f} MB"
    )


def drawn(backend: TransformersBackend, candidate: CandidateConfig) -> Any:
    """A candidate's base model with random weights."""
    ask(backend, candidate)
    with backend.resident.use(backend._loader(candidate), NEVER) as base, torch.no_grad():
        assert base is not None
        torch.manual_seed(0)
        for weight in base.model.parameters():
            weight.normal_(0, 0.02) if weight.dim() > 1 else weight.fill_(1)
    return base


def prompts(base: Any, rows: int) -> Any:
    texts = [f"<|im_start|>user\n{QUERY} {number}<|im_end|>\n<|im_start|>assistant\n" for number in range(rows)]
    return base.tokenizer(texts, padding=True, return_tensors="pt").to(base.device)


@torch.inference_mode()
def plain(base: Any, rows: int, tokens: int) -> int:
    """Run transformers' generate() without the backend: greedy, with the same length."""
    settings = Settings(max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, pad_token_id=0, eos_token_id=1)
    output = base.model.generate(**prompts(base, rows), generation_config=settings)
    return rows * (output.shape[1] - prompts(base, rows)["input_ids"].shape[1])


def speed(backend: TransformersBackend, candidate: CandidateConfig, tokens: int, rounds: int) -> None:
    """Measure the same requests through the backend and through generate(), in turn."""
    base = drawn(backend, candidate)
    base.__dict__["ends"] = {1}  # rows must not end early, and neither writes this token
    with torch.no_grad():
        base.model.lm_head.weight[1] = 0
    for rows in (1, 8, 32):
        speeds: dict[str, list[float]] = {"backend": [], "generate()": []}
        for _ in range(rounds + 1):  # the first one warms up
            for name, function in (
                ("backend", lambda rows=rows: ask(backend, candidate, rows, tokens)),
                ("generate()", lambda rows=rows: plain(base, rows, tokens)),
            ):
                spent, count = timed(function)
                speeds[name].append(count / spent)
        medians = {name: sorted(values[1:])[rounds // 2] for name, values in speeds.items()}
        shown = ", ".join(f"{name} {value:.1f} tokens/s" for name, value in medians.items())
        print(
            f"{rows:2d} together, {tokens} tokens each: {shown}, ratio {medians['backend'] / medians['generate()']:.2f}"
        )


def exam(models: Path) -> None:
    """Run `zooter exam --quick` on a fleet of the first four models."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            f'[[candidate]]\nname = "{place.name}"\nmodel = "{place}"\nbackend = "transformers"\n'
            for place in sorted(models.iterdir())[:4]
        ]
        (Path(folder) / "fleet.toml").write_text('name = "four"\n\n' + "\n".join(rows))
        command = [sys.executable, "-m", "zooter_core.cli", "exam", "--fleet", folder, "--quick"]
        spent, _ = timed(lambda: subprocess.run(command, cwd=ROOT, check=True))
        lines = (Path(folder) / "exam-quick" / "responses.jsonl").read_text().splitlines()
    tokens = sum(json.loads(line)["tokens"] for line in lines)
    print(f"exam: {len(lines)} answers of {tokens} tokens in {spent:.1f} s with loading, rewards and training")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=tuple(SHAPES), default="13b")
    parser.add_argument("--parts", nargs="+", default=["switch", "speed", "exam"])
    parser.add_argument("--models", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=128, help="length of a response in the speed measurements")
    parser.add_argument("--rounds", type=int, default=5)
    call = parser.parse_args()
    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        sizes = [save_model(Path(folder) / f"model-{n}", call.size) for n in range(call.models)]
        budget = 4.5 * sizes[0] / 1e9 if call.size == "tiny" else None  # of four models; else what the device has free
        candidates = [
            CandidateConfig(f"model-{n}", "transformers", f"{folder}/model-{n}", memory=MemoryConfig(budget))
            for n in range(call.models)
        ]
        print(
            f"{call.models} models of {memory.in_bytes(sizes[0])} on {DEVICE}, "
            f"{memory.in_bytes(memory.free(DEVICE))} free"
        )
        backend = TransformersBackend()
        if "switch" in call.parts:
            switch(backend, candidates, SWITCHES)
        if "speed" in call.parts:
            speed(backend, candidates[0], call.tokens, call.rounds)
        backend.resident.spare()
        gc.collect()
        if "exam" in call.parts:
            exam(Path(folder))


if __name__ == "__main__":
    main()
