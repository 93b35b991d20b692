"""What an export can be: formats, inputs, and the packages that a format needs. Needs no TensorFlow."""
from __future__ import annotations

import importlib.util
from typing import List

PB, SAVED_MODEL, CKPT, ONNX = "pb", "saved_model", "ckpt", "onnx"
FORMATS = (PB, SAVED_MODEL, CKPT, ONNX)
RAW, PREPROCESSED = "raw", "preprocessed"
INPUTS = (RAW, PREPROCESSED)

# tf2onnx imports packaging and does not declare it; ONNX Runtime runs the result.
ONNX_PACKAGES = ("tf2onnx", "onnx", "onnxruntime", "packaging")


def missing_packages(kind: str) -> List[str]:
    """The packages of the format ``kind`` that are not installed."""
    return [name for name in (ONNX_PACKAGES if kind == ONNX else ()) if importlib.util.find_spec(name) is None]
