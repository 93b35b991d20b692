"""The method: data, network, losses, meta step, evaluation and local checkpoints of MASF.

This package gets local paths and callbacks and knows nothing of the platform or of the storage. TensorFlow is
imported in `masf_core.tf1` alone; reading the data needs NumPy and Pillow only.
"""
