"""Converts the files of a BERT model to an ONNX graph in numpy, without PyTorch and transformers.

The graph of a sentence encoder computes the vectors of a middle and of the last layer, like `encoder.pool_states` on
PyTorch. The graph of a reward model computes the first number of its classification head. Equations: Devlin et al.,
arXiv 1810.04805. With 7-bit weights, the layers multiply bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.strict_json import parse_json
from zooter_core.base.tensors import read_safetensors
from zooter_core.base.weights import INSTALL_TORCH
from zooter_core.router.graph import TOKENIZER, check_patterns, session
from zooter_core.router.onnx_file import FLOAT, INT32, Graph, node

Array = NDArray[np.float32]
Weights = Mapping[str, Array]
CONFIG, FILE = "config.json", "model.safetensors"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
ACTIVATIONS = {"gelu": "Gelu", "relu": "Relu"}
LEAST = 1e-12  # a lower bound of norms, against division by zero
MOST = 64  # the largest magnitude of a weight in 7 bits
USUAL = 0.95  # the share of columns without huge values
TINY = np.finfo(np.float32).tiny


def read_config(folder: Path) -> dict[str, Any]:
    """The contents of config.json.

    Raises:
        ZooterError: the model cannot run without PyTorch.
        OSError, ValueError: the file does not load.
    """
    settings: dict[str, Any] = parse_json((folder / CONFIG).read_text(encoding="utf-8"))
    kind, activation = settings.get("model_type"), settings.get("hidden_act", "gelu")
    positions = settings.get("position_embedding_type", "absolute")
    fault = ""
    if kind != "bert":
        fault = f"the architecture {kind}"
    elif activation not in ACTIVATIONS or positions != "absolute":
        fault = f"a BERT with {activation} and {positions} positions"
    elif not (folder / FILE).is_file():
        fault = f"no {FILE}"
    if fault:
        raise ZooterError(
            f"a BERT in {folder}, which runs without PyTorch", fault, f"Run `{INSTALL_TORCH}`.",
            sentence=f"The model in {folder} needs PyTorch and transformers ({fault}).",
        )  # fmt: skip
    return settings


def adapted(weights: Weights, folder: Path) -> dict[str, Array]:
    """The weights, merged with a LoRA adapter of peft (Hu et al., arXiv 2106.09685): W + alpha / r B A.

    Raises:
        WorkError: this kind of adapter is not supported.
        OSError, ValueError: the adapter's files do not load.
    """
    config = parse_json((folder / "adapter_config.json").read_text(encoding="utf-8"))
    plain = ("alpha_pattern", "rank_pattern", "use_dora", "use_rslora", "lora_bias", "fan_in_fan_out")
    if config.get("peft_type") != "LORA" or any(config.get(name) for name in plain):
        raise WorkError(f"a plain LoRA adapter in {folder}", "another kind", f"Run `{INSTALL_TORCH}`.")
    stored, merged = read_safetensors((folder / "adapter_model.safetensors").read_bytes()), dict(weights)
    stored = {name.removeprefix("base_model.model."): values for name, values in stored.items()}
    for name, values in stored.items():
        if name.endswith(".lora_A.weight"):
            layer = name.removesuffix(".lora_A.weight")
            change = stored[f"{layer}.lora_B.weight"] @ values * np.float32(config["lora_alpha"] / config["r"])
            merged[f"{layer}.weight"] = merged[f"{layer}.weight"] + change
        elif ".lora_B." not in name and ".original_module." not in name:  # biases and fully trained layers
            merged[name.replace(".base_layer.", ".").replace(".modules_to_save.", ".")] = values
    return merged


class Bert:
    """The layers of a BERT model as a graph.

    Args:
        segments: whether the graph has an input for the segment (first or second text) of each token.

    Attributes:
        read: layer -> the name of its inputs in the graph.

    Raises:
        KeyError: a weight is missing.
    """

    def __init__(self, settings: Mapping[str, Any], weights: Weights, segments: bool = True) -> None:
        self.weights = {name.removeprefix("bert."): values for name, values in weights.items()}
        self.width, self.heads = int(settings["hidden_size"]), int(settings["num_attention_heads"])
        self.layers = int(settings["num_hidden_layers"])
        self.epsilon = float(settings.get("layer_norm_eps", 1e-12))
        self.activation = ACTIVATIONS[settings.get("hidden_act", "gelu")]
        self.segments, self.graph = segments, Graph(INPUTS if segments else INPUTS[:2])
        self.read: dict[str, str] = {}

    def states(self) -> list[str]:
        """The names of the hidden states, of the embeddings and each layer, of shape (batch, length, width)."""
        add, ids = self.graph.add, INPUTS[0]
        mask = add("Cast", INPUTS[1], to=INT32)
        length = add("Shape", ids, start=1, end=2)
        table = self._weight("embeddings.position_embeddings.weight")
        places = add("Slice", table, self.graph.numbers(0), length, self.graph.numbers(0))
        words = self._look_up("embeddings.word_embeddings", ids)
        segments = INPUTS[2] if self.segments else add("Sub", ids, ids)  # all tokens belong to one text
        kinds = self._look_up("embeddings.token_type_embeddings", segments)
        states = [self._norm("embeddings.LayerNorm", add("Add", add("Add", words, kinds), places))]
        for number in range(self.layers):
            states.append(self._layer(f"encoder.layer.{number}", states[-1], mask))
        return states

    def vectors(self) -> Graph:
        """The graph of a sentence encoder's vectors, shape (batch, 2 * width)."""
        add, graph, states = self.graph.add, self.graph, self.states()
        mask = add("Unsqueeze", add("Cast", INPUTS[1], to=FLOAT), graph.numbers(2))
        halves = []
        for layer in (states[self.layers // 2], states[-1]):
            sums = add("ReduceSum", add("Mul", layer, mask), graph.numbers(1), keepdims=0)
            mean = add("Div", sums, add("ReduceSum", mask, graph.numbers(1), keepdims=0))
            length = add("ReduceL2", mean, graph.numbers(1), keepdims=1)
            halves.append(add("Div", mean, add("Max", length, graph.number(LEAST))))
        graph.outputs.append(add("Concat", *halves, axis=1))
        return graph

    def rewards(self) -> Graph:
        """The graph of a reward model's rewards, shape (batch,): the first number of its classification head."""
        add, graph = self.graph.add, self.graph
        first = graph.constant("first", np.array(0, dtype=np.int64))
        pooled = add("Tanh", self._linear("pooler.dense", add("Gather", self.states()[-1], first, axis=1)))
        numbers = self._linear("classifier", pooled)
        graph.outputs.append(add("Gather", numbers, first, axis=1))
        return graph

    def _weight(self, name: str) -> str:
        return self.graph.constant(name, self.weights[name])

    def _look_up(self, table: str, numbers: str) -> str:
        return self.graph.add("Gather", self._weight(f"{table}.weight"), numbers)

    def _linear(self, layer: str, states: str) -> str:
        self.read[layer] = states
        return self.graph.add("Add", self._product(layer, states), self._weight(f"{layer}.bias"))

    def _product(self, layer: str, states: str) -> str:
        """Multiply by the layer's weights, which are stored with the shape (out, in)."""
        matrix = self.graph.constant(f"{layer}.weight", self.weights[f"{layer}.weight"].T)
        return self.graph.add("MatMul", states, matrix)

    def _norm(self, layer: str, states: str) -> str:
        parts = [self._weight(f"{layer}.{name}") for name in ("weight", "bias")]
        return self.graph.add("LayerNormalization", states, *parts, epsilon=self.epsilon)

    def _layer(self, layer: str, states: str, mask: str) -> str:
        add, attention = self.graph.add, f"{layer}.attention"
        parts = [self._linear(f"{attention}.self.{name}", states) for name in ("query", "key", "value")]
        mixed = add("MultiHeadAttention", *parts, "", mask, domain="com.microsoft", num_heads=self.heads)
        mixed = self._linear(f"{attention}.output.dense", mixed)
        states = self._norm(f"{attention}.output.LayerNorm", add("Add", mixed, states))
        inner = add(self.activation, self._linear(f"{layer}.intermediate.dense", states))
        return self._norm(f"{layer}.output.LayerNorm", add("Add", self._linear(f"{layer}.output.dense", inner), states))


class SmallBert(Bert):
    """A BERT with 7-bit weights: one scale per column of a layer's weights, and one for its inputs in each pass.

    The weights have 7 bits because, with 8 bits, processors without AVX-512 VNNI add two products in 16 bits, which
    overflows. Input columns with huge values are divided by factors before a layer, and the layer's weights are
    multiplied by the same factors, so that the other columns keep their precision.

    Args:
        largest: the largest magnitude in each column of each layer's inputs.
    """

    def __init__(self, settings: Mapping[str, Any], weights: Weights, largest: Mapping[str, Array]) -> None:
        super().__init__(settings, weights)
        self.largest = largest
        # Inputs -> bytes, scale and zero point. Several layers may share the same inputs.
        self._as_bytes: dict[str, list[str]] = {}

    def _look_up(self, table: str, numbers: str) -> str:
        """Look up rows of a table of bytes with one scale per row."""
        add, rows = self.graph.add, self.weights[f"{table}.weight"]
        scales = np.abs(rows).max(axis=1, keepdims=True).clip(TINY) / 127
        small = self.graph.constant(f"{table} bytes", np.rint(rows / scales).astype(np.int8))
        wide = add("Cast", add("Gather", small, numbers), to=FLOAT)
        return add("Mul", wide, add("Gather", self.graph.constant(f"{table} scales", scales), numbers))

    def _product(self, layer: str, states: str) -> str:
        """Multiply bytes. ONNX Runtime's quantizer writes the same operators, but its loop over columns is slow."""
        add, constant, largest = self.graph.add, self.graph.constant, self.largest[layer]
        factors = np.maximum(1, largest / (np.quantile(largest, USUAL) or 1)).astype(np.float32)
        columns = self.weights[f"{layer}.weight"].T * factors[:, None]
        scales = np.abs(columns).max(axis=0) / MOST
        scales[scales < TINY] = 1
        if states not in self._as_bytes:
            evened = add("Mul", states, constant(f"{states} factors", 1 / factors))
            outputs = self._as_bytes[states] = [f"{states} {part}" for part in ("bytes", "scale", "zero")]
            self.graph.nodes.append(node("DynamicQuantizeLinear", [evened], outputs))
        inputs, scale, zero = self._as_bytes[states]
        matrix = constant(f"{layer} bytes", np.rint(columns / scales).astype(np.int8))
        sums = add("Cast", add("MatMulInteger", inputs, matrix, zero), to=FLOAT)
        return add("Mul", sums, add("Mul", scale, constant(f"{layer} scales", scales)))


def quantise(settings: Mapping[str, Any], weights: Weights, texts: Sequence[Mapping[str, NDArray[np.int64]]]) -> Graph:
    """The graph of an encoder's vectors, with 7-bit weights.

    Args:
        settings: the contents of the encoder's config.json.
        texts: the tokens of some batches, on which columns with huge values are detected.

    Raises:
        Exception: ONNX Runtime has its own errors for graphs that it cannot run.
    """
    return SmallBert(settings, weights, _largest(Bert(settings, weights), texts)).vectors()


def _largest(exact: Bert, texts: Sequence[Mapping[str, NDArray[np.int64]]]) -> dict[str, Array]:
    """Layer -> the largest magnitude in each column of its inputs over some texts, shape (width,)."""
    exact.states()
    exact.graph.outputs = sorted(set(exact.read.values()))
    watching = session(exact.graph.encode())
    largest: dict[str, Array] = {}
    for tokens in texts:
        for name, states in zip(exact.graph.outputs, watching.run(None, tokens), strict=True):
            peaks = np.abs(states).reshape(-1, states.shape[-1]).max(axis=0)
            largest[name] = np.maximum(peaks, largest.get(name, 0))
    return {layer: largest[name] for layer, name in exact.read.items()}


def write_tokenizer(folder: Path, out: Path, most: int, direction: str, pads: bool) -> None:
    """Copy the tokenizer.json of a model's folder into another folder, and set its truncation and padding.

    Args:
        most: the most tokens of an input. In a pair of texts, the longer one is truncated first.
        direction: the side on which texts are truncated.
        pads: whether the texts of a batch are padded, with the settings of tokenizer_config.json.

    Raises:
        ZooterError: the model has no tokenizer.json.
        Exception: tokenizers has its own errors for damaged files.
    """
    from tokenizers import Tokenizer

    if not (folder / TOKENIZER).is_file():
        raise ZooterError(f"a {TOKENIZER} in {folder}", "none", f"Run `{INSTALL_TORCH}`.")
    check_patterns(folder / TOKENIZER)
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.enable_truncation(most, direction=direction)
    tokenizer.no_padding()
    if pads:
        options = _tokenizer_options(folder)
        token = options.get("pad_token") or "[PAD]"
        token = token["content"] if isinstance(token, dict) else token
        number, side = tokenizer.token_to_id(token) or 0, options.get("padding_side", "right")
        tokenizer.enable_padding(direction=side, pad_id=number, pad_token=token)
    (out / TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")


def has_segments(folder: Path) -> bool:
    """Whether a model's tokenizer in transformers returns the segment (first or second text) of each token."""
    options = _tokenizer_options(folder)
    names = options.get("model_input_names")
    return INPUTS[2] in names if names else options.get("tokenizer_class", "BertTokenizer").startswith("Bert")


def _tokenizer_options(folder: Path) -> dict[str, Any]:
    """The contents of tokenizer_config.json; empty if there is no such file."""
    file = folder / "tokenizer_config.json"
    options: dict[str, Any] = parse_json(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return options
