"""The job as the platform sees it: configuration, command line, the run's story, publication."""
