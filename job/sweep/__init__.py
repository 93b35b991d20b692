"""A study: many runs from one file, started on this machine or as jobs of ModelArts. Read `study_file`, then `drive`.

    study_file    reads the file of a study
    draws         random values of settings
    plan          from the file to the runs: names and configurations
    opened        the study with its places: what every action needs
    targets       the domains of the data, for `targets: all`
    state         what the store says of a run, and who writes to it now
    drive         starts the runs that are left, and waits for them
    runner        what `drive` needs from a place where runs can run
    local         runs as processes of this machine
    submitted     runs as jobs of ModelArts
    shares        the GPUs, cards and cores of this machine, shared out
    text          the plan and the status in words
    locking       one `sweep run` of a study on a machine, and its end from another terminal
    collect       the table of a study
"""
