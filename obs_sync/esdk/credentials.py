"""The access key and the address of OBS, read from an environment (a mapping such as `os.environ`).

| what       | variables, first found wins                                      | set by                     |
|------------|------------------------------------------------------------------|----------------------------|
| agency     | OBS_CREDENTIALS=ecs: the instance is asked for a temporary key   | the user                   |
| access key | OBS_ACCESS_KEY_ID + OBS_SECRET_ACCESS_KEY (+ OBS_SECURITY_TOKEN) | the user                   |
|            | OBS_CREDENTIALS_FILE: a file with these, see credentials_file.py | the user, who rotates keys |
|            | AWS_ACCESS_KEY_ID + AWS_SECRET_ACCESS_KEY (+ AWS_SESSION_TOKEN)  | ModelArts, in some images  |
| server     | OBS_SERVER, else S3_ENDPOINT                                     | the user; ModelArts        |
| HTTPS      | the server's scheme, else S3_USE_HTTPS (default 1)               | ModelArts                  |
| verify TLS | OBS_SSL_VERIFY, else S3_VERIFY_SSL (default 1)                   | the user; ModelArts        |
| proxy      | HTTPS_PROXY, HTTP_PROXY, NO_PROXY, see http/proxies.py           | the user; the image        |

The agency is used only if OBS_CREDENTIALS names it: on a laptop its address does not answer, and a test must never
leave the machine. SSL_CERT_FILE names the certificate of a private authority.

The key may be read again: after the server refused one, `keys` looks for another. The environment of a process seldom
changes; a file and the key of an agency do.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Optional, Sequence
from urllib.parse import urlsplit

from obs_sync.errors import CredentialsMissing, InvalidUrl
from obs_sync.esdk.credentials_file import read_credentials_file
from obs_sync.http.proxies import HttpProxy, read_proxy

_KEY_VARIABLES = (
    ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
)
_FILE_VARIABLE = "OBS_CREDENTIALS_FILE"
_SERVER_VARIABLES = ("OBS_SERVER", "S3_ENDPOINT")
_YES = ("1", "true", "yes", "on")
_NO = ("0", "false", "no", "off")


@dataclass(frozen=True)
class Credentials:
    """An access key, or `agency=True`: the SDK asks the instance for one. Secrets stay out of the repr."""

    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    security_token: Optional[str] = field(default=None, repr=False)
    agency: bool = False
    source: str = ""  # where the key was found, for messages


@dataclass(frozen=True)
class Endpoint:
    """The OBS server. The bucket is named in the host name (bucket.host), unless the host is an IP address."""

    url: str  # scheme://host[:port]
    verify_tls: bool = True
    proxy: Optional[HttpProxy] = None


def has_obs_credentials(environ: Mapping[str, str]) -> bool:
    """Whether the user set OBS_* credentials of their own (the platform sets none of these)."""
    return any(environ.get(name) for name in ("OBS_ACCESS_KEY_ID", "OBS_CREDENTIALS", _FILE_VARIABLE))


def read_credentials(environ: Mapping[str, str]) -> Credentials:
    """Raises CredentialsMissing, which names every variable that was read, or the file without a key."""
    choice = environ.get("OBS_CREDENTIALS", "").strip().lower()
    if choice == "ecs":
        return Credentials(agency=True, source="OBS_CREDENTIALS=ecs")
    if choice not in ("", "env"):
        raise CredentialsMissing(f"OBS_CREDENTIALS is {choice!r}", None,
                                 "Expected 'env' (an access key in the environment) or 'ecs' (the agency)")
    for id_name, secret_name, token_name in _KEY_VARIABLES:
        key_id, secret = environ.get(id_name, "").strip(), environ.get(secret_name, "").strip()
        if key_id and secret:
            token = environ.get(token_name, "").strip() or None
            _check_characters((id_name, secret_name, token_name), (key_id, secret, token))
            return Credentials(key_id, secret, token, source=id_name)
        if key_id or secret:
            present, absent = (id_name, secret_name) if key_id else (secret_name, id_name)
            raise CredentialsMissing(f"{present} is set but {absent} is not", None, "Set both, or neither")
        path = environ.get(_FILE_VARIABLE, "").strip()
        if path:
            key = read_credentials_file(path)
            _check_characters(_KEY_VARIABLES[0], key, path)
            return Credentials(*key, source=f"{path} ({_FILE_VARIABLE})")
    looked_at = "; ".join(" + ".join(names[:2]) for names in _KEY_VARIABLES)
    raise CredentialsMissing(
        "there are no OBS credentials in the environment", None,
        f"Looked at {looked_at}; {_FILE_VARIABLE}; OBS_CREDENTIALS. Export OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY "
        "(and OBS_SECURITY_TOKEN with a temporary key), or OBS_CREDENTIALS=ecs on an instance with an agency")


def _check_characters(names: Sequence[str], values: Sequence[Optional[str]], where: Optional[str] = None) -> None:
    """Refuse what no header can hold; else the request could not be built, and that error might show the key."""
    for name, value in zip(names, values):
        if not all(character.isprintable() and character <= "\xff" for character in value or ""):
            raise CredentialsMissing(f"{name} holds a character that no key has, such as a line break", where,
                                     "Copy it again, in one line and without quotes")


def read_endpoint(environ: Mapping[str, str]) -> Endpoint:
    """Raises CredentialsMissing if no server is named, InvalidUrl if its name cannot be one."""
    for name in _SERVER_VARIABLES:
        server = environ.get(name, "").strip()
        if server:
            url = _server_url(server, name, environ)
            return Endpoint(url, _verify_tls(environ), read_proxy(environ, url))
    raise CredentialsMissing(
        "the address of OBS is not in the environment", None,
        f"Looked at {', '.join(_SERVER_VARIABLES)}. Export for instance "
        "OBS_SERVER=https://obs.cn-north-4.myhuaweicloud.com (the endpoint of the bucket's region)")


def _server_url(server: str, name: str, environ: Mapping[str, str]) -> str:
    if "://" not in server:
        server = ("https://" if _flag(environ, "S3_USE_HTTPS", True) else "http://") + server
    try:
        parts = urlsplit(server)
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:  # the port is no number, or the IPv6 address is incomplete
        valid = False
    if not valid:
        raise InvalidUrl(f"{name} is not the address of a server", server.split("@")[-1],
                         "Expected for instance https://obs.cn-north-4.myhuaweicloud.com")
    address = f"{parts.scheme}://{parts.netloc.split('@')[-1]}"
    if "@" in parts.netloc:  # perhaps a password, which is not shown
        raise InvalidUrl(f"{name} holds a user name or a password", None,
                         f"Expected {address}; keys belong in OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY")
    if parts.path not in ("", "/") or parts.query:
        raise InvalidUrl(f"{name} has more than the address of a server", address + parts.path, f"Expected {address}")
    return address


def _verify_tls(environ: Mapping[str, str]) -> bool:
    name = "OBS_SSL_VERIFY" if environ.get("OBS_SSL_VERIFY") else "S3_VERIFY_SSL"
    return _flag(environ, name, True)


def _flag(environ: Mapping[str, str], name: str, default: bool) -> bool:
    value = environ.get(name, "").strip().lower()
    if not value:
        return default
    if value not in _YES + _NO:
        raise InvalidUrl(f"{name} is {value!r}", None, "Expected 1 or 0")
    return value in _YES
