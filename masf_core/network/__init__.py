"""Backbones, the metric net, and pretrained weights. Read `backbone` first.

    backbone            what the method needs of a network: an architecture and its arithmetic
    architecture        variables, initial values, and what is taken from weights files; needs no TensorFlow
    registry            the table of networks, and how to add one
    alexnet             AlexNet
    alexnet_shapes      its architecture
    squeezenet          SqueezeNet v1.0
    squeezenet_shapes   its architecture
    resnet              ResNet-18 and ResNet-50
    resnet_shapes       their architectures
    metric_net          the metric-embedding network
    metric_net_shapes   its variables
    layers              layers as pure functions
    kernels             how a layer asks TensorFlow for its arithmetic
    dropout             dropout with masks known from the iteration
    pretrained          reads weights files, which are not trusted
    plain_arrays        reads .npy headers and .npz archives of numbers
    averaging           the mean of the weights of several checkpoints
    converted           writes weights as `job convert-weights` does
    formats             reads weights files that other programs wrote
    unpickler           runs a pickle without calling anything that it names
    restricted_pickle   reads a pickle of arrays and nothing else
    budget              how much work and memory a file may cost its reader
"""
