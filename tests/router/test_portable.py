"""An exported router: the same outputs as on PyTorch, loaded without it, and a clear message for every damage."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from support import tiny_models
from support.stored_vectors import stored_vectors
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.router.config import ENCODER_FOLDER
from zooter_core.router.distill import fit_head
from zooter_core.router.encoder import Encoder, Encoders
from zooter_core.router.export import HeadGraph, export_router, write_graph
from zooter_core.router.graph import check_patterns, session
from zooter_core.router.kinds import KINDS, settings_of
from zooter_core.router.router import DistilledRouter, PortableRouter, Router
from zooter_core.router.text_encoder import SMALL_BATCH

LONG = "Write a long story about the ships and the people on them. " * 300
TEXTS = ["Hi", "", " \n", ".", "杯子 ☕ 是什么?", "👩‍👩‍👧‍👦🏴‍☠️", LONG, "What is 12 + 30?", *tiny_models.QUERIES]


@pytest.fixture(scope="module")
def router(exported: Path) -> Router:
    return Router.load(exported)


@pytest.fixture(scope="module")
def on_torch(tiny_fleet: Path) -> DistilledRouter:
    return DistilledRouter.open(tiny_fleet / "router", Encoders())


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(exported, tmp_path / "router"))


def change(folder: Path, **fields: object) -> None:
    file = folder / "router.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def replace_graph(folder: Path, content: bytes) -> None:
    """Another graph, with its own checksum."""
    (folder / "router.onnx").write_bytes(content)
    sums = json.loads((folder / "router.json").read_text())["sha256"]
    change(folder, sha256=sums | {"router.onnx": hashlib.sha256(content).hexdigest()})


def test_outputs_are_those_of_torch(router, on_torch):
    exact, outputs = on_torch.outputs(TEXTS), router.outputs(TEXTS)
    assert np.abs(outputs.probabilities - exact.probabilities).max() < 1e-5
    assert outputs.members.shape == exact.members.shape == (2, len(TEXTS), 3)
    assert np.abs(outputs.members - exact.members).max() < 1e-5
    assert outputs.probabilities.sum(axis=1) == pytest.approx(1)


def test_one_text_at_a_time_and_many_give_the_same(router):
    alone = np.concatenate([router.probabilities([text]) for text in TEXTS])
    assert len(TEXTS) > 2 * SMALL_BATCH
    assert router.probabilities(TEXTS) == pytest.approx(alone, abs=1e-5)
    assert router.probabilities([]).shape == (0, 3)


def test_threads_share_a_graph(router):
    texts = [f"{'very ' * (n % 7)}many apples, {n}" for n in range(64)]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda text: router.probabilities([text])[0], texts))
    assert np.stack(rows) == pytest.approx(router.probabilities(texts), abs=1e-5)


def test_decisions_are_those_of_torch(router, on_torch):
    for one, other in zip(router.route(TEXTS), on_torch.route(TEXTS), strict=True):
        assert (one.query, one.candidate) == (other.query, other.candidate)
        assert one.margin == pytest.approx(other.margin, abs=1e-5)
    assert (router.candidates, router.labels) == (on_torch.candidates, on_torch.labels)
    with pytest.raises(ZooterError, match=r"route\(\[query\]\)"):
        router.route("one text")


def test_the_encoder_is_that_of_torch(router, on_torch):
    vectors, exact = router.encoder.embed(TEXTS), on_torch.encoder.embed(TEXTS)
    assert (vectors.dtype, vectors.shape) == (np.float32, exact.shape)
    assert np.abs(vectors - exact).max() < 1e-5
    assert np.array_equal(router.encoder.sentence(vectors), vectors[:, 32:])
    assert router.encoder.count(TEXTS) == on_torch.encoder.count(TEXTS)
    assert router.encoder.runtime == "onnx"


def test_vectors_of_many_texts_are_cached_on_disk_and_apart_from_those_of_torch(
    router, on_torch, tmp_path, monkeypatch
):
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path))
    done = []
    first = router.encoder.embed_all(TEXTS, done.append)
    assert done[-1] == len(TEXTS)
    assert np.array_equal(router.encoder.embed_all(TEXTS, lambda n: pytest.fail("computed again")), first)
    on_torch.encoder.embed_all(TEXTS)
    assert stored_vectors() == 2 * len(TEXTS)


def test_it_loads_neither_pytorch_nor_transformers_and_onnxruntime_notes_nothing_for_its_maker(
    exported, on_torch, tmp_path
):
    """onnxruntime, tokenizers and numpy are all: whatever else the process loads comes with Python.

    ONNX Runtime would keep what it knows of the process and the machine in the home's cache folder, to send it later.
    """
    code = f"""
