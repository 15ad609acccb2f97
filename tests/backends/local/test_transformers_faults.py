"""Faults of model folders: a clear message, and the other candidates answer. Placements and quantisation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast

from support import tiny_models
from support.read_stream import stream
from zooter_core.backends.local.checkpoint import Checkpoint
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.base.errors import ZooterError
from zooter_core.config.candidates import CandidateConfig, MemoryConfig
from zooter_core.config.fleet import load_fleet


@pytest.fixture
def folder(tiny_fleet: Path, tmp_path: Path) -> Path:
    """A base to damage."""
    return Path(shutil.copytree(tiny_fleet / "base", tmp_path / "tested"))


@pytest.fixture
def sound(tiny_fleet: Path) -> CandidateConfig:
    return load_fleet(tiny_fleet).candidate("base")


def candidate(folder: Path, **keys) -> CandidateConfig:
    return CandidateConfig("tested", "transformers", str(folder), **{"dtype": "float32", **keys})


def ask(backend, *candidates):
    return stream(backend, candidates)[1]


def check(faulty: CandidateConfig, sound: CandidateConfig, *words: str) -> None:
    """It fails with these words, by `load` and in an answer, and the sound one answers beside it."""
    backend = TransformersBackend()
    good, bad, again = ask(backend, sound, faulty, sound)
    assert (good.error, again.error, bad.finish) == (None, None, "error")
    for word in words:
        assert word in str(bad.error)
    assert "\n" not in str(bad.error)
    with pytest.raises(ZooterError) as caught:
        backend.load(faulty)
    assert caught.value.failure == bad.error


def check_same(tested: CandidateConfig, sound: CandidateConfig) -> None:
    """It answers as the sound one does."""
    response, expected = ask(TransformersBackend(), tested, sound)
    assert (response.error, response.text) == (None, expected.text)


def shards(folder: Path) -> list[Path]:
    """The base in several files with an index, in place of one."""
    LlamaForCausalLM.from_pretrained(folder).save_pretrained(folder, max_shard_size="20KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    return sorted(folder.glob("model-*.safetensors"))


def rewrite(file: Path, **keys) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | keys))


def test_a_model_in_several_files_is_one(folder, sound):
    assert len(shards(folder)) > 2
    check_same(candidate(folder), sound)
    assert Checkpoint.of(candidate(folder)).bytes == Checkpoint.of(sound).bytes


def cut(file: Path, bytes: int) -> str:
    file.write_bytes(file.read_bytes()[:-bytes])
    return file.name


def remove(pattern: str) -> Callable[[Path], object]:
    return lambda folder: [file.unlink() for file in folder.glob(pattern)]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 64), "model.safetensors damaged"),
        (lambda folder: cut(shards(folder)[2], 10), "model-00003-of-0000"),
        (lambda folder: shards(folder)[1].unlink(), "which the index lists"),
        (remove("model.safetensors"), "no weights (model.safetensors or pytorch_model.bin)"),
        (remove("config.json"), "a causal language model at"),
        (remove("tokenizer*"), "a tokenizer for"),
        (lambda folder: rewrite(folder / "config.json", intermediate_size=48), "shape [32, 64] instead of [32, 48]"),
    ],
)
def test_a_damaged_folder_is_named_with_its_fault(folder, sound, damage, words):
    damage(folder)
    check(candidate(folder), sound, words)


def save_tokenizer(folder: Path, added: Sequence[str] = (), **special: str) -> None:
    """Another tokenizer for the base, which has 300 tokens."""
    tokenizer = tiny_models.byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens(list(added))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", chat_template=tiny_models.CHATML, **special
    ).save_pretrained(folder)


def test_a_tokenizer_with_more_tokens_than_the_model(folder, sound):
    """Found before the weights load: in generation it would be an index beyond the embedding."""
    save_tokenizer(folder, [f"word{number}" for number in range(20)])
    words = ("its 300 tokens", "of another model: 20 more tokens, up to 'word19' (319)", "the model's own tokenizer")
    check(candidate(folder), sound, *words)


def test_a_padding_token_that_the_model_was_not_widened_for_does_no_harm(folder, sound):
    save_tokenizer(folder, pad_token="[PAD]")
    check_same(candidate(folder), sound)


def test_a_classifier_is_no_causal_model(folder, sound, tiny_fleet):
    LlamaForSequenceClassification(LlamaConfig.from_pretrained(folder)).save_pretrained(folder)
    check(candidate(folder), sound, "a causal language model at", "a LlamaForSequenceClassification")
    rewrite(folder / "config.json", architectures=None)  # then its weights say it
    check(candidate(folder), sound, "1 of its weights missing, such as lm_head.weight")
    check(candidate(tiny_fleet / "reward"), sound, "a BertForSequenceClassification")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"intermediate_size": 48}, "one for another base: its layers have other names or shapes"),
        ({"num_hidden_layers": 1}, "one for another base: base_model.model.model.layers.1"),
        ({"num_hidden_layers": 3}, "one for another base: base_model.model.model.layers.2"),
    ],
)
def test_an_adapter_of_another_base(folder, sound, tmp_path, keys, words):
    """Fewer or more layers go by unseen in peft: the adapter would work in part."""
    adapter = str(tmp_path / "one")
    names = LoraConfig(target_modules=["q_proj", "up_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(LlamaForCausalLM.from_pretrained(folder), names).save_pretrained(adapter)
    LlamaForCausalLM(LlamaConfig.from_pretrained(folder, **keys)).save_pretrained(folder)
    check(candidate(folder, adapter=adapter), sound, "a LoRA adapter for tested at one", words)
    backend = TransformersBackend()
    bare, failed, after = (ask(backend, candidate(folder, **{"adapter": which}))[0] for which in (None, adapter, None))
    assert (bare.error, after.text) == (None, bare.text)
    assert failed.finish == "error"


def test_weights_before_safetensors(folder, sound):
    weights = LlamaForCausalLM.from_pretrained(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    check_same(candidate(folder), sound)
    exact = Checkpoint.of(sound).bytes
    assert exact <= Checkpoint.of(candidate(folder)).bytes < 1.2 * exact


def test_a_hub_id_is_found_in_the_hubs_cache(folder, sound, tmp_path, monkeypatch):
    """As a download leaves it; the revision is a branch or a commit."""
    cache = tmp_path / "hub" / "models--someone--small"
    for commit, change in (("a" * 40, "x"), ("b" * 40, "max_position_embeddings")):
        shutil.copytree(folder, cache / "snapshots" / commit)
        rewrite(cache / "snapshots" / commit / "config.json", **{change: 64})
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    tested = replace(candidate(folder), model="someone/small")
    backend = TransformersBackend()
    one, short, good, unknown = ask(
        backend, tested, replace(tested, revision="b" * 40), sound, replace(tested, model="someone/else")
    )
    assert (one.error, one.text) == (None, good.text) == (short.error, short.text)
    assert [base.model.positions for base in backend.resident._residents.values()].count(64) == 1
    assert "a causal language model at someone/else" in str(unknown.error)


def test_a_device_that_is_not_here(folder, sound):
    check(candidate(folder, device_map="cuda:9"), sound, "device_map to name a device of this machine", '"cuda:9"')
    check(candidate(folder, device_map="atuo"), sound, 'Did you mean "auto"?')


@pytest.mark.parametrize("device_map", ["cpu", "auto"])
def test_a_model_is_placed_by_accelerate(folder, sound, device_map):
    check_same(candidate(folder, device_map=device_map), sound)


def test_what_does_not_fit_into_the_budget_is_offloaded(folder, sound, tiny_fleet):
    size = Checkpoint.of(sound).bytes
    tested = candidate(folder, device_map="auto", memory=MemoryConfig(0.6 * size / 1e9))
    backend = TransformersBackend()
    for _ in range(2):
        offloaded, good = ask(backend, tested, sound)
        assert (offloaded.error, offloaded.text) == (None, good.text)
    assert 0 < backend.resident.used()["cpu"] - size < 0.6 * size
    adapted = replace(tested, adapter=str(tiny_fleet / "adapters" / "one"))
    (failed,) = ask(backend, adapted)
    assert "partly offloaded (device_map)" in str(failed.error)


def test_quantisation_without_its_package_says_what_to_install(folder, sound, monkeypatch):
    monkeypatch.setattr("zooter_core.backends.local.model.importlib.util.find_spec", lambda name: None)
    check(candidate(folder, quantisation="4bit"), sound, "bitsandbytes", "pip install 'zooter[quant]'")
