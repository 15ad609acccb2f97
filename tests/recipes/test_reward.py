from __future__ import annotations

import gzip
import json
import random

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from recipes.embedded import data, reward
from recipes.embedded.pairs import broken, flask, mismatched, stronger, written, wrong_numbers
from zooter_core.config.labelling import ScalarConfig
from zooter_core.labelling.rewards import reward_model

PAIRS = [("What is the sea?", "A lot of water."), ("Add up 7 and 5", "12"), ("Why?", "")]
EXAMPLES = [(f"query {n}", f"response number {n} has these eight words in it, {n} + 1 = {n + 1}") for n in range(12)]


def test_what_training_changed_is_kept_as_an_adapter(tiny_fleet, tmp_path, monkeypatch):
    """Of full rank the adapter gives the trained model's rewards, biases and layer norms included."""
    encoder = str(tiny_fleet / "encoder")
    monkeypatch.setattr(reward, "ENCODER", encoder)
    monkeypatch.setattr(reward, "RANK", 32)
    torch.manual_seed(1)
    tuned = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=1)
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "embeddings.word" not in name and "embeddings.pos" not in name and "embeddings.token" not in name:
                weight.add_(torch.randn_like(weight) * 0.05)
    tuned.save_pretrained(tmp_path / "tuned")
    reward.save_difference(tmp_path / "tuned", tmp_path / "adapter")
    model = reward_model(ScalarConfig(encoder, adapter=str(tmp_path / "adapter")))
    scores = model.score(PAIRS)
    rows = model.tokenizer([q for q, _ in PAIRS], [r for _, r in PAIRS], padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = tuned.eval()(**rows).logits[:, 0].tolist()
    assert scores == pytest.approx(expected, abs=0.03)  # bf16
    with torch.inference_mode():
        merged_scores = reward.merged(tmp_path / "adapter").eval()(**rows).logits[:, 0].tolist()
    assert merged_scores == pytest.approx(expected, abs=0.03)


def test_pairs_differ_as_their_kind_says():
    dice = random.Random(0)
    assert all(chosen != rejected for _, chosen, rejected in mismatched(EXAMPLES, dice))
    for kind in (broken, wrong_numbers):
        pairs = list(kind(EXAMPLES, dice))
        assert len(pairs) == 12
        assert all(chosen == dict(EXAMPLES)[query] != rejected for query, chosen, rejected in pairs)


def test_flask_is_split_and_stronger_models_are_set_against_weaker_ones_of_like_length(tmp_path):
    responses = {"gpt4": "a" * 90, "chatgpt": "b" * 300, "vicuna_13b": "c" * 100, "tulu_7b": "", "bard": "d" * 95}
    records = [{"query": f"query {n}", "responses": responses if n else {}} for n in range(40)]
    with gzip.open(tmp_path / "flask.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    for held_back in (False, True):
        pairs, answers = stronger(tmp_path, held_back), flask(tmp_path, held_back, "gpt4")
        assert {(chosen[0], rejected[0]) for _, chosen, rejected in pairs} == {("a", "c")}
        assert {data.in_pipeline(query) for query, _, _ in pairs} == {held_back}
        assert answers == [(query, responses["gpt4"]) for query, _, _ in pairs]
    assert len(stronger(tmp_path, False)) + len(stronger(tmp_path, True)) == 39
    assert flask(tmp_path, False, "tulu_7b") == []


def test_what_was_written_for_this_project_is_mismatched_inside_its_field():
    fields = written(False, 0)
    assert [len(rows) > 250 for rows in fields] == [True] * 6
    for rows in fields:
        answers = {answer for _, answer in rows}
        for query, chosen, rejected in mismatched(rows, random.Random(0)):
            assert (query, chosen) in rows
            assert rejected in answers
