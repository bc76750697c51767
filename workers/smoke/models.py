"""Two models that differ in what they compute, and what they must answer. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workers.smoke.onnx_writing import Floats, Graph, Node, Value

SIDE, FILTERS = 64, 32
WIDTH, HIDDEN, CLASSES = 512, 1024, 10


@dataclass(frozen=True, slots=True)
class Sample:
    """A model, an input for it, and what it computes, by numpy."""

    graph: Graph
    example: Floats
    answer: Callable[[Floats], Floats]


def dense() -> Sample:
    """Return two matrix products with a threshold between them."""
    first, second = _waves((WIDTH, HIDDEN), 0.05), _waves((HIDDEN, CLASSES), 0.05)
    nodes = (
        Node("MatMul", ("x", "first"), "hidden"),
        Node("Relu", ("hidden",), "positive"),
        Node("MatMul", ("positive", "second"), "y"),
    )
    graph = Graph(
        "dense",
        nodes,
        {"first": first, "second": second},
        Value("x", (None, WIDTH)),
        Value("y", (None, CLASSES)),
    )
    return Sample(
        graph, _waves((1, WIDTH), 1.0), lambda x: np.maximum(x @ first, np.float32(0)) @ second
    )


def convolution() -> Sample:
    """Return a convolution of a picture of three colours, and the mean of each of its filters."""
    filters = _waves((FILTERS, 3, 3, 3), 0.2)
    nodes = (
        Node("Conv", ("x", "filters"), "maps", {"pads": (1, 1, 1, 1)}),
        Node("Relu", ("maps",), "positive"),
        Node("GlobalAveragePool", ("positive",), "y"),
    )
    graph = Graph(
        "convolution",
        nodes,
        {"filters": filters},
        Value("x", (None, 3, SIDE, SIDE)),
        Value("y", (None, FILTERS, 1, 1)),
    )
    return Sample(graph, _waves((1, 3, SIDE, SIDE), 1.0), lambda x: _convolved(x, filters))


def _convolved(pictures: Floats, filters: Floats) -> Floats:
    padded = np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    maps = np.einsum("ncyxij,fcij->nfyx", windows, filters, optimize=True)
    means: Floats = np.maximum(maps, np.float32(0)).mean(axis=(2, 3), keepdims=True)
    return means


def _waves(shape: tuple[int, ...], height: float) -> Floats:
    """Return numbers between -height and height that look irregular and are always the same."""
    count = int(np.prod(shape))
    return (height * np.sin(np.arange(count, dtype=np.float64) * 1.7)).astype("f4").reshape(shape)
