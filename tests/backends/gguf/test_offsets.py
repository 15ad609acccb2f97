"""Q4_1 weights as Q4_0 weights and offsets in the adapters: the same weights, and the same answers."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader
from gguf.quants import dequantize

from support.gguf_models import WIDTH, candidate, write_adapter, write_model, write_peft
from zooter_core.backends import Request
from zooter_core.backends.gguf.adapters import gguf_adapter
from zooter_core.backends.gguf.backend import GgufBackend
from zooter_core.backends.gguf.header import Header, read_header
from zooter_core.backends.gguf.offsets import with_offsets, without_offsets
from zooter_core.base.records import Message
from zooter_core.config.fleet import GenerationConfig

LAYER = "blk.0.attn_q.weight"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Header:
    return read_header(write_model(tmp_path_factory.mktemp("base") / "tiny.gguf", kind="Q4_1"))


def weights(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: dequantize(tensor.data, tensor.tensor_type) for tensor in GGUFReader(path).tensors}


def test_an_example_worked_by_hand(tmp_path):
    """Two blocks of each output: with d = 0.5 and m = -3, then with d = 2 and m = 4."""
    path = write_model(tmp_path / "tiny.gguf", kind="Q4_1")
    header = read_header(path)
    numbers = bytes(range(16))  # the 16 lower halves are 0 to 15, the upper ones 0
    blocks = b"".join(np.array(pair, "<f2").tobytes() + numbers for pair in ([0.5, -3], [2, 4]))
    content, start = bytearray(path.read_bytes()), header.start(header.tensors[LAYER])
    content[start : start + len(blocks) * WIDTH] = blocks * WIDTH
    path.write_bytes(content)
    converted = without_offsets(read_header(path))
    row = weights(converted.path)[LAYER][5]
    np.testing.assert_array_equal(row[:16], 0.5 * (np.arange(16) - 8))
    np.testing.assert_array_equal(row[32:48], 2.0 * (np.arange(16) - 8))
    np.testing.assert_array_equal(row[48:], np.full(16, -16.0))
    joined = with_offsets({}, 8.0, header)
    # m + 8 d is 1 and 20: times 32, by which the mean is divided, and 2, the rank, by which llama.cpp divides.
    np.testing.assert_array_equal(joined[f"{LAYER}.lora_b"][5], [1 * 32 * 2, 20 * 32 * 2])
    np.testing.assert_array_equal(joined[f"{LAYER}.lora_a"][0], [1 / 32] * 32 + [0] * 32)
    np.testing.assert_array_equal(joined[f"{LAYER}.lora_a"][1], [0] * 32 + [1 / 32] * 32)


def test_the_file_is_smaller_says_the_same_of_the_model_and_is_written_once(base, tmp_path):
    converted = without_offsets(base)
    written, before = read_header(converted.path), converted.path.stat().st_mtime_ns
    assert (written.values, written.shapes, converted.original) == (base.values, base.shapes, base)
    assert converted.bytes == written.bytes == converted.path.stat().st_size < base.bytes
    assert without_offsets(base).path == converted.path
    assert converted.path.stat().st_mtime_ns == before
    copy = tmp_path / "elsewhere" / base.path.name  # as in another environment
    copy.parent.mkdir()
    copy.write_bytes(base.path.read_bytes())
    assert without_offsets(read_header(copy)).path == converted.path
    other = read_header(write_model(tmp_path / "tiny.gguf", seed=1, kind="Q4_1"))
    assert without_offsets(other).path != converted.path


@pytest.mark.parametrize(
    ("kind", "changes"), [("Q8_0", {}), ("Q4_1", {"architecture": "qwen2"}), ("Q4_1", {"split.count": 1})]
)
def test_other_models_stay_as_they_are(tmp_path, kind, changes):
    header = read_header(write_model(tmp_path / "tiny.gguf", kind=kind, **changes))
    assert without_offsets(header) is header


def test_llama_cpp_computes_the_same(base, tmp_path):
    pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
    from zooter_core.backends.gguf.engine import Engine

    entry, folder = candidate(base.path), write_peft(tmp_path / "lora")

    def probabilities(header: Header, adapter: Path) -> dict[int, float]:
        engine = Engine(entry, header, {"adapter": adapter}, threading.Event())
        body = {"prompt": [5, 9, 40, 33], "n_predict": 1, "n_probs": 90, "lora": [{"id": 0, "scale": 1.0}]}
        answer = engine.ask("/completion", body)
        engine.close()
        return {
            token["id"]: np.exp(token["logprob"]) for token in answer["completion_probabilities"][0]["top_logprobs"]
        }

    converted = without_offsets(base)
    plain, joined = (gguf_adapter(str(folder), header, "math") for header in (base, converted))
    expected, computed = probabilities(base, plain), probabilities(converted, joined)
    assert max(abs(computed.get(token, 0.0) - share) for token, share in expected.items()) < 0.02
    lost = probabilities(converted, plain)  # offsets that nothing adds
    assert max(abs(lost.get(token, 0.0) - share) for token, share in expected.items()) > 0.1


def test_only_candidates_with_a_peft_adapter_get_the_rewritten_model(base, tmp_path):
    peft, other = str(write_peft(tmp_path / "lora")), str(write_adapter(tmp_path / "lora.gguf"))
    entries = [candidate(base.path, adapter=peft), candidate(base.path, adapter=other), candidate(base.path)]
    gguf_backend = GgufBackend()
    gguf_backend.expect(entries)
    loaded = [gguf_backend._loader(entry).key.model for entry in entries]
    assert loaded == [without_offsets(base).path, base.path, base.path]
    assert gguf_backend._loader(candidate(base.path, adapter=peft, gpu_layers=1)).key.model == base.path
    pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
    requests = [Request(entry, (Message("user", "Why?"),)) for entry in entries]
    pieces = list(gguf_backend.stream(requests, GenerationConfig(max_new_tokens=4), threading.Event()))
    assert set(gguf_backend.resident.names()) == {base.path.name}  # as in fleet.toml, not as in the cache
    gguf_backend.spare()
    ended = [piece.response for piece in pieces if piece.response]
    assert [response.error for response in ended] == [None] * 3
