"""Which of the two places on a command line is the store, and whether a local folder may be used."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple, Optional

from job.errors import ConfigError, NoSuchFolder


class Places(NamedTuple):
    """The places of a command line."""

    url: str  # of the store
    path: Optional[str]  # absolute, of the local folder; None if there is none


def find_places(action: str, first: str, second: Optional[str] = None, delete: bool = False) -> Places:
    """Tell the store from the local folder. URL PATH and PATH URL mean the same.

    Of two local folders, the first is the source in pull and push, and the store in other actions.

    Args:
        action: pull, push, verify, diff, ls or gc. first, second: as given; second is None where an action takes one.
        delete: the action deletes what the source does not have.

    Raises:
        NoSuchFolder: a folder does not exist. obs_sync.InvalidUrl: a URL is none.
        ConfigError: two URLs; a file where a folder is needed; one folder in the other; a pull into a home, a root or
        a checkout; ``delete`` in a local folder that holds other things as well.
    """
    from obs_sync import is_remote, parse_url

    if second is None:
        return Places(_store(first, must_exist=True), None)
    remote = [is_remote(place) for place in (first, second)]
    if all(remote):
        raise ConfigError(f"{first} and {second} are both in OBS, and sync does not copy from server to server; pull "
                          "to a local folder, then push from there")
    url, path = (second, first) if remote[1] or (action == "push" and not remote[0]) else (first, second)
    path = parse_url(path).path
    if os.path.exists(path) and not os.path.isdir(path):
        raise ConfigError(f"{path} is a file; {action} needs a folder. For one file, give its folder and "
                          "--include NAME")
    if action != "pull" and not os.path.isdir(path):
        raise NoSuchFolder(f"there is no folder {path}; check the path")
    if delete:
        _check_own(path if action == "pull" else _store(url, must_exist=False))
    elif action == "pull":
        _check_fillable(path)
    if not any(remote):
        _check_apart(_store(url, must_exist=action != "push"), path)
    return Places(url, path)


def _store(url: str, must_exist: bool) -> str:
    """The absolute path of a local store, or the URL of one in OBS. Raises ConfigError."""
    from obs_sync import parse_url

    location = parse_url(url)
    if location.is_local and os.path.exists(location.path) and not os.path.isdir(location.path):
        raise ConfigError(f"{location.path} is a file; a folder or an obs:// URL is needed")
    if location.is_local and must_exist and not os.path.isdir(location.path):
        raise NoSuchFolder(f"there is no folder {location.path}; expected obs://bucket/folder/ or a local folder")
    return location.path if location.is_local else url


def _check_own(folder: str) -> None:
    """Refuse ``delete`` in a local folder that holds other things as well: it would delete them. Raises ConfigError."""
    from obs_sync import is_remote

    if is_remote(folder):
        return
    real = os.path.realpath(folder)
    held = [("your home", os.path.expanduser("~"))]
    with contextlib.suppress(FileNotFoundError):  # it has been deleted meanwhile
        held.append(("the current directory", os.getcwd()))
    used = [name for name, path in held if os.path.commonpath([real, os.path.realpath(path)]) == real]
    reason = ("the root of the file system, or directly below it" if os.path.dirname(real) in ("/", real)
              else f"{used[0]} is there, or below it" if used
              else "it is a checkout, with .git" if os.path.exists(os.path.join(real, ".git")) else None)
    if reason is not None:
        raise ConfigError(f"--delete: {folder} may hold other files ({reason}), which would be deleted; choose a "
                          "folder only for this data")


def _check_fillable(folder: str) -> None:
    """Refuse a pull that would mix its files with those of a home, the system or a checkout. Raises ConfigError."""
    real = os.path.realpath(folder)
    home = os.path.realpath(os.path.expanduser("~"))
    reason = ("the root of the file system" if real == "/" else "your home" if real == home
              else "above your home" if os.path.commonpath([real, home]) == real
              else "a checkout, with .git" if os.path.exists(os.path.join(real, ".git")) else None)
    if reason is not None:
        raise ConfigError(f"{folder} is {reason}, so a pull does not write there; choose a folder only for this data, "
                          f"such as {os.path.join(folder, 'data')}")


def _check_apart(one: str, other: str) -> None:
    """Refuse two folders of which one is in the other. Raises ConfigError."""
    one, other = os.path.realpath(one), os.path.realpath(other)
    if os.path.commonpath([one, other]) in (one, other):
        raise ConfigError(f"{one} and {other} are the same folder, or one is in the other; choose two that are apart")
