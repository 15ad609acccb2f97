"""Exporting models as ONNX graphs: a router becomes one graph of encoder, head and temperature, with weights that are
exact or of 7 bits.

router.py runs it without PyTorch. fleet/exports.py exports reward models in the same way.
"""

from __future__ import annotations

import copy
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zooter_core.base.errors import WorkError, first_line
from zooter_core.base.files import atomic, sha256_of, update_folder, writing
from zooter_core.base.strict_json import dump_json
from zooter_core.router.config import ABOUT, GRAPH, MAPPED, QUANTISED, VERSION, read_about
from zooter_core.router.encoder import Batch, Encoder, Encoders, pool
from zooter_core.router.graph import TOKENIZER, load_onnxruntime, tokenizer_json
from zooter_core.router.head import RouterHead
from zooter_core.router.neighbours import ARRAYS, RECORDS
from zooter_core.router.onnx_file import OPSET, map_weights
from zooter_core.router.quantise import add_quantised
from zooter_core.router.router import DistilledRouter, PortableRouter
from zooter_core.router.text_encoder import MOST_TOKENS
from zooter_core.router.torch_router import HeadModule

SAMPLE = (
    "What is the sea?",
    "Write a list of 7 apples.",
    "So.",
)  # several texts of several tokens: an export is traced
TEXTS = ["Hello", *SAMPLE]
TOLERANCE = 1e-4  # between both routers' probabilities, which are within 1e-6
SAME_CHOICES = 0.95  # the least share of queries for which 7-bit weights choose as the router does


def export_router(folder: Path, out: Path, cached: bool = False) -> PortableRouter:
    """Write a router as a folder that needs neither PyTorch nor transformers.

    Args:
        folder: of the router. Nothing in it is changed.
        out: what is there stays until the export is complete.
        cached: for the cache, which maps the weights (`map_weights`) and needs no copy of the router's neighbours.

    Raises:
        ZooterError: there is no such router, or its tokenizer is written in Python.
        WorkError: the router cannot be exported, its export gives other probabilities, or the disk is full.
    """
    load_onnxruntime()
    router = DistilledRouter.open(folder, Encoders())
    with update_folder(out, ABOUT, (ARRAYS, RECORDS, QUANTISED)) as partial:
        with writing(out):
            _write(router, partial, cached)
            for name in () if cached else (ARRAYS, RECORDS):
                if (folder / name).is_file():
                    shutil.copyfile(folder / name, partial / name)
        _check(router, partial)
        with writing(out):
            _add_quantised(router, partial)
    return PortableRouter.open(out)


