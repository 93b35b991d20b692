"""The one module that imports TensorFlow; everything else does ``from masf_core.tf1 import tf``.

``tensorflow.compat.v1`` exists in 1.15 and in every 2.x release, so the same graph code runs in both lanes. Version 2
behaviour is switched off once, here: graphs and sessions, reference variables (what the Ascend adapter is proven with).
"""
from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
import time
import warnings
from typing import Iterator

from masf_core.errors import TensorFlowError

# Set before the import, since TensorFlow reads it once. Its C++ start-up messages would hide the lines of the run; a
# user who wants them sets the variable. Where the Ascend adapter is installed they are shown: among them is the
# adapter's own message that a model has been compiled for the card, at the lowest level.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if importlib.util.find_spec("npu_bridge") is None else "0")


@contextlib.contextmanager
def native_stderr_held_back() -> Iterator[None]:
    """A context manager that hides what native code prints to stderr, and prints it if the block fails.

    TensorFlow 2's libraries print messages before any of their log-level settings apply.
    """
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except OSError:  # no stderr at all, as under some service managers
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def not_imported(error: TypeError, protobuf: str) -> TensorFlowError:
    """What to raise for a TensorFlow that does not load. protobuf: the version that is installed beside it."""
    if "Descriptors cannot" in str(error):  # protobuf from 3.21 (4.21) on refuses code of older versions
        return TensorFlowError(
            f"TensorFlow 1.15 needs a protobuf below 3.21, and {protobuf or 'a newer one'} is installed beside it",
            "Run pip install 'protobuf<3.21'")
    return TensorFlowError(f"TensorFlow cannot be imported ({(str(error) or type(error).__name__).splitlines()[0]})",
                           "Reinstall it with the packages that it needs")


def _protobuf_version() -> str:
    try:
        import google.protobuf

        return str(google.protobuf.__version__)
    except Exception:  # a broken protobuf is part of the same fault
        return ""


_started = time.perf_counter()
with native_stderr_held_back(), warnings.catch_warnings():
    # 1.15 was built against an older NumPy and warns of it dozens of times.
    warnings.simplefilter("ignore", category=FutureWarning)
    warnings.simplefilter("ignore", category=DeprecationWarning)
    try:
        import tensorflow.compat.v1 as tf
    except TypeError as error:  # raised by another protobuf; a missing TensorFlow stays an ImportError
        raise not_imported(error, _protobuf_version()) from error

    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.disable_v2_behavior()

IMPORT_SECONDS = time.perf_counter() - _started  # measured separately, since this project cannot shorten them
VERSION = tf.__version__
IS_TF2 = not VERSION.startswith("1.")


def _is_intels_115() -> bool:
    """Whether this is Intel's wheel of 1.15, in which all operations on a processor are those of oneDNN."""
    try:
        from tensorflow.python import pywrap_tensorflow

        return not IS_TF2 and bool(pywrap_tensorflow.IsMklEnabled())
    except (ImportError, AttributeError):
        return False


IS_INTELS_115 = _is_intels_115()

__all__ = ["tf", "VERSION", "IS_TF2", "IS_INTELS_115", "IMPORT_SECONDS",
           "native_stderr_held_back", "not_imported"]
