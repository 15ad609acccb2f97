"""ONNX models as messages of Google's protobuf, which Streamlit and ONNX Runtime bring along, so that the base package
does without the package onnx and its 30 MB.

Declared are the fields that the graphs here use, with their numbers in onnx.proto.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MESSAGES = {  # a field: number, type; a star: any number of them
    "Model": {"ir_version": "1 int64", "graph": "7 Graph", "opset_import": "8 Opset*"},
    "Opset": {"domain": "1 string", "version": "2 int64"},
    "Graph": {
        "node": "1 Node*", "name": "2 string", "initializer": "5 Tensor*", "input": "11 Value*", "output": "12 Value*",
    },
    "Node": {
        "input": "1 string*", "output": "2 string*", "op_type": "4 string", "attribute": "5 Attribute*",
        "domain": "7 string",
    },
    "Attribute": {"name": "1 string", "f": "2 float", "i": "3 int64", "type": "20 int32"},
    "Tensor": {
        "dims": "1 int64*", "data_type": "2 int32", "name": "8 string", "raw_data": "9 bytes",
        "external_data": "13 Entry*", "data_location": "14 int32",
    },
    "Entry": {"key": "1 string", "value": "2 string"},
    "Value": {"name": "1 string", "type": "2 Type"},
    "Type": {"tensor_type": "1 TensorType"},
    "TensorType": {"elem_type": "1 int32", "shape": "2 Shape"},
    "Shape": {"dim": "1 Dimension*"},
    "Dimension": {"dim_value": "1 int64", "dim_param": "2 string"},
}  # fmt: skip
FLOAT, UINT8, INT8, INT32, INT64 = 1, 2, 3, 6, 7  # types of numbers
DTYPES = {FLOAT: "<f4", UINT8: "u1", INT8: "i1", INT32: "<i4", INT64: "<i8", 10: "<f2", 11: "<f8"}
FLOAT_VALUE, INT_VALUE = 1, 2  # types of attributes
EXTERNAL = 1  # where a tensor's data are: in another file
LEAST_EXTERNAL = 1024  # bytes of a tensor; ONNX Runtime wants smaller ones, such as shapes, in the graph
OPSET, IR_VERSION = 20, 10
MICROSOFT = "com.microsoft"  # the domain of ONNX Runtime's own operators


@cache
def messages() -> dict[str, Any]:
    """The class of each message. Protobuf is imported here, as routing needs none."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="zooter_onnx.proto", package="zooter_onnx", syntax="proto2")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, declared in fields.items():
            number, kind = declared.rstrip("*").split()
            label = kinds.LABEL_REPEATED if declared.endswith("*") else kinds.LABEL_OPTIONAL
            entry = message.field.add(name=field, number=int(number), label=label)
            if kind in MESSAGES:
                entry.type, entry.type_name = kinds.TYPE_MESSAGE, f".zooter_onnx.{kind}"
            else:
                entry.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    types = {name: pool.FindMessageTypeByName(f"zooter_onnx.{name}") for name in MESSAGES}
    return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in types.items()}


def tensor(values: NDArray[Any], name: str) -> Any:
    """An array of any shape as weights.

    Raises:
        KeyError: its numbers are of a type that DTYPES lacks.
    """
    kinds = {np.dtype(dtype): number for number, dtype in DTYPES.items()}
    return messages()["Tensor"](dims=values.shape, data_type=kinds[values.dtype], name=name, raw_data=values.tobytes())


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **attributes: float) -> Any:
    """An operator; an attribute is a number."""
    operator = messages()["Node"](op_type=kind, input=inputs, output=outputs, domain=domain)
    for key, value in attributes.items():
        if isinstance(value, float):
            operator.attribute.add(name=key, type=FLOAT_VALUE, f=value)
        else:
            operator.attribute.add(name=key, type=INT_VALUE, i=value)
    return operator


def value(name: str, kind: int, axes: Sequence[str] | None = None) -> Any:
    """An input or an output, with the names of its axes if they are known."""
    entry = messages()["Value"](name=name)
    entry.type.tensor_type.elem_type = kind
    for axis in axes or ():
        entry.type.tensor_type.shape.dim.add(dim_param=axis)
    return entry


def model(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], weights: Sequence[Any]) -> Any:
    """A whole model; inputs and outputs are as from `value`, weights as from `tensor`."""
    graph = messages()["Graph"](node=nodes, name="bert", input=inputs, output=outputs, initializer=weights)
    opsets = [messages()["Opset"](domain=domain, version=number) for domain, number in (("", OPSET), (MICROSOFT, 1))]
    return messages()["Model"](ir_version=IR_VERSION, graph=graph, opset_import=opsets)


def write(model: Any, path: Path) -> None:
    """Write a model, with its weights in `PATH.data`, which ONNX Runtime maps: it loads in half the time and memory.

    For the cache alone: writing over a mapped file ends the process that uses it.
    """
    external = path.with_name(f"{path.name}.data")
    with external.open("wb") as file:
        for one in model.graph.initializer:
            if len(one.raw_data) >= LEAST_EXTERNAL:
                place = {"location": external.name, "offset": file.tell(), "length": len(one.raw_data)}
                file.write(one.raw_data)
                one.ClearField("raw_data")
                one.data_location = EXTERNAL
                for key, entry in place.items():
                    one.external_data.add(key=key, value=str(entry))
    path.write_bytes(model.SerializeToString())
