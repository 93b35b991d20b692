"""Stands in front of matplotlib in jobs whose test has no use for figures: they take a second of each job."""

raise ImportError("this test draws no figures")
