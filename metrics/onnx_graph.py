"""Writes a torch network of plain layers as an ONNX graph in memory, for onnxruntime. Knows no metric and no file.

onnxruntime runs convolutions on the CPU about twice as fast as torch (docs/measurements/metrics_speed.md) and equal to
rounding. The `onnx` package is not needed: a graph is a few protobuf messages (onnx/onnx.proto, IR version 8).
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from emobench.errors import Unavailable

IR_VERSION, OPSET = 8, 13
_FLOAT, _INT, _INTS = 1, 2, 7  # AttributeProto.type
_FLOAT32, _INT64 = 1, 7  # TensorProto.data_type


def to_onnx(network: nn.Module, input_shape: Sequence[int | None]) -> bytes:
    """The ONNX model of `network` in eval mode for float32 input of this shape (None: any); its outputs are y0, y1, ….

    Knows convolutions, linear layers, batch norms, ReLU, pooling, concatenation, flatten and spatial means. Raises
    Unavailable naming a layer that it does not know, or an option of one: nothing is left out silently.
    """
    traced = fx.symbolic_trace(network.eval())
    graph = _Graph(dict(traced.named_modules()))
    for node in traced.graph.nodes:
        graph.add(node)
    return graph.model(input_shape)


class _Graph:
    """ONNX nodes and tensors, gathered while the traced nodes are visited in order."""

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        self._modules = modules
        self._nodes: list[bytes] = []
        self._tensors: list[bytes] = []
        self._names: dict[fx.Node, str] = {}
        self._input = ""
        self._outputs: list[str] = []

    def add(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self._input = self._names[node] = node.name
        elif node.op == "output":
            found: Any = node.args[0]
            self._outputs = [self._names[n] for n in (found if isinstance(found, tuple | list) else (found,))]
        else:
            self._names[node] = self._emitted(node)

    def _emitted(self, node: fx.Node) -> str:
        if node.op == "call_module":
            module = self._modules[str(node.target)]
            write = _LAYERS.get(type(module))
            if write is not None:
                return write(self, node, self._of(node), module)
        else:
            call = _CALLS.get(node.target)  # functions by themselves, methods by name
            if call is not None:
                return call(self, node)
        raise Unavailable(f"the layer {node.target} ({node.op}) has no ONNX form here")

    def _of(self, node: fx.Node, index: int = 0) -> str:
        source = node.args[index] if index < len(node.args) else None
        if not isinstance(source, fx.Node):
            raise _unknown(node, "an input that is no tensor of the network")
        return self._names[source]

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Adds one node; the name of its output."""
        parts = [_text(1, name) for name in inputs] + [_text(2, output), _text(4, kind)]
        self._nodes.append(b"".join(parts + [_attribute(k, v) for k, v in attributes.items()]))
        return output

    def tensor(self, name: str, values: Tensor) -> str:
        """Adds one constant; its name."""
        kind = _INT64 if values.dtype == torch.int64 else _FLOAT32
        raw = np.ascontiguousarray(values.detach().cpu().numpy()).astype("<i8" if kind == _INT64 else "<f4").tobytes()
        dims = b"".join(_number(1, n) for n in values.shape)
        self._tensors.append(dims + _number(2, kind) + _text(8, name) + _message(9, raw))
        return name

    def model(self, input_shape: Sequence[int | None]) -> bytes:
        for index, name in enumerate(self._outputs):
            self.node("Identity", [name], f"y{index}")
        given = _value(self._input, input_shape)
        made = b"".join(_message(12, _value(f"y{index}", None)) for index in range(len(self._outputs)))
        nodes = b"".join(_message(1, node) for node in self._nodes)
        tensors = b"".join(_message(5, tensor) for tensor in self._tensors)
        graph = nodes + _text(2, "g") + tensors + _message(11, given) + made
        return _number(1, IR_VERSION) + _message(7, graph) + _message(8, _number(2, OPSET))


# ------------------------------------------------------------------ layers


