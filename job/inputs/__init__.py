"""What a run trains on and starts from. Read `fetch` first.

    fetch             brings data and weights to the local disk
    fetch_weights     the weights alone
    early_weights     compares weights with the network before anything expensive
    indexing          the index of the data, and whether they are those that the run began with
    check             tells what is missing before anything expensive
    pulled_data       which objects below data_url are data
    weights           weights from a file, a checkpoint or a run
    trained           the network that `evaluate`, `predict` and `export` use: of a run, a checkpoint, a file
    fetch_trained     brings it to the local disk, with the settings and class names that count for it
    run_checkpoints   the checkpoints of a run that `average` takes the mean of
    average_sidecar   the file beside an average that says what it is
    images            single images, folders and lists of images that `predict` and `export` are given
"""