import sys
before = set(sys.modules)  # by site, for editable packages and for coverage
from zooter_core import Router
print(Router.load({str(exported)!r}).route(["What is 12 + 30?"])[0].candidate)
files = {{name: str(getattr(module, "__file__", "")) for name, module in sys.modules.items() if name not in before}}
print(*sorted({{name.partition(".")[0] for name, file in files.items() if "site-packages" in file}}))
"""
    home = tmp_path / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    call = [sys.executable, "-c", code]
    ended = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
    candidate, packages = ended.stdout.splitlines()
    assert candidate == on_torch.route(["What is 12 + 30?"])[0].candidate
    assert set(packages.split()) <= {"numpy", "onnxruntime", "tokenizers", "zooter_core"}
    assert [path for path in home.rglob("*") if "onnxruntime" in path.name] == []


def head_of(kind, encoder):
    scores = np.random.default_rng(0).random((len(tiny_models.QUERIES), 3))
    vectors = encoder.embed_all(tiny_models.QUERIES)
    return fit_head(vectors, scores, tiny_models.POOL, ENCODER_FOLDER, settings_of(kind))


def test_a_router_without_members_can_be_exported(on_torch, tmp_path):
    """The encoder is inside the router's folder; that of the tiny fleet is elsewhere."""
    DistilledRouter(head_of("kmeans", on_torch.encoder), on_torch.encoder).save(tmp_path / "router")
    outputs = export_router(tmp_path / "router", tmp_path / "out").outputs(TEXTS)
    exact = DistilledRouter.open(tmp_path / "router", Encoders()).outputs(TEXTS)
    assert np.abs(outputs.probabilities - exact.probabilities).max() < 1e-4
    assert outputs.members is None
    assert exact.members is None


class OfNumbers(torch.nn.Module):
    """A head behind a table of vectors, because the export of an encoder takes seconds."""

    def __init__(self, head):
        super().__init__()
        self.table, self.head = torch.nn.Embedding(300, head.config.width), HeadGraph(head, members=0)

    def forward(self, *numbers):
        return self.head(self.table(numbers[0]).mean(1))


# The kind of the fixture and the one above are exported with their encoder.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("zooter", "kmeans")])
def test_torch_onnx_knows_what_a_kind_computes_with(kind, on_torch, tmp_path):
    module = OfNumbers(head_of(kind, on_torch.encoder))
    numbers = torch.arange(300).reshape(60, 5)
    write_graph(module, {"numbers": numbers[:4]}, ["probabilities"], tmp_path / "head.onnx")
    with torch.inference_mode():
        (exact,) = module(numbers)
    (probabilities,) = session(str(tmp_path / "head.onnx")).run(None, {"numbers": numbers.numpy()})
    assert probabilities.shape == (60, 3)
    assert np.abs(probabilities - exact.numpy()).max() < 1e-4


def test_what_was_there_stays_until_the_export_is_whole(folder, tiny_fleet, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def broken(*arguments, **options):
        raise RuntimeError("no such operator\nand so on")

    monkeypatch.setattr(torch.onnx, "export", broken)
    with pytest.raises(WorkError, match=r"torch\.onnx can export, but found no such operator"):
        export_router(tiny_fleet / "router", folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_export_with_other_probabilities_is_refused(exported, tiny_fleet, tmp_path, monkeypatch):
    tiny_models.save_router(tmp_path / "other", tiny_models.POOL, tiny_fleet / "encoder", seed=9)
    graph = (exported / "router.onnx").read_bytes()
    monkeypatch.setattr(torch.onnx, "export", lambda module, values, path, **options: path.write_bytes(graph))
    with pytest.raises(WorkError, match="The exported router's probabilities differ"):
        export_router(tmp_path / "other", tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["router.onnx", "tokenizer.json"])
def test_a_missing_or_another_file(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ZooterError, match=rf"{name} is not the file that was exported\. Copy the whole folder again"):
        Router.load(folder)
    (folder / name).unlink()
    with pytest.raises(ZooterError, match=rf"{name} is missing\. Copy the whole folder again"):
        Router.load(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"version": 2}, r"layout 1 in .*, but found layout 2\. Export it again"),
        ({"candidates": ["a", "a"]}, r'"candidates" as a list of one or more different names'),
        ({"width": "wide"}, r'"width" as a whole number above 0 in .*, but found .wide.'),
        ({"members": -1}, r'"members" as a whole number of 0 or more'),
        ({"sha256": {}}, r'"sha256" as an object with router\.onnx and tokenizer\.json'),
    ],
)
def test_a_wrong_field(folder, fields, message):
    change(folder, **fields)
    with pytest.raises(ZooterError, match=message):
        Router.load(folder)


