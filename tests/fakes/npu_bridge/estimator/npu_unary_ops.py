"""Activations of the device's own, which the adapter exports as one object. Nothing of it is here."""
import types

npu_unary_ops = types.SimpleNamespace()
