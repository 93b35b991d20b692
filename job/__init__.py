"""The job as the platform sees it: configuration, command line, the run's story, publication.

Read `run` first, then `training`. Floors, from the top; each imports only from lower ones:

    commands/          one thin module a command: arguments in, one call, output
    sweep/             a study: many runs from one file
    run                the story of a run until TensorFlow is loaded; dry_run/ submits it on this machine
    modelarts/         submits this job to ModelArts and follows it; averaging: the mean of a run's checkpoints
    training           the rest of the story, and what a stopped run still does; follower: a rank other than rank 0
    evaluation         a trained network on the images of some domains, without writing to its run; prediction: on any
                       images; export/ makes files of it for other programs
    preflight/         the checks of doctor and check-graph; published_measure times what the port published
    preparation        from inputs to a model that is ready to train; final_report: the report at the end of a run;
                       cli turns errors into exit codes
    compilation        of a run's graphs for a card, before they are needed
    opened_run         what the steps of a run hand on to each other; card_paths: where CANN and the adapter write
    ranks/             the ranks of one job; reports/ show and compare runs; observer follows the trainer;
                       tracking/ copies runs into MLflow
    inputs/            brings data and weights to the local disk
    cann_logs          the logs of CANN, where the reason of its failures is; best_interval: what the report shows of
                       it; sync/ moves files by hand
    config/            every setting; publication/ brings results to the store
    exits              what each ending means; environment, workspace, console: the machine and the person;
                       standard_output: what commands print
    errors             errors of the job; stopping hears SIGTERM; printable: text that others wrote; start_times,
                       shipped, streams, utf8

Only `boot_modelarts.py` and tests import from here.
"""
