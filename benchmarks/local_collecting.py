"""Collecting with weights in this process against plain generate(): CPU seconds a response, and peak memory.

The same model (the embedded fleet's base), queries and length on both sides, each in a process of its own, in turn. No
answer ends early, so that both sides generate the same number of tokens. Prints the medians, and the ratios of
collecting to generate().
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers import GenerationConfig as Settings

from zooter_core import pipeline
from zooter_core.backends.local.checkpoint import find_dtype
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.records import Query
from zooter_core.base.weights import quiet_libraries, resolve
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import batches

QUERIES, TOKENS, ROUNDS = 64, 48, 3
FLEET = 'name = "one"\n[[candidate]]\nname = "model"\nbackend = "transformers"\nmodel = "{}"\n'


def model_folder(folder: Path) -> Path:
    """The folder of the embedded fleet's base, without a token that ends a turn."""
    base = Path(resolve(load_fleet(EMBEDDED_FLEET).candidates[0].model))
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.eos_token = tokenizer.unk_token or "<|endoftext|>"
    model.generation_config = Settings(eos_token_id=tokenizer.eos_token_id, suppress_tokens=[tokenizer.eos_token_id])
    with torch.no_grad():
        model.lm_head.weight[tokenizer.eos_token_id] = 0  # its logit is 0, and some other one is above
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def queries_of(count: int) -> list[Query]:
    """Queries of 16 to 23 words."""
    return [Query(f"{n:05}", f"Tell me about {n} {'very ' * (10 + n % 8)}old ships.") for n in range(count)]


def plain(folder: Path, queries: list[Query], settings: GenerationConfig) -> int:
    """generate() in batches; returns the number of tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    dtype = find_dtype(CandidateConfig("model", "transformers", str(folder)))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    generation = Settings(
        max_new_tokens=settings.max_new_tokens, eos_token_id=None, do_sample=False, pad_token_id=tokenizer.eos_token_id
    )
    count, ordered = 0, sorted(queries, key=lambda query: len(query.text))
    for first in range(0, len(ordered), batches.BATCH):
        texts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": query.text}], tokenize=False, add_generation_prompt=True
            )
            for query in ordered[first : first + batches.BATCH]
        ]
        read = tokenizer(texts, return_tensors="pt", padding=True)
        with torch.inference_mode():
            output = model.generate(**read, generation_config=generation)
        new = output[:, read["input_ids"].shape[1] :]
        tokenizer.batch_decode(new, skip_special_tokens=True)
        count += new.numel()
    return count


def collect(folder: Path, queries: list[Query], settings: GenerationConfig) -> int:
    """The same through the pipeline."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "fleet.toml").write_text(FLEET.format(folder))
        ensemble = Ensemble(load_fleet(Path(place)))
        with Run(Path(place) / "run", create=True) as run:
            pipeline.start(run, ensemble, queries)
            pipeline.collect(run, ensemble, settings)
            return sum(record["tokens"] for record in run.records("responses.jsonl"))


def measure(side: str, folder: Path, queries: list[Query], settings: GenerationConfig) -> None:
    """Run one side in this process and print its figures."""
    started = time.perf_counter()
    generated = {"generate": plain, "collect": collect}[side](folder, queries, settings)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "seconds": time.perf_counter() - started,
        "tokens": generated,
        "peak_mb": usage.ru_maxrss / 1024,
    }
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", choices=("generate", "collect"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    call = parser.parse_args()
    quiet_libraries()
    if call.side:
        settings = GenerationConfig(max_new_tokens=TOKENS, temperature=0.0)
        return measure(call.side, call.folder, queries_of(QUERIES), settings)
    rounds_of: dict[str, list[dict[str, float]]] = {"generate": [], "collect": []}
    with tempfile.TemporaryDirectory() as place:
        folder = model_folder(Path(place) / "model")
        for _ in range(ROUNDS):
            for side, figures in rounds_of.items():
                child = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
                ended = subprocess.run(child, capture_output=True, text=True, check=True)
                figures.append(json.loads(ended.stdout))
    medians = {
        side: {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}
        for side, rounds in rounds_of.items()
    }
    assert medians["collect"]["tokens"] == medians["generate"]["tokens"], "one side ended early"
    for side, figures in medians.items():
        per = figures["cpu_seconds"] / QUERIES
        print(f"{side}: {per:.3f} CPU s a response, {figures['seconds']:.1f} s, peak {figures['peak_mb']:.0f} MB")
    ratios = {name: medians["collect"][name] / medians["generate"][name] for name in ("cpu_seconds", "peak_mb")}
    print(f"collect / generate: CPU {ratios['cpu_seconds']:.2f}, memory {ratios['peak_mb']:.2f}")
    return None


if __name__ == "__main__":
    main()
