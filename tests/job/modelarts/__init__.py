"""Tests of `job.modelarts`. `memory_service` is a ModelArts in memory."""