def test_a_pool_of_another_size_than_the_graphs(folder):
    change(folder, candidates=["base", "one"])
    with pytest.raises(WorkError, match="Update onnxruntime, or export the router again"):
        Router.load(folder)


def test_a_torn_router_json(folder):
    (folder / "router.json").write_text('{"version": 1, "candi')
    with pytest.raises(WorkError, match=r"a whole router\.json"):
        Router.load(folder)


def test_a_graph_of_an_opset_to_come(folder):
    import onnx

    model = onnx.load(folder / "router.onnx")
    model.opset_import[0].version = 99
    replace_graph(folder, model.SerializeToString())
    with pytest.raises(WorkError, match=r"that ONNX Runtime [\d.]+ can run, but found .*99.*Update onnxruntime"):
        Router.load(folder)


def test_a_file_that_is_no_graph(folder):
    replace_graph(folder, b"no graph at all")
    with pytest.raises(WorkError, match=r"a router\.onnx in .* that ONNX Runtime [\d.]+ can run"):
        Router.load(folder)


def test_probabilities_that_are_not_finite(folder):
    import onnx

    model = onnx.load(folder / "router.onnx")
    for weights in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.shape == (2, 1, 3):  # the bias of the members' last layer
            weights.CopyFrom(onnx.numpy_helper.from_array(np.full_like(values, np.nan), weights.name))
            break
    else:
        pytest.fail("no such weights")
    replace_graph(folder, model.SerializeToString())
    with pytest.raises(WorkError, match=r"finite probabilities from the router in .*Export it again"):
        Router.load(folder)


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers"])
def test_without_a_package(exported, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ZooterError, match=rf"but found no package {package}\. Run `pip install {package}`"):
        Router.load(exported)


def test_an_onnxruntime_that_does_not_load(exported, tmp_path, monkeypatch):
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('no such library')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(WorkError, match=r"an onnxruntime that loads, but found no such library"):
        Router.load(exported)


def test_an_exported_router_cannot_be_changed(exported):
    with pytest.raises(ZooterError, match=r"was exported, so it routes but cannot be changed"):
        DistilledRouter.open(exported)
    assert isinstance(Router.load(exported), PortableRouter)


COMMON = [  # of CLIP, Llama 3, GPT-4o, Qwen 3.5 and DeepSeek; of normalizers
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*",
    *(r" {2,}", r"\s{2,}|[\n\r\t]", r"^▁+$", r" +▁", r"[0-9][0-9][0-9]", r" ?[^(\s|[.,!?…。，、।۔،])]+"),
]
ENDLESS = [
    *(r"(a+)+$", r"(a|aa)*b", r"a*a*b", r"a*a*$", r"\s+\s+\s+x", "a?" * 30 + "a" * 30, r"(a)\1+", r"(?=a+b)a"),
    *(r"a{0,9}a{0,9}a{0,9}b", r"a{1,2}+b", r"a{1,}+b", r"a+{2}", r"[](a+)+$]", r"(?i:'s|'t)+$", r"\s*x|" * 30 + "y"),
]


def with_pattern(folder: Path, pattern: str) -> None:
    """A tokenizer that splits by a pattern, behind one that is harmless: the last of two equal keys counts."""
    file = folder / "tokenizer.json"
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    text = json.dumps(json.loads(file.read_text()) | {"pre_tokenizer": split})
    file.write_text(text[:-1] + ', "pre_tokenizer": null}')


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_pattern_that_may_take_endless_time_is_refused(folder, pattern):
    with_pattern(folder, pattern)
    with pytest.raises(WorkError, match="that end soon"):
        PortableRouter.open(folder, checked=False)


@pytest.mark.parametrize("pattern", COMMON)
def test_the_patterns_of_known_tokenizers_are_accepted(folder, pattern):
    with_pattern(folder, pattern)
    check_patterns(folder / "tokenizer.json")


def test_the_encoder_on_torch_refuses_such_a_pattern_too(on_torch, tmp_path):
    folder = Path(shutil.copytree(on_torch.encoder.reference, tmp_path / "encoder"))
    with_pattern(folder, ENDLESS[0])
    with pytest.raises(WorkError, match="that end soon"):
        Encoder(str(folder))
