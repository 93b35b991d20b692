"""Stand-in for npu_bridge, the adapter between TensorFlow 1.15 and an Ascend 910, on a processor.

Names, places and signatures are the adapter's. What belongs to Estimator, Keras, groups of ranks and loops on the
device is there and does not run: a call raises NotRun. Sessions compute with TensorFlow itself, but fail where the
adapter fails, and also where it would do something else without a word: at an option of unknown name or wrong type, at
what the device has no operation for.
``npu_bridge.fake`` says what was asked of it, and takes what a test wants to happen.
"""
from npu_bridge.fake import session as _session

_session.install()
