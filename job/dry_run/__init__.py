"""The whole ModelArts job on this machine: submitted to a mocked ModelArts, with its data in a mocked OBS.

    story           fills the bucket, submits the job, follows it, shows what came out
    bucket          the folder of a dry run, and the images and weights in its bucket
    submitted       from settings to a job of the mocked platform, and until it has ended
    local_platform  the same platform for `python -m job submit --platform=local`
    hints           commands to try next
"""
