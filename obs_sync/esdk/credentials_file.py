"""A file with an access key, which may be rewritten while the job runs."""
from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Tuple

from obs_sync.errors import CredentialsMissing
from obs_sync.json_document import parse_json

_LARGEST = 65536  # bytes
_NAMES = ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN")
_METADATA_NAMES = ("access", "secret", "securitytoken")
_FORMS = ("Expected lines OBS_ACCESS_KEY_ID=…, OBS_SECRET_ACCESS_KEY=… and, with a temporary key, "
          "OBS_SECURITY_TOKEN=…; or a JSON object of these; or the instance's own answer, "
          '{"credential": {"access": …, "secret": …, "securitytoken": …}}')


def read_credentials_file(path: str) -> Tuple[str, str, Optional[str]]:
    """(access key, secret key, security token) from the file `path`: NAME=VALUE lines, or JSON.

    Raises CredentialsMissing, which shows nothing of the content.
    """
    try:
        with open(path, "rb") as stream:
            text = stream.read(_LARGEST + 1).decode("utf-8")
    except OSError as error:
        raise CredentialsMissing(f"the file of OBS_CREDENTIALS_FILE cannot be read ({error.strerror})", path,
                                 "Check its name and that this user may read it") from error
    except UnicodeDecodeError:
        text = ""
    found = _from_json(text) if text.lstrip().startswith("{") else _from_lines(text)
    key_id, secret, token = (found.get(name, "").strip() for name in _NAMES)
    if len(text) > _LARGEST or not key_id or not secret:
        raise CredentialsMissing("the file of OBS_CREDENTIALS_FILE holds no access key", path, _FORMS)
    return key_id, secret, token or None


def _from_json(text: str) -> Dict[str, str]:
    try:
        document = parse_json(text.encode("utf-8"))
    except ValueError:  # such as a file that is being written
        return {}
    inner = document.get("credential")
    if isinstance(inner, dict):
        return {name: _string(inner, other) for name, other in zip(_NAMES, _METADATA_NAMES)}
    return {name: _string(document, name) for name in _NAMES}


def _string(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _from_lines(text: str) -> Dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        name = name.strip()
        if equals and not name.startswith("#"):
            name = name[len("export "):].strip() if name.startswith("export ") else name
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            found[name] = value
    return found