def _unknown(node: fx.Node, what: str) -> Unavailable:
    return Unavailable(f"the layer {node.target} with {what} has no ONNX form here")


def _refuse(node: fx.Node, options: Mapping[str, Any], **known: Any) -> None:
    """Raises Unavailable where an option is not at the one value that is known."""
    for name, value in known.items():
        given = options.get(name, value)
        if given not in (value, (value, value), [value, value]):
            raise _unknown(node, f"{name}={given!r}")


def _pair(value: Any) -> list[int]:
    return [int(value)] * 2 if isinstance(value, int) else [int(v) for v in value]


def _pads(value: Any) -> list[int]:
    return _pair(value) * 2


def _convolution(graph: _Graph, node: fx.Node, source: str, module: Any) -> str:
    if isinstance(module.padding, str):
        raise _unknown(node, f"padding={module.padding!r}")
    _refuse(node, vars(module), padding_mode="zeros")
    inputs = [source, graph.tensor(f"{node.name}.w", module.weight)]
    if module.bias is not None:
        inputs.append(graph.tensor(f"{node.name}.b", module.bias))
    return graph.node(
        "Conv", inputs, node.name, kernel_shape=_pair(module.kernel_size), strides=_pair(module.stride),
        pads=_pads(module.padding), dilations=_pair(module.dilation), group=int(module.groups),
    )  # fmt: skip


def _linear(graph: _Graph, node: fx.Node, source: str, module: Any) -> str:
    if module.bias is None:
        raise _unknown(node, "no bias")
    inputs = [source, graph.tensor(f"{node.name}.w", module.weight), graph.tensor(f"{node.name}.b", module.bias)]
    return graph.node("Gemm", inputs, node.name, transB=1)


def _batch_norm(graph: _Graph, node: fx.Node, source: str, module: Any) -> str:
    names = ("weight", "bias", "running_mean", "running_var")
    if any(getattr(module, name) is None for name in names):
        raise _unknown(node, "no scale or no running statistics")
    constants = [graph.tensor(f"{node.name}.{name}", getattr(module, name)) for name in names]
    return graph.node("BatchNormalization", [source, *constants], node.name, epsilon=float(module.eps))


def _pooled(graph: _Graph, node: fx.Node, source: str, kind: str, size: Any, **options: Any) -> str:
    _refuse(node, options, dilation=1, return_indices=False, divisor_override=None)
    if kind == "AveragePool":  # torch and ONNX divide windows that reach past the edge differently
        _refuse(node, options, ceil_mode=False)
    stride = size if options.get("stride") is None else options["stride"]
    more = {"count_include_pad": int(options.get("count_include_pad", True))} if kind == "AveragePool" else {}
    return graph.node(
        kind, [source], node.name, kernel_shape=_pair(size), strides=_pair(stride),
        pads=_pads(options.get("padding", 0)), ceil_mode=int(options.get("ceil_mode", False)), **more,
    )  # fmt: skip


def _max_pool(graph: _Graph, node: fx.Node, source: str, module: Any) -> str:
    names = ("stride", "padding", "dilation", "ceil_mode", "return_indices")
    options = {name: getattr(module, name) for name in names}
    return _pooled(graph, node, source, "MaxPool", module.kernel_size, **options)


def _flat_layer(graph: _Graph, node: fx.Node, source: str, module: Any) -> str:
    _refuse(node, vars(module), start_dim=1, end_dim=-1)
    return graph.node("Flatten", [source], node.name, axis=1)


def _flat(graph: _Graph, node: fx.Node) -> str:
    """flatten(x, 1), and nothing else."""
    given = _named(node, ("start_dim", "end_dim"))
    _refuse(node, {"start_dim": 0, **given}, start_dim=1, end_dim=-1)
    return graph.node("Flatten", [graph._of(node)], node.name, axis=1)


def _relu(graph: _Graph, node: fx.Node, source: str, _: Any = None) -> str:
    return graph.node("Relu", [source], node.name)


def _unchanged(graph: _Graph, node: fx.Node, source: str, _: Any = None) -> str:
    return graph.node("Identity", [source], node.name)


