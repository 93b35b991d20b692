"""A trained network as a file that other programs load. Read `graph` first.

    choices        formats and inputs; needs no TensorFlow
    graph          the forward pass with named inputs and outputs, for any number of images
    formats        writes it: frozen graph, SavedModel, checkpoint of TensorFlow's Saver, ONNX
    names          what variables are called in the reference's checkpoints
    loading        runs what was written, with the loader of its format
    comparison     how far the results of two programs may be apart
"""
