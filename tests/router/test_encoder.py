from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from zooter_core.base.errors import WorkError
from zooter_core.router import encoder
from zooter_core.router.encoder import Encoder, Encoders
from zooter_core.router.vector_store import FILE

TEXTS = ["Hi", "What is the sea?", "杯子 ☕", "Write a long story about the ships and the people on them. " * 3]


@pytest.fixture
def fresh(tiny_fleet) -> Encoder:
    """An encoder that remembers nothing yet."""
    return Encoder(str(tiny_fleet / "encoder"))


@pytest.fixture
def worked(monkeypatch):
    """The texts that went through the model, in order."""
    inputs: list[str] = []
    forward = Encoder._forward

    def counted(self, texts):
        inputs.extend(texts)
        return forward(self, texts)

    monkeypatch.setattr(Encoder, "_forward", counted)
    return inputs


def test_vectors_are_two_layers_of_unit_length(tiny_encoder):
    vectors = tiny_encoder.embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((4, 64), np.float32)
    assert np.linalg.norm(vectors[:, :32], axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert np.linalg.norm(vectors[:, 32:], axis=1) == pytest.approx(np.ones(4), abs=1e-5)


def test_sentence_is_the_last_layer(tiny_encoder):
    vectors = tiny_encoder.embed(["What is the sea?"])
    with torch.inference_mode():
        states = tiny_encoder.model(**tiny_encoder.tokenizer("What is the sea?", return_tensors="pt")).last_hidden_state
    mean = states[0].mean(0).numpy()
    assert tiny_encoder.sentence(vectors)[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_the_next_call_of_a_thread_shares_the_pass(fresh, worked):
    first = fresh.embed(TEXTS)
    with ThreadPoolExecutor(1) as other:
        other.submit(fresh.embed, TEXTS[:1]).result()  # other company, other last digits: worked anew
    assert np.array_equal(fresh.embed(TEXTS), first)
    assert len(worked) == len(TEXTS) + 1
    fresh.embed(["a"])
    fresh.embed(["b"])
    fresh.embed(["a"])
    assert worked[len(TEXTS) + 1 :] == ["a", "b", "a"]


def test_a_long_text_is_cut_at_its_beginning_and_a_huge_one_quickly(tiny_encoder):
    end = "and in the end only this counts. " * 40
    one, other, different = tiny_encoder.embed(["First. " + end, "Something else came first. " + end, end + "Really?"])
    assert one == pytest.approx(other, abs=1e-5)
    assert different != pytest.approx(other, abs=1e-3)
    end = "the end. " * 1000
    assert np.array_equal(*tiny_encoder.embed(["x" * 1_000_000 + end, "y" * 1_000_000 + end]))


def test_tokens_are_counted_uncut_and_without_marks(tiny_encoder):
    """Bytes that no merge has seen side by side stay tokens of their own."""
    assert tiny_encoder.count(["", "zqzq", "zq" * 1000]) == [0, 4, 2000]
    assert tiny_encoder.count([]) == []


def test_embed_all_keeps_its_vectors_on_disk_and_embeds_a_new_text_alone(fresh, cache, worked, tiny_fleet):
    first = fresh.embed_all(["a", "b"])
    assert sorted(worked) == ["a", "b"]
    again = Encoder(str(tiny_fleet / "encoder")).embed_all(["b", "c", "a", "c"])
    assert sorted(worked) == ["Hello", "a", "b", "c"]  # the first checks an encoder when it is loaded
    assert np.array_equal(again[[2, 0]], first)
    assert np.array_equal(again[1], again[3])


def test_vectors_that_are_not_finite_reach_nobody(fresh, cache, monkeypatch):
    """The first text worked, this one does not: no later call shares it, and nothing is kept on disk."""
    monkeypatch.setattr(fresh, "_forward", lambda texts: np.full((len(texts), 2 * fresh.width), np.nan, np.float32))
    for call in (fresh.embed, fresh.embed_all, fresh.embed):
        with pytest.raises(WorkError, match="finite vectors at"):
            call(["x"])
    assert not (cache / FILE).exists()


def test_what_is_embedded_before_an_interrupt_is_kept(fresh, cache, worked, monkeypatch):
    monkeypatch.setattr(encoder, "AT_ONCE", 2)

    def interrupt(done):
        if done > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fresh.embed_all(TEXTS, interrupt)
    worked.clear()
    fresh.embed_all(TEXTS)
    assert sorted(worked) == sorted(sorted(TEXTS, key=len)[2:])


def test_embed_all_goes_by_like_length_and_tells_how_far(fresh, cache, monkeypatch):
    monkeypatch.setattr(Encoder, "batch", 4)
    counts: list[int] = []
    texts = [f"{'a' * (n * 7 % 10)} {n}" for n in range(10)]
    vectors = fresh.embed_all(texts, counts.append)
    assert counts == [4, 8, 10]
    assert vectors == pytest.approx(np.concatenate([fresh.embed([text]) for text in texts]), abs=1e-5)


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(fresh, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "file"))
    assert fresh.embed_all(TEXTS).shape == (4, 64)


def test_encoders_load_each_model_once(tiny_fleet):
    encoders, reference = Encoders(), str(tiny_fleet / "encoder")
    with ThreadPoolExecutor(4) as threads:
        loaded = list(threads.map(encoders, [reference] * 4))
    assert all(encoder is loaded[0] for encoder in loaded)


def test_threads_share_an_encoder(fresh, tiny_encoder):
    texts = [f"{n} apples" for n in range(24)]
    expected = tiny_encoder.embed(texts)
    with ThreadPoolExecutor(2) as threads:
        orders = (range(24), range(23, -1, -1))
        forwards, backwards = threads.map(lambda order: [fresh.embed([texts[number]])[0] for number in order], orders)
    assert np.array(forwards) == pytest.approx(expected, abs=1e-5)
    assert np.array(backwards) == pytest.approx(expected[::-1], abs=1e-5)


@pytest.mark.parametrize("reference", ["/no/such/folder", "owner/not-on-this-machine"])
def test_missing_model_is_one_clear_error(reference):
    with pytest.raises(WorkError, match=f"an encoder at {reference}[^\n]*$"):
        Encoder(reference)
