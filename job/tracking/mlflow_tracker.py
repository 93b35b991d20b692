"""MLflow through its own client, the one file that imports it. It is an extra (`track`)."""
from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from typing import Any, Iterator, Mapping, Optional, Sequence, Set
from urllib.parse import urlsplit

from job.config.given_values import secret_in_url
from job.errors import ConfigError
from job.printable import printable
from job.tracking.tracker import Point, Present, Tracker
from obs_sync import StoreUnavailable

SCHEME = "mlflow:"
INSTALL = "pip install 'masf-modelarts[track]', or: pip install mlflow-skinny"
EXPECTED = "expected mlflow:http://HOST:PORT, mlflow:https://HOST or mlflow:FOLDER"
IDENTITY = "masf.identity"
MOST_PARAMS = 100  # in one request
MOST_POINTS = 1000


def open_mlflow(to: str, experiment: str) -> Tracker:
    """The tracker that ``--to`` names.

    Raises:
        ConfigError: it names none, or MLflow's client is not installed. StoreUnavailable: it does not answer.
    """
    uri = to[len(SCHEME):] if to.startswith(SCHEME) else ""
    if not uri:
        raise ConfigError(f"--to={to if '@' not in to else 'mlflow:…'}: {EXPECTED}")
    try:
        urlsplit(uri)
    except ValueError:
        raise ConfigError(f"--to={SCHEME}…: this is no address; {EXPECTED}") from None
    if secret_in_url("--to", uri):
        raise ConfigError("--to: the address holds a name, a password or a signature, which is not shown here. Give "
                          "the plain address, and the credentials in MLFLOW_TRACKING_USERNAME and "
                          "MLFLOW_TRACKING_PASSWORD, or in MLFLOW_TRACKING_TOKEN")
    if importlib.util.find_spec("mlflow") is None:
        raise ConfigError(f"--to={to}: this needs MLflow's client: {INSTALL}")
    return MlflowTracker(uri, experiment)


class MlflowTracker(Tracker):
    """An experiment in MLflow, which is created if it is not there. uri: as MLflow has it."""

    longest_param = 250  # that every version of its server accepts

    def __init__(self, uri: str, experiment: str) -> None:
        # Nobody shall wait minutes for a server that is not there, and nothing goes to anybody else.
        for name, value in (("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"), ("MLFLOW_HTTP_REQUEST_TIMEOUT", "30"),
                            ("MLFLOW_DISABLE_TELEMETRY", "true"), ("MLFLOW_ALLOW_FILE_STORE", "true"),
                            ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"), ("GIT_PYTHON_REFRESH", "quiet")):
            os.environ.setdefault(name, value)
        self._uri = uri
        with self._talking():
            from mlflow.tracking import MlflowClient, set_tracking_uri

            # The client of MLflow 1 sends files through the server that is set for the whole process.
            set_tracking_uri(uri)
            self._client = MlflowClient(uri, registry_uri=uri)
            found = self._client.get_experiment_by_name(experiment)
            if found is not None and found.lifecycle_stage != "active":
                raise ConfigError(f"--experiment={experiment}: this experiment of MLflow was deleted. Restore it, or "
                                  "give another name")
            self._experiment = self._client.create_experiment(experiment) if found is None else found.experiment_id

    def find(self, identity: str) -> Optional[Present]:
        with self._talking():
            runs = self._client.search_runs([self._experiment], f"tags.`{IDENTITY}` = '{identity}'", max_results=1)
            return _present(runs[0]) if runs else None

    def create(self, identity: str, name: str, started: int) -> Present:
        with self._talking():
            tags = {"mlflow.runName": name[:250], IDENTITY: identity}
            return _present(self._client.create_run(self._experiment, start_time=started or None, tags=tags))

    def steps(self, key: str, metric: str) -> Set[int]:
        with self._talking():
            return {each.step for each in self._client.get_metric_history(key, metric)}

    def write(self, key: str, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        with self._talking():
            from mlflow.entities import Metric, Param, RunTag

            metrics = [Metric(each.name, each.value, each.moment, each.step) for each in points]
            for begin in range(0, len(metrics), MOST_POINTS):
                self._client.log_batch(key, metrics=metrics[begin:begin + MOST_POINTS])
            given = [Param(name, value) for name, value in params.items()]
            for begin in range(0, len(given), MOST_PARAMS):
                self._client.log_batch(key, params=given[begin:begin + MOST_PARAMS])
            labels = [RunTag(name, value) for name, value in tags.items()]
            for begin in range(0, len(labels), MOST_PARAMS):
                self._client.log_batch(key, tags=labels[begin:begin + MOST_PARAMS])

    def upload(self, key: str, path: str) -> None:
        with self._talking():
            self._client.log_artifact(key, path)

    def end(self, key: str, status: str, moment: Optional[int]) -> None:
        with self._talking():
            if status == "RUNNING":
                self._client.update_run(key, status)
            else:
                self._client.set_terminated(key, status, moment)

    def where(self, key: str) -> str:
        if self._uri.startswith(("http://", "https://")):
            return f"{self._uri.rstrip('/')}/#/experiments/{self._experiment}/runs/{key}"
        return f"run {key} of experiment {self._experiment} in {self._uri}"

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        """Errors of MLflow become ours; its log lines, and those about retries, are not shown."""
        loggers = [logging.getLogger(name) for name in ("mlflow", "urllib3")]
        before = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        except ConfigError:
            raise
        except ImportError as error:
            raise ConfigError(f"--to={SCHEME}{self._uri}: MLflow's client needs another package for this address "
                              f"({printable(str(error))}). Install mlflow instead of mlflow-skinny, or the "
                              "package that the message names") from error
        except OSError as error:  # also those of requests
            raise StoreUnavailable(f"MLflow could not be reached ({_told(error)})", self._uri, _MEND) from error
        except Exception as error:
            if not type(error).__module__.startswith("mlflow"):
                raise
            code = getattr(error, "error_code", "")
            if code == "INVALID_PARAMETER_VALUE" and "nsupported URI" in str(error):
                raise ConfigError(f"--to={SCHEME}{self._uri}: this MLflow knows no such address; {EXPECTED}") from error
            raise StoreUnavailable(f"MLflow could not be reached, or refused the request ({_told(error)})", self._uri,
                                   _MEND) from error
        finally:
            for logger, level in zip(loggers, before):
                logger.setLevel(level)


_MEND = ("Check the address, that the server is running, and MLFLOW_TRACKING_TOKEN or MLFLOW_TRACKING_USERNAME and "
         "MLFLOW_TRACKING_PASSWORD; then run the same command again: it continues")


def _told(error: Exception) -> str:
    text = printable(" ".join(str(error).split()))
    return text if len(text) <= 300 else text[:299] + "…"


def _present(run: Any) -> Present:
    return Present(run.info.run_id, run.info.status, dict(run.data.params), dict(run.data.tags), set(run.data.metrics))
