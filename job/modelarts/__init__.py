"""Submit this job to ModelArts, and follow it. Read `service`, then `submission`.

    service       JobService: what can be asked of ModelArts, and the values of the answers
    errors        what ModelArts refuses, and that it cannot be reached
    request       a job to create, and the body of the request
    replies       from the documents of ModelArts to our values
    submission    the story of a submission
    parameters    from settings to the parameters of a job
    code          which files a job needs, and their upload
    cost          hours and billing
    creation      create a job exactly once
    access        access key, project and address, from the environment or a file
    sdk_service   JobService over Huawei's SDK: retries, time-outs, errors in our words
    mocked        a mocked ModelArts on this machine, which stands apart
"""
