"""The platform behind the calls: what happens to a job.

Read `platform` first, then `job`:

    platform    all jobs, and what calls do to them
    progress    from phase to phase: starts, watches, ends and restarts containers
    job         one job: phase, tasks, events
    logs        the log of one task
    log_copies  from the containers' logs to the log objects in OBS
    archive     jobs on disk, for the next start of the mock
    request     the body of a new job, checked as the service checks it
    places      what there is in OBS
    documents   jobs and events as replies show them
    search      lists of jobs: filters, order, pages
    clock       the platform's time
"""
