"""Text models as ONNX graphs: a graph and its tokenizer.json, run by ONNX Runtime on the CPU.

This module does not need PyTorch. A tokenizer.json is untrusted, and its regular expressions run on every routed text,
in code that cannot be interrupted. A pattern such as `(a+)+$` takes exponential time, practically forever for 40
letters. `check_patterns` accepts only patterns of at most quadratic time, which include those of common tokenizers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import WorkError, shortened
from zooter_core.base.strict_json import Pairs, parse_json

GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"
COLUMNS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}  # of a graph's inputs
MOST_BRANCHES = 24  # alternatives in all patterns of a file
LONGEST = 1_000  # characters of a pattern
_CLASS = r"\[\^?(?:\\.|\[(?:\\.|[^\[\]\\])*\]|[^\[\]\\])+\]"
_ESCAPE = r"\\(?:[pP]\{\^?\w+\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[sSdDwWnrtfv]|\W)"
_ATOM = rf"(?:{_CLASS}|{_ESCAPE}|[^\\\[\]()*+?{{}}|^$])"
_WORDS = r"\(\?i:(?:'s\|'t\|'re\|'ve\|'m\|'ll\|'d|\[sdmt\]\|ll\|ve\|re)\)"
_ONE = rf"(?:(?:{_ATOM}|{_WORDS})(?:\{{\d\}})?)"
_FEW = rf"(?:{_ONE}*(?:{_ATOM}(?:\?\+?|\{{\d,\d\}}){_ONE}*){{0,2}})"  # up to two optional parts: few ways to match
_MANY = rf"(?:{_ATOM}(?:[+*]\+?|\{{\d,\}}))"  # `{1,}+` is a repetition of a repetition
# A pattern may have one repetition that backtracks, if little follows it, and a second one only at its end.
_BRANCH = rf"\^?{_FEW}(?:{_MANY}(?:\(\?!\\S\)|\$)?|(?:{_MANY}{_FEW})?(?:{_MANY})?(?:{_WORDS}\?)?)"
_QUICK = rf"(?:{_BRANCH})(?:\|{_BRANCH})*"


class TextGraph:
    """A graph and its tokenizer. Thread-safe.

    A forward pass runs in the calling thread only, since a candidate may be answering on the other cores.

    Args:
        folder: a folder in the cache, whose tokenizer was checked by `check_patterns` before it was written.

    Raises:
        Exception: onnxruntime and tokenizers have their own errors for damaged files.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self.tokenizer: Any = Tokenizer.from_file(str(folder / TOKENIZER))  # with truncation and padding
        self.folder, self.session = folder, session(str(folder / GRAPH))
        self._names = [entry.name for entry in self.session.get_inputs()]

    def __call__(self, texts: Sequence[str | tuple[str, str]]) -> list[NDArray[Any]]:
        """The graph's outputs for a batch of texts, or of pairs of texts."""
        outputs: list[NDArray[Any]] = self.session.run(None, self.tokens(texts))
        return outputs

    def tokens(self, texts: Sequence[str | tuple[str, str]]) -> dict[str, NDArray[np.int64]]:
        """The tokens of a batch, by name of the graph's input."""
        rows = self.tokenizer.encode_batch(list(texts))
        return {n: np.array([getattr(row, COLUMNS[n]) for row in rows], dtype=np.int64) for n in self._names}


def session(model: str | bytes) -> Any:
    """An ONNX Runtime session for a graph in a file or in bytes. A forward pass runs in the calling thread only."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
    options.log_severity_level = 4  # errors are raised as well
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False  # both keep the memory of the longest text
    # The kernel of this fusion sums sequentially. The operators that it replaces take a quarter of its time.
    slow = ["SkipLayerNormFusion"]
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], disabled_optimizers=slow)


def load_onnxruntime() -> Any:
    """Import ONNX Runtime without telemetry. The import already records data about the process and the machine, to be
    sent later, so telemetry must be switched off before."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def check_patterns(path: Path) -> None:
    """Refuse a tokenizer.json with a regular expression that may take practically forever.

    Raises:
        WorkError: the file has such an expression.
        ValueError: the file is not JSON.
    """
    patterns: list[str] = []

    def note(pairs: Pairs) -> dict[str, Any]:  # sees duplicate keys too
        patterns.extend(value for key, value in pairs if key == "Regex" and isinstance(value, str))
        return dict(pairs)

    parse_json(path.read_bytes(), note)
    branches = 0
    for pattern in patterns:
        branches += pattern.count("|") + 1
        if len(pattern) > LONGEST or branches > MOST_BRANCHES or not re.fullmatch(_QUICK, pattern):
            step = "Use another encoder: only simple repetitions, as in known tokenizers, are accepted."
            raise WorkError(f"regular expressions in {path} that end soon", repr(shortened(pattern, 80)), step)