def _named(node: fx.Node, names: Sequence[str]) -> dict[str, Any]:
    """The arguments of a call behind its tensor, by name. Raises Unavailable where there are more than names."""
    given = node.args[1:]
    if len(given) > len(names) or not set(node.kwargs) <= set(names):
        raise _unknown(node, f"the arguments {given} {dict(node.kwargs)}")
    return dict(zip(names, given, strict=False)) | dict(node.kwargs)


def _joined(graph: _Graph, node: fx.Node) -> str:
    parts = node.args[0] if node.args else None
    if not isinstance(parts, tuple | list) or not all(isinstance(part, fx.Node) for part in parts):
        raise _unknown(node, "an input that is no tensor of the network")
    names = [graph._names[part] for part in parts if isinstance(part, fx.Node)]
    return graph.node("Concat", names, node.name, axis=_named(node, ("dim",)).get("dim", 0))


def _pool_call(kind: str) -> Callable[[_Graph, fx.Node], str]:
    last = {
        "MaxPool": ("dilation", "ceil_mode", "return_indices"),
        "AveragePool": ("ceil_mode", "count_include_pad", "divisor_override"),
    }[kind]

    def write(graph: _Graph, node: fx.Node) -> str:
        options = _named(node, ("kernel_size", "stride", "padding", *last))
        return _pooled(graph, node, graph._of(node), kind, options.pop("kernel_size"), **options)

    return write


def _spatial_mean(graph: _Graph, node: fx.Node) -> str:
    """mean(dim=(2, 3)), and nothing else."""
    options = _named(node, ("dim", "keepdim", "dtype"))
    dims = options.get("dim")
    if not isinstance(dims, tuple | list) or tuple(dims) != (2, 3):
        raise _unknown(node, f"dim={dims}")
    _refuse(node, options, keepdim=False, dtype=None)
    pooled = graph.node("GlobalAveragePool", [graph._of(node)], f"{node.name}.pooled")
    return graph.node("Flatten", [pooled], node.name, axis=1)


_LAYERS: dict[type, Callable[[_Graph, fx.Node, str, Any], str]] = {
    nn.Conv2d: _convolution, nn.Linear: _linear, nn.BatchNorm2d: _batch_norm, nn.BatchNorm1d: _batch_norm,
    nn.MaxPool2d: _max_pool, nn.Flatten: _flat_layer, nn.ReLU: _relu, nn.Dropout: _unchanged,
}  # fmt: skip
_CALLS: dict[Any, Callable[[_Graph, fx.Node], str]] = {
    functional.relu: lambda graph, node: _relu(graph, node, graph._of(node)),
    torch.relu: lambda graph, node: _relu(graph, node, graph._of(node)),
    torch.flatten: _flat,
    "flatten": _flat,
    "mean": _spatial_mean,
    torch.cat: _joined,
    functional.max_pool2d: _pool_call("MaxPool"),
    functional.avg_pool2d: _pool_call("AveragePool"),
    operator.add: lambda graph, node: graph.node("Add", [graph._of(node, 0), graph._of(node, 1)], node.name),
}


# ------------------------------------------------------------------ protobuf


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers are ten bytes of two's complement
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, payload: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(payload)) + payload


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _attribute(name: str, value: Any) -> bytes:
    if isinstance(value, float):
        body = _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, _FLOAT)
    elif isinstance(value, int):
        body = _number(3, value) + _number(20, _INT)
    else:
        body = b"".join(_number(8, v) for v in value) + _number(20, _INTS)
    return _message(5, _text(1, name) + body)


def _value(name: str, shape: Sequence[int | None] | None) -> bytes:
    """ValueInfoProto of a float32 tensor; what is None is left to be inferred."""
    sizes = [b"" if n is None else _number(1, n) for n in shape or ()]
    dims = b"" if shape is None else _message(2, b"".join(_message(1, size) for size in sizes))
    return _text(1, name) + _message(2, _message(1, _number(1, _FLOAT32) + dims))
