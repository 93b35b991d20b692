"""Loads exports with TensorFlow or ONNX Runtime alone, as somebody does who has never seen this project.

Run it with any interpreter:

    python judge.py IMAGES.npy RESULTS.npz KIND=FOLDER ...

KIND is pb, saved_model, eager (a SavedModel in TensorFlow 2's own style), ckpt or onnx. ckpt writes the network down as
the reference does, in the scope `model`, and restores it with a plain Saver over the trainable variables.
RESULTS.npz gets KIND-logits and KIND-probabilities. The exit code is 3 where there is no
TensorFlow, or no ONNX Runtime for KIND onnx.
"""

from __future__ import annotations

import os
import sys

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
try:
    import tensorflow
except Exception as error:  # it is not installed, or not completely
    print(error)
    sys.exit(3)

tf = tensorflow.compat.v1
MEAN = (103.939, 116.779, 123.68)


def frozen(folder, images):
    graph_def = tf.GraphDef()
    with open(os.path.join(folder, "model.pb"), "rb") as stream:
        graph_def.ParseFromString(stream.read())
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(graph_def, name="")
        return session.run(["out:0", "probabilities:0"], {"input:0": images})


def saved_model(folder, images):
    with tf.Graph().as_default(), tf.Session() as session:
        signature = tf.saved_model.loader.load(session, ["serve"], folder).signature_def["serving_default"]
        return session.run([signature.outputs[name].name for name in ("logits", "probabilities")],
                           {signature.inputs["images"].name: images})


def eager(folder, images):
    found = tensorflow.saved_model.load(folder).signatures["serving_default"](tensorflow.constant(images))
    return [found[name].numpy() for name in ("logits", "probabilities")]


def checkpoint(folder, images):
    """The reference's AlexNet, as its masf_func.py writes it down; images are uint8 RGB."""
    prefix = tf.train.latest_checkpoint(folder)
    shapes = dict(tf.train.list_variables(prefix))
    with tf.Graph().as_default(), tf.Session() as session:
        with tf.variable_scope("model"):
            def layer(name, parts=("weights", "biases")):
                with tf.variable_scope(name):
                    return [tf.get_variable(part, shapes[f"model/{name}/{part}"]) for part in parts]

            x = tf.placeholder(tf.float32, [None, 227, 227, 3])
            y = convolution(x, *layer("conv1"), stride=4)
            y = pool(tf.nn.local_response_normalization(y, 2, 1.0, 1e-05, 0.75))
            y = convolution(y, *layer("conv2"), groups=2)
            y = pool(tf.nn.local_response_normalization(y, 2, 1.0, 1e-05, 0.75))
            y = convolution(y, *layer("conv3"))
            y = convolution(y, *layer("conv4"), groups=2)
            y = pool(convolution(y, *layer("conv5"), groups=2))
            y = tf.reshape(y, [-1, shapes["model/fc6/weights"][0]])
            y = tf.nn.relu(tf.nn.xw_plus_b(y, *layer("fc6")))
            y = tf.nn.relu(tf.nn.xw_plus_b(y, *layer("fc7")))
            y = tf.nn.xw_plus_b(y, *layer("fc8"))
            layer("metric", ("w1", "b1", "w2", "b2"))
        assert sorted(variable.op.name for variable in tf.trainable_variables()) == sorted(shapes)
        tf.train.Saver(tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)).restore(session, prefix)
        fed = images[..., ::-1].astype(np.float32) - np.asarray(MEAN, np.float32)
        return session.run([y, tf.nn.softmax(y)], {x: fed})


def onnx(folder, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(os.path.join(folder, "model.onnx"), providers=["CPUExecutionProvider"])
    return session.run(["out", "probabilities"], {"input": images})


def convolution(x, weights, biases, stride=1, groups=1):
    parts = [tf.nn.conv2d(each, kernel, strides=[1, stride, stride, 1], padding="SAME")
             for each, kernel in zip(tf.split(x, groups, axis=3), tf.split(weights, groups, axis=3))]
    return tf.nn.relu(tf.nn.bias_add(tf.concat(parts, axis=3), biases))


def pool(x):
    return tf.nn.max_pool2d(x, ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding="VALID")


def main(images_file, results_file, *places):
    images, results = np.load(images_file), {}
    if any(place.startswith("onnx=") for place in places):
        try:
            import onnxruntime  # noqa: F401
        except ImportError as error:
            print(error)
            sys.exit(3)
    judges = {"pb": frozen, "saved_model": saved_model, "ckpt": checkpoint, "eager": eager, "onnx": onnx}
    for place in places:
        kind, _, folder = place.partition("=")
        results[kind + "-logits"], results[kind + "-probabilities"] = judges[kind](folder, images)
    np.savez(results_file, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
