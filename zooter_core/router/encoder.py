"""Sentence encoders, text -> vectors: routers learn from the vectors, and fine-tuning trains the encoder too.

Encoders of BERT's architecture run on ONNX Runtime (bert_encoder.py), others on PyTorch, as does fine-tuning. Both give
the same vectors. Importing this module loads neither.
"""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooter_core.base.errors import WorkError, ZooterError, loading
from zooter_core.base.weights import (
    LOAD_LOCK,
    check_torch,
    has_torch,
    load_reason,
    not_finite,
    quiet_libraries,
    resolve,
    stamp_weights,
)
from zooter_core.router.graph import TOKENIZER, check_patterns
from zooter_core.router.text_encoder import MOST_CHARACTERS, MOST_TOKENS, Array, TextEncoder

if TYPE_CHECKING:
    import torch

    from zooter_core.config.fleet import Runtime

Batch = Mapping[str, "torch.Tensor"]


class Encoder(TextEncoder):
    """A frozen encoder on PyTorch.

    Args:
        reference: hub id, folder or `package:NAME`.

    Raises:
        WorkError: the model does not load, or its weights or the vectors of a first text are not finite.
    """

    runtime, batch = "torch", 32

    def __init__(self, reference: str) -> None:
        super().__init__()
        check_torch(f"The encoder {reference}")
        import torch
        from transformers import AutoModel, AutoTokenizer

        quiet_libraries()
        folder = resolve(reference)
        with loading(f"an encoder at {reference}", "Name another in fleet.toml.", load_reason):
            if (file := Path(folder) / TOKENIZER).is_file():
                check_patterns(file)
            self.tokenizer = AutoTokenizer.from_pretrained(folder, truncation_side="left", trust_remote_code=False)
            with LOAD_LOCK:
                self.model = AutoModel.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False).eval()
        if getattr(self.model, "pooler", None) is not None:
            self.model.pooler = None  # states are pooled in this module; BERT's own pooling is not used
        self.reference = reference
        self.stamp = stamp_weights(folder)
        self.width = int(self.model.config.hidden_size)
        self.middle = int(self.model.config.num_hidden_layers) // 2
        if name := not_finite(self.model):
            raise self._broken(f"NaN or infinity in its weights ({name})")
        self._batches(["Hello"])  # checks that the vectors are finite

    def count(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        tokens = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [len(row) for row in tokens]

    def copy(self) -> Encoder:
        """A copy whose weights may be trained, so that it caches nothing on disk."""
        twin = copy.copy(self)
        twin.model, twin.stamp = copy.deepcopy(self.model), None
        twin._last = threading.local()
        return twin

    def save(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _run(self, batches: Sequence[Sequence[str]]) -> Iterator[Array]:
        return map(self._forward, batches)

    def _forward(self, texts: Sequence[str]) -> Array:
        import torch

        with torch.inference_mode():
            return pool_states(self.model, self.middle, self.tokens(texts)).numpy()

    def tokens(self, texts: Sequence[str]) -> Any:
        """One batch's tokens by input name, as tensors."""
        return self.tokenizer(
            [text[-MOST_CHARACTERS:] for text in texts],
            padding=True,
            truncation=True,
            max_length=MOST_TOKENS,
            return_tensors="pt",
        )


def pool_states(model: torch.nn.Module, middle: int, batch: Batch) -> torch.Tensor:
    """Vectors of shape (n, 2 * width): the mean states of layer `middle` and of the last layer, each of unit norm."""
    import torch

    states = model(**batch, output_hidden_states=True).hidden_states
    mask = batch["attention_mask"].unsqueeze(-1).float()
    pooled = [(states[layer] * mask).sum(1) / mask.sum(1) for layer in (middle, -1)]
    return torch.cat([torch.nn.functional.normalize(part, dim=-1) for part in pooled], dim=-1)


def open_encoder(reference: str, runtime: Runtime = "auto", fast: bool = False) -> TextEncoder:
    """The encoder of a reference: hub id, folder or `package:NAME`.

    Args:
        runtime: as in the [router] table of fleet.toml. With `auto`, PyTorch runs what ONNX Runtime cannot.
        fast: with `auto`, use 7-bit weights if the encoder has them.

    Raises:
        ZooterError: it cannot run this way, or it needs PyTorch, which is not installed.
        WorkError: it does not load, or its weights or the vectors of a first text are not finite.
    """
    if runtime == "torch":
        check_torch(f'runtime = "{runtime}" in [router]')
        return Encoder(reference)
    from zooter_core.router.bert_encoder import BertEncoder

    try:
        encoder = BertEncoder(reference, runtime == "int8" or (fast and runtime == "auto"))
    except ZooterError as problem:
        if runtime != "auto" or not has_torch():
            raise
        if isinstance(problem, WorkError):
            warnings.warn(f"The encoder runs on PyTorch. {problem}", stacklevel=2)
        return Encoder(reference)  # raises if the encoder's files are damaged
    if runtime == "int8" and encoder.runtime != "int8":
        step = 'Set runtime = "onnx" in [router].'
        raise ZooterError(f'an encoder with 7-bit weights at {reference}, for runtime = "int8"', "none", step)
    return encoder


class Encoders:
    """Encoders by reference, each loaded once and shared; `runtime` and `fast` as in `open_encoder`.

    Args:
        running: what is loaded already.
    """

    def __init__(self, runtime: Runtime = "auto", fast: bool = False, running: Iterable[TextEncoder] = ()) -> None:
        self._loaded = {encoder.reference: encoder for encoder in running}
        self._lock, self._runtime, self._fast = threading.Lock(), runtime, fast

    def __call__(self, reference: str) -> TextEncoder:
        with self._lock:
            if reference not in self._loaded:
                self._loaded[reference] = open_encoder(reference, self._runtime, self._fast)
            return self._loaded[reference]
