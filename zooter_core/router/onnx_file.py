"""Writes ONNX graphs in protobuf's wire format, so that the base package does not need onnx and its 30 MB.

A message is the concatenation of its fields, each preceded by its number in onnx.proto. Only required fields are
written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

FLOAT, INT8, INT32, INT64 = 1, 3, 6, 7  # types of elements
TYPES = {np.dtype("<f4"): FLOAT, np.dtype("i1"): INT8, np.dtype("<i8"): INT64}
FLOAT_VALUE, INT_VALUE = 1, 2  # types of attributes
EXTERNAL = 1  # the location of a tensor's data if it is in another file
LEAST_EXTERNAL = 1024  # bytes of a tensor; ONNX Runtime needs smaller ones, such as shapes, inside the graph
OPSETS = {"": 20, "com.microsoft": 1}  # versions of ONNX's operators and of ONNX Runtime's additional ones
IR_VERSION = 10
Field = tuple[int, int | float | str | bytes]  # number and value


def message(fields: Iterable[Field]) -> bytes:
    """A protobuf message. Integers must not be negative."""
    return b"".join(map(_encoded, fields))


def _encoded(field: Field) -> bytes:
    number, value = field
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """An integer in 7 bits per byte, the lowest first. The eighth bit is set if more bytes follow."""
    content = bytearray()
    while number > 127:
        content.append(number & 127 | 128)
        number >>= 7
    return bytes([*content, number])


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **attributes: float) -> bytes:
    """An operator. Its attributes are numbers."""
    fields: list[Field] = [*((1, name) for name in inputs), *((2, name) for name in outputs), (4, kind), (7, domain)]
    for key, value in attributes.items():
        entry = [(2, value), (20, FLOAT_VALUE)] if isinstance(value, float) else [(3, value), (20, INT_VALUE)]
        fields.append((5, message([(1, key), *entry])))
    return message(fields)


def _value(name: str, kind: int, axes: Sequence[str] = ()) -> bytes:
    """An input or output, optionally with the names of its axes."""
    shape = message((1, message([(2, axis)])) for axis in axes)
    tensor = message([(1, kind), *([(2, shape)] if axes else [])])
    return message([(1, name), (2, message([(1, tensor)]))])


class Graph:
    """A graph under construction. `add` appends an operator and returns the name of its output.

    Attributes:
        inputs: names of the inputs, which are integers of shape (batch, length).
        outputs: names of the outputs, whose first axis is the batch.
    """

    def __init__(self, inputs: Sequence[str]) -> None:
        self.inputs, self.outputs = inputs, list[str]()
        self.nodes: list[bytes] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants.setdefault(name, values)
        return name

    def numbers(self, *values: int) -> str:
        return self.constant(f"numbers {values}", np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        return self.constant(f"number {value}", np.array(value, dtype=np.float32))

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind} {len(self.nodes)}"
        self.nodes.append(node(kind, inputs, [output], **attributes))
        return output

    def encode(self, external: BinaryIO | None = None) -> bytes:
        """The complete model in bytes.

        Args:
            external: a separate file for the weights. If None, they are part of the model.

        Raises:
            KeyError: the type of some weights is not in TYPES.
        """
        weights = [(5, self._tensor(name, external)) for name in self.constants]
        inputs = [(11, _value(name, INT64, ("batch", "length"))) for name in self.inputs]
        outputs = [(12, _value(name, FLOAT)) for name in self.outputs]
        graph = message([*((1, one) for one in self.nodes), (2, "bert"), *weights, *inputs, *outputs])
        opsets = (message([(1, domain), (2, version)]) for domain, version in OPSETS.items())
        return message([(1, IR_VERSION), (7, graph), *((8, opset) for opset in opsets)])

    def _tensor(self, name: str, external: BinaryIO | None) -> bytes:
        values = self.constants[name]
        fields: list[Field] = [*((1, size) for size in values.shape), (2, TYPES[values.dtype]), (8, name)]
        if external is None or values.nbytes < LEAST_EXTERNAL:
            return message([*fields, (9, values.tobytes())])
        place = {"location": Path(external.name).name, "offset": external.tell(), "length": values.nbytes}
        external.write(values.tobytes())
        entries = (message([(1, key), (2, str(entry))]) for key, entry in place.items())
        return message([*fields, *((13, entry) for entry in entries), (14, EXTERNAL)])

    def write(self, path: Path) -> None:
        """Write the model, with its weights in `PATH.data`.

        ONNX Runtime maps that file into memory, which halves the time and the memory of loading. Use this only for the
        cache: overwriting a mapped file crashes the process that uses it.
        """
        with path.with_name(f"{path.name}.data").open("wb") as external:
            content = self.encode(external)
        path.write_bytes(content)
