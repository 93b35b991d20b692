"""Which of the two places on a command line is the store, and whether the local one will do."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple, Optional

from job.errors import ConfigError, NoSuchFolder


class Places(NamedTuple):
    """url: of the store. path: the absolute path of the local folder, None if there is none."""

    url: str
    path: Optional[str]


def find_places(action, first, second=None, delete=False):
    """Accept URL PATH and PATH URL; of two local folders, the source comes first in pull and push, else the store.

    Raises:
        ConfigError: two URLs; a file, or nothing, where a folder is needed; one folder in the other; a pull into a
            home, a root or a checkout; ``delete`` in a local folder that is not for that alone. obs_sync.InvalidUrl.
    """
    from obs_sync import is_remote, parse_url

    if second is None:
        return Places(_store(first, must_exist=True), None)
    remote = [is_remote(place) for place in (first, second)]
    if all(remote):
        raise ConfigError(f"{first} and {second} are both in OBS, and from server to server nothing is copied: pull "
                          "to a local "
                          "folder, then push from there")
    url, path = (second, first) if remote[1] or (action == "push" and not remote[0]) else (first, second)
    path = parse_url(path).path
    if os.path.exists(path) and not os.path.isdir(path):
        raise ConfigError(f"{path} is a file; {action} needs a folder (one file of a folder: --include NAME)")
    if action != "pull" and not os.path.isdir(path):
        raise NoSuchFolder(f"there is no folder {path}; check the path")
    if delete:
        _check_own(path if action == "pull" else _store(url, must_exist=False))
    elif action == "pull":
        _check_fillable(path)
    if not any(remote):
        _check_apart(_store(url, must_exist=action != "push"), path)
    return Places(url, path)


def _store(url, must_exist):
    from obs_sync import parse_url

    location = parse_url(url)
    if location.is_local and os.path.exists(location.path) and not os.path.isdir(location.path):
        raise ConfigError(f"{location.path} is a file; a folder or an obs:// URL is needed")
    if location.is_local and must_exist and not os.path.isdir(location.path):
        raise NoSuchFolder(f"there is no folder {location.path}; expected obs://bucket/folder/ or a local folder")
    return location.path if location.is_local else url


def _check_own(folder):
    """What ``delete`` is about must be there for that alone: all else in it would go. A URL in OBS passes."""
    from obs_sync import is_remote

    if is_remote(folder):
        return
    real = os.path.realpath(folder)
    held = [("your home", os.path.expanduser("~"))]
    with contextlib.suppress(FileNotFoundError):  # removed meanwhile: then it is nowhere
        held.append(("the current directory", os.getcwd()))
    used = [name for name, path in held if os.path.commonpath([real, os.path.realpath(path)]) == real]
    reason = ("the root of the file system, or directly below it" if os.path.dirname(real) in ("/", real)
              else f"{used[0]} is there, or below it" if used
              else "it is a checkout, with .git" if os.path.exists(os.path.join(real, ".git")) else None)
    if reason is not None:
        raise ConfigError(f"--delete: {folder} holds far more than one transfer brings ({reason}); choose a folder "
                          "of its own"
                          )


def _check_fillable(folder):
    """A pull would strew its files among those of a home, of the system or of a checkout."""
    real = os.path.realpath(folder)
    home = os.path.realpath(os.path.expanduser("~"))
    reason = ("the root of the file system" if real == "/" else "your home" if real == home
              else "above your home" if os.path.commonpath([real, home]) == real
              else "a checkout, with .git" if os.path.exists(os.path.join(real, ".git")) else None)
    if reason is not None:
        raise ConfigError("{} is {}, and no place for the files of a pull; choose a folder of its own, such as {}"
                          .format(folder, reason, os.path.join(folder, "data")))


def _check_apart(one, other):
    one, other = os.path.realpath(one), os.path.realpath(other)
    if os.path.commonpath([one, other]) in (one, other):
        raise ConfigError(f"{one} and {other} are the same folder, or one is in the other; choose two that are apart")
