"""Copies of runs in an experiment tracker. Read `copying` first.

    copying           what a run becomes there: parameters, metrics, tags, files; and what is still to be copied
    tracker           what every tracker can do
    mlflow_tracker    MLflow, through its own client
"""
