"""Time and memory of fine-tuning an encoder of the shape of mDeBERTa-v3-base: random weights, synthetic queries.

    accelerate launch --num_processes 8 --mixed_precision bf16 benchmarks/finetune_large.py
    python benchmarks/finetune_large.py --shape tiny --queries 40      # a rehearsal on a processor

`zooter distill --finetune all` runs on a score file of --queries queries (48,000) of about --words words over six
candidates. Each process prints its seconds and its largest memory, on the processor and on its GPU. The vectors of the
encoder before and after the training are computed on the processor by the main process, and are part of the time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import DebertaV2Config, DebertaV2Model, PreTrainedTokenizerFast

from zooter_core.cli.main import main as zooter

SHAPES = {
    "mdeberta": {"vocab_size": 251_000, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                 "num_attention_heads": 12, "position_buckets": 256},
    "tiny": {"vocab_size": 2_000, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
             "num_attention_heads": 2, "position_buckets": 32},
}  # fmt: skip
SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
WORDS, CANDIDATES = 1_500, 6


def save_encoder(folder: Path, shape: str) -> None:
    """Random weights, and a tokenizer of whole words."""
    config = DebertaV2Config(
        **SHAPES[shape], relative_attention=True, pos_att_type=["p2c", "c2p"], position_biased_input=False,
        norm_rel_ebd="layer_norm", share_att_key=True, max_relative_positions=-1, type_vocab_size=0,
        max_position_embeddings=512, layer_norm_eps=1e-7, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    DebertaV2Model(config).save_pretrained(folder)
    vocabulary = {name: number for number, name in enumerate([*SPECIAL, *(f"w{n}" for n in range(WORDS))])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]"
    ).save_pretrained(folder)


def write_scores(path: Path, queries: int, length: int) -> None:
    """Queries of random words, whose first word says which candidate is best."""
    dice = np.random.default_rng(0)
    with path.open("w") as file:
        for number in range(queries):
            words = dice.integers(0, WORDS, max(1, int(dice.normal(length, length / 3))))
            scores = {f"m{c}": int(c == words[0] % CANDIDATES) for c in range(CANDIDATES)}
            query = " ".join(f"w{word}" for word in words)
            file.write(json.dumps({"id": str(number), "query": query, "scores": scores}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(SHAPES), default="mdeberta")
    parser.add_argument("--queries", type=int, default=48_000)
    parser.add_argument("--words", type=int, default=60, help="of a query, on average")
    parser.add_argument("--epochs", type=int, default=1)
    call = parser.parse_args()
    rank = int(os.environ.get("RANK", "0"))
    with tempfile.TemporaryDirectory() as folder:  # the main process's is used; the others are told its name
        os.environ["ZOOTER_CACHE"] = f"{folder}/cache"
        command = ["distill", "--finetune", "all", "--router-set", f"epochs={call.epochs}"]
        command += ["--scores", f"{folder}/scores.jsonl", "--encoder", f"{folder}/encoder", "--out", f"{folder}/router"]
        if rank == 0:
            save_encoder(Path(folder) / "encoder", call.shape)
            write_scores(Path(folder) / "scores.jsonl", call.queries, call.words)
        begun = time.perf_counter()
        code = zooter(command)
        seconds = time.perf_counter() - begun
    memory = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB"
    if torch.cuda.is_available():
        memory += f", {torch.cuda.max_memory_allocated() / 2**20:,.0f} MB of {torch.cuda.get_device_name()}"
    rate = call.queries * call.epochs / seconds
    print(f"process {rank}: {seconds:.0f} s, {rate:.1f} queries/s of all processes together, {memory}", flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