class HeadGraph(torch.nn.Module):
    """Vectors -> calibrated probabilities, and each member's distribution, shape (n, members, candidates)."""

    def __init__(self, head: RouterHead, members: int) -> None:
        super().__init__()
        self.head, self.members = HeadModule.of(head.body), members
        self.temperature = head.config.calibration_temperature

    def forward(self, vectors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        probabilities = torch.softmax(self.head(vectors).double() / self.temperature, dim=-1)
        if not self.members:
            return (probabilities,)
        return probabilities, self.head.members(vectors).double().exp().transpose(0, 1)


class _Graph(torch.nn.Module):
    """Tokens -> vectors, and what HeadGraph gives."""

    def __init__(self, router: DistilledRouter, names: Sequence[str]) -> None:
        super().__init__()
        encoder = _encoder(router)
        self.model, self.middle = plain_copy(encoder.model), encoder.middle
        self.names, self.head = list(names), HeadGraph(router.head, _members(router))

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        vectors = pool(self.model, self.middle, dict(zip(self.names, values, strict=True)))
        return vectors, *self.head(vectors)


def _encoder(router: DistilledRouter) -> Encoder:
    """The router's encoder, on PyTorch."""
    assert isinstance(router.encoder, Encoder)
    return router.encoder


def _members(router: DistilledRouter) -> int:
    """How many distributions the router's head gives; 0 for those with less than two."""
    members = router.outputs(TEXTS).members
    return 0 if members is None else len(members)


def _write(router: DistilledRouter, folder: Path, cached: bool) -> None:
    encoder = _encoder(router)
    sample = dict(encoder.tokens(SAMPLE, "pt"))
    module = _Graph(router, list(sample))
    names = ("vectors", "probabilities", "members")[: 3 if module.head.members else 2]
    write_graph(module, sample, names, folder / GRAPH)
    if cached:
        map_weights(folder / GRAPH)
    tokenizer, padding = tokenizer_of(encoder.tokenizer, encoder.reference)
    (folder / TOKENIZER).write_text(tokenizer_json(tokenizer, MOST_TOKENS, "left", padding), encoding="utf-8")
    config = router.head.config
    about = {
        "version": VERSION,
        "candidates": list(router.candidates),
        "encoder": config.encoder,
        "width": config.width,
        "kind": config.kind,
        "members": module.head.members,
        "calibration_temperature": config.calibration_temperature,
        "labels": config.labels,
        "opset": OPSET,
        "sha256": {name: sha256_of(folder / name) for name in (GRAPH, TOKENIZER, *([MAPPED] if cached else []))},
    }
    _write_about(folder, about)


def _write_about(folder: Path, about: Mapping[str, Any]) -> None:
    (folder / ABOUT).write_text(dump_json(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _add_quantised(router: DistilledRouter, folder: Path) -> None:
    """Add the graph with 7-bit weights, unless too many of its choices are others."""
    about = read_about(folder)

    def check(texts: Sequence[str]) -> None:
        checksums = about["sha256"] | {QUANTISED: sha256_of(folder / QUANTISED)}
        _write_about(folder, about | {"sha256": checksums})
        exact, fast = (PortableRouter.open(folder, graph=name).probabilities(texts) for name in (GRAPH, QUANTISED))
        if (same := np.mean(exact.argmax(axis=1) == fast.argmax(axis=1))) < SAME_CHOICES:
            raise ValueError(f"they would change {1 - same:.0%} of its choices")

    tokens, warning = _encoder(router).tokens, "The router is exported without 7-bit weights"
    if not add_quantised(folder, lambda text: tokens([text], "np"), check, warning):
        _write_about(folder, about)


def _check(router: DistilledRouter, folder: Path) -> None:
    """Refuse an export with other probabilities than the router's."""
    exported = PortableRouter.open(folder)
    exact, other = router.outputs(TEXTS), exported.outputs(TEXTS)
    same = np.allclose(exact.probabilities, other.probabilities, atol=TOLERANCE)
    if exact.members is not None and other.members is not None:
        same = same and np.allclose(exact.members, other.members, atol=TOLERANCE)
    if not same:
        raise WorkError(
            "an export that gives the router's probabilities",
            "others",
            'Set runtime = "torch" in [router].',
            "The exported router's probabilities differ from the router's.",
        )


def plain_copy(model: torch.nn.Module) -> Any:
    """A copy of an encoder whose attention is exported as matrix products; the export of sdpa is slower."""
    plain: Any = copy.deepcopy(model)
    plain.set_attn_implementation("eager")
    return plain


@contextmanager
def _silence() -> Iterator[None]:
    """Silence the exporter's warnings, which are for authors of models."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def write_graph(module: torch.nn.Module, sample: Batch, outputs: Sequence[str], path: Path) -> None:
    """Export with dynamic batch size and length, and rename the file into place when it is complete.

    The exporter is the one by TorchScript: it takes a tenth of the time of the newer one by torch.export, and the graph
    runs a tenth faster, since ONNX Runtime's fusions know its patterns.

    Args:
        module: takes the values of `sample`, in their order.

    Raises:
        WorkError: torch.onnx cannot export the module.
    """
    free = {name: {0: "batch", 1: "length"} for name in sample}
    try:
        with atomic(path) as partial, _silence():
            torch.onnx.export(
                module.eval(), tuple(sample.values()), partial,
                input_names=list(sample), output_names=list(outputs), dynamic_axes=free,
                opset_version=OPSET, dynamo=False,
            )  # fmt: skip
    except OSError:
        raise
    except Exception as problem:  # torch, onnx and the model raise many kinds
        raise WorkError(
            "an encoder that torch.onnx can export", first_line(problem), 'Set runtime = "torch" in [router].'
        ) from problem


def tokenizer_of(tokenizer: Any, reference: str) -> tuple[Any, dict[str, Any]]:
    """A copy of the tokenizer inside one of transformers, and how that pads a batch.

    Raises:
        WorkError: it is written in Python.
    """
    from tokenizers import Tokenizer

    fast: Any = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        raise WorkError(
            f"a tokenizer of the tokenizers library at {reference}",
            f"{type(tokenizer).__name__}, which is written in Python",
            "Distill the router with another encoder.",
        )
    padding = {"direction": tokenizer.padding_side, "pad_token": tokenizer.pad_token}
    padding |= {"pad_id": tokenizer.pad_token_id, "pad_type_id": tokenizer.pad_token_type_id}
    return Tokenizer.from_str(fast.to_str()), padding
