"""Submit this job to ModelArts, and follow it. Read `service`, then `submission`.

    service       JobService: what can be asked of ModelArts, and the values of the answers
    errors        what ModelArts refuses, and that it cannot be reached
    request       a job to create, and the body of the request
    replies       from the documents of ModelArts to our values
    submission    the story of a submission
    choices       the flavor and the image, if they fit each other
    parameters    from settings to the parameters of a job
    code          which files a job needs, and their upload
    requirements  whether a file is a list of packages
    cost          hours and billing
    creation      create a job exactly once
    names         find a job by its name or id
    log_lines     the lines of a log, each once, from ModelArts or from OBS
    job_log       the log of one task: from ModelArts, or else from OBS
    follow        follow a job until it ends
    log_folder    read a log in OBS without any right in ModelArts
    stop          stop a job, and say what it saved
    submitted_run   the run that a job trains, and its newest accuracy
    listing       jobs with their runs
    descriptions  jobs, flavors and engines as text and as JSON
    session       what the commands about jobs share
    access        access key, project and address, from the environment or a file
    sdk_client    the client of Huawei's SDK: address, time-outs, proxy, certificates
    sdk_service   JobService over Huawei's SDK: retries, errors in our words
    mocked        a mocked ModelArts on this machine, which stands apart
"""
