"""Files of weights that other programs write. Read `content` first, then `recognise`.

Nothing here runs code of the file, and every reader spends from a ``Budget``. None needs the program that wrote the
file: neither Caffe, PyTorch, h5py nor TensorFlow.

    content                what a reader returns: named arrays that are not read yet
    recognise              finds the format by a file's content, and calls its reader
    naming                 which array of which published file is which variable of our networks
    matching               finds the naming of a file and brings its arrays into our form
    layout                 from the order of axes and of channels in a file to ours
    wire                   reads fields of protobuf messages
    caffe                  `.caffemodel`
    tensorflow_checkpoint  `model.ckpt-N.index` with its `.data-00000-of-00001`
    torch_file             `.pth` and `.pt`, of both generations
    torch_pickle           the names that a pickle of PyTorch may use
    safetensors            `.safetensors`
    keras                  `.h5` of Keras
    hdf5                   reads groups and arrays of an HDF5 file
"""
