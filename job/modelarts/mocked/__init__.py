"""A mocked ModelArts on this machine. It imports nothing else of ``job``.

    container    the container in which a submitted job runs: code, processes, log, outputs
"""
