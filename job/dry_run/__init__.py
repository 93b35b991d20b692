"""The whole ModelArts job on this machine against a mocked OBS.

    story   fills the bucket, starts the boot file, shows what came out
    hints   commands to try next
"""
