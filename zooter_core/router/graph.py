"""Text models as ONNX graphs: a graph and its tokenizer.json, run by ONNX Runtime on the CPU.

Nothing here needs PyTorch. A tokenizer.json is untrusted, and its regular expressions run on every routed text, so they
must be fast: `(a+)+$` takes practically forever on 40 letters, in code that cannot be interrupted. Accepted patterns
take at most quadratic time, which covers those of the known tokenizers.
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
MOST_BRANCHES = 24  # in all patterns of a file
LONGEST = 1_000  # characters of a pattern
_CLASS = r"\[\^?(?:\\.|\[(?:\\.|[^\[\]\\])*\]|[^\[\]\\])+\]"
_ESCAPE = r"\\(?:[pP]\{\^?\w+\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[sSdDwWnrtfv]|\W)"
_ATOM = rf"(?:{_CLASS}|{_ESCAPE}|[^\\\[\]()*+?{{}}|^$])"
_WORDS = r"\(\?i:(?:'s\|'t\|'re\|'ve\|'m\|'ll\|'d|\[sdmt\]\|ll\|ve\|re)\)"
_ONE = rf"(?:(?:{_ATOM}|{_WORDS})(?:\{{\d\}})?)"
_FEW = rf"(?:{_ONE}*(?:{_ATOM}(?:\?\+?|\{{\d,\d\}}){_ONE}*){{0,2}})"  # both are optional: few ways to match
_MANY = rf"(?:{_ATOM}(?:[+*]\+?|\{{\d,\}}))"  # `{1,}+` is a repetition of a repetition
# A repetition may backtrack if little follows it; a second one may only end the match.
_BRANCH = rf"\^?{_FEW}(?:{_MANY}(?:\(\?!\\S\)|\$)?|(?:{_MANY}{_FEW})?(?:{_MANY})?(?:{_WORDS}\?)?)"
_QUICK = rf"(?:{_BRANCH})(?:\|{_BRANCH})*"


class TextGraph:
    """A graph and the tokenizer beside it. Any number of threads may call it.

    A pass runs in the calling thread, since a candidate may be answering on the other cores.

    Args:
        folder: in the cache; the tokenizer was checked by `check_patterns` before it was written there.

    Raises:
        Exception: onnxruntime and tokenizers have their own errors for damaged files.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self.tokenizer: Any = Tokenizer.from_file(str(folder / TOKENIZER))  # it cuts and pads as the model needs
        self.folder, self.session = folder, session(str(folder / GRAPH))
        self._names = [entry.name for entry in self.session.get_inputs()]

    def __call__(self, texts: Sequence[str | tuple[str, str]]) -> list[NDArray[Any]]:
        """The graph's outputs for a batch of texts, or of pairs of texts."""
        outputs: list[NDArray[Any]] = self.session.run(None, self.tokens(texts))
        return outputs

    def tokens(self, texts: Sequence[str | tuple[str, str]]) -> dict[str, NDArray[np.int64]]:
        """A batch's tokens by input name."""
        rows = self.tokenizer.encode_batch(list(texts))
        return {n: np.array([getattr(row, COLUMNS[n]) for row in rows], dtype=np.int64) for n in self._names}


def session(model: str | bytes) -> Any:
    """A graph in a file, or as bytes, ready to run. A pass runs in the calling thread."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
    options.log_severity_level = 4  # errors are raised as well
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False  # they keep the longest text's memory
    # This fusion's kernel adds numbers one by one; the operators that it replaces take a quarter of its time.
    slow = ["SkipLayerNormFusion"]
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], disabled_optimizers=slow)


def load_onnxruntime() -> Any:
    """ONNX Runtime without telemetry. It is switched off before the import, which already records the process and the
    machine in order to send them to its maker later."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def check_patterns(path: Path) -> None:
    """Refuse a tokenizer.json with a regular expression that may take practically forever.

    Raises:
        WorkError: it has one.
        ValueError: it is not JSON.
    """
    patterns: list[str] = []

    def note(pairs: Pairs) -> dict[str, Any]:  # includes keys that occur twice
        patterns.extend(value for key, value in pairs if key == "Regex" and isinstance(value, str))
        return dict(pairs)

    parse_json(path.read_bytes(), note)
    branches = 0
    for pattern in patterns:
        branches += pattern.count("|") + 1
        if len(pattern) > LONGEST or branches > MOST_BRANCHES or not re.fullmatch(_QUICK, pattern):
            step = "Use another encoder: only simple repetitions, as in known tokenizers, are accepted."
            raise WorkError(f"regular expressions in {path} that end soon", repr(shortened(pattern, 80)), step)
