"""The job as a process of its own, over HTTP against the mocked OBS."""
