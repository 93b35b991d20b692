"""The access key, the project and the region for ModelArts, read from an environment such as ``os.environ``.

| what       | where, first found wins                                                             |
|------------|-------------------------------------------------------------------------------------|
| access key | HUAWEICLOUD_SDK_AK + HUAWEICLOUD_SDK_SK (+ HUAWEICLOUD_SDK_SECURITY_TOKEN)          |
|            | the file HUAWEICLOUD_SDK_CREDENTIALS_FILE, else ~/.huaweicloud/credentials: section |
|            | [basic] with ak, sk and perhaps security_token, project_id                          |
|            | the key for OBS, as ``obs_sync.esdk.credentials`` finds it                          |
| project    | HUAWEICLOUD_SDK_PROJECT_ID, that file; else the SDK asks IAM                        |
| region     | --region, HUAWEICLOUD_SDK_REGION, the region in OBS_SERVER's name, the region of a  |
|            | redirection HUAWEICLOUD_SDK_REGION_MODELARTS_<REGION>                               |

The names are those of Huawei's SDK, except HUAWEICLOUD_SDK_REGION, which is ours. One key is enough for ModelArts and
OBS: where only one of them has a key, the other uses it (``obs_environment``).
"""

from __future__ import annotations

import configparser
import os
import re
from dataclasses import dataclass, field, replace
from typing import Dict, List, Mapping, Optional

from job.modelarts.errors import AccessRefused
from obs_sync.errors import CredentialsMissing
from obs_sync.esdk.credentials import has_obs_credentials, read_credentials

REDIRECTION = "HUAWEICLOUD_SDK_REGION_MODELARTS_"
_KEY = ("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN")
_OBS_SECRETS = ("OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_PROJECT = "HUAWEICLOUD_SDK_PROJECT_ID"
_FILE = "HUAWEICLOUD_SDK_CREDENTIALS_FILE"
_REGION = "HUAWEICLOUD_SDK_REGION"
_DEFAULT_FILE = os.path.join("~", ".huaweicloud", "credentials")
_SECTION = "basic"
_OBS_HOST = re.compile(r"(?:https?://)?(?:[a-z0-9.-]+\.)?obs\.([a-z]+-[a-z]+-\d+)\.")


@dataclass(frozen=True)
class Access:
    """An access key for ModelArts. Secrets stay out of the repr.

    token: of a temporary key, or None. project: its id, or None, and then the SDK asks IAM. source: where the key was
    found, for messages.
    """

    key_id: str
    secret: str = field(repr=False)
    token: Optional[str] = field(default=None, repr=False)
    project: Optional[str] = None
    source: str = ""


def read_access(environ: Mapping[str, str]) -> Access:
    """The access key.

    Raises:
        AccessRefused: there is no whole key, or it cannot be one; the message shows nothing of it.
    """
    project = environ.get(_PROJECT, "").strip() or None
    key_id, secret, token = (environ.get(name, "").strip() for name in _KEY)
    if key_id or secret:
        if not (key_id and secret):
            present, absent = (_KEY[0], _KEY[1]) if key_id else (_KEY[1], _KEY[0])
            raise AccessRefused(f"{present} is set but {absent} is not", None, "Set both, or neither")
        return _checked(Access(key_id, secret, token or None, project, _KEY[0]))
    in_file = _from_file(environ)
    if in_file is not None:
        return _checked(replace(in_file, project=project or in_file.project))
    try:
        key = read_credentials(environ)
    except CredentialsMissing as error:
        if has_obs_credentials(environ):
            raise AccessRefused(f"the access key for OBS cannot be used: {error.what}", error.where,
                                error.mend) from None
        key = None
    if key is None or key.agency:
        raise AccessRefused(
            "there is no access key for ModelArts", None,
            f"Export {_KEY[0]} and {_KEY[1]} (and {_KEY[2]} with a temporary key), or write them as ak and sk below "
            f"[{_SECTION}] into {_DEFAULT_FILE}; OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY work, too. Keys are made "
            "in the console under My Credentials, Access Keys")
    return _checked(Access(key.access_key_id, key.secret_access_key, key.security_token, project, key.source))


def _from_file(environ: Mapping[str, str]) -> Optional[Access]:
    """What the SDK's file says, or None if there is no such file."""
    named = environ.get(_FILE, "").strip()
    path = named or os.path.join(environ.get("HOME") or os.path.expanduser("~"), *_DEFAULT_FILE.split(os.sep)[1:])
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(path, encoding="utf-8") as stream:
            parser.read_file(stream)
    except FileNotFoundError:
        if not named:
            return None
        raise AccessRefused(f"the file of {_FILE} does not exist", path, "Check its name") from None
    except (OSError, UnicodeDecodeError, configparser.Error):  # whose message may show a line of the file
        raise AccessRefused("the file with the access key cannot be read", path,
                            f"Expected a section [{_SECTION}] with the lines ak = KEY and sk = SECRET") from None
    values = dict(parser.items(_SECTION)) if parser.has_section(_SECTION) else {}
    key_id, secret = values.get("ak", "").strip(), values.get("sk", "").strip()
    if not (key_id and secret):
        raise AccessRefused("the file with the access key has no ak and sk", path,
                            f"Expected a section [{_SECTION}] with the lines ak = KEY and sk = SECRET")
    return Access(key_id, secret, values.get("security_token", "").strip() or None,
                  values.get("project_id", "").strip() or None, path)


def _checked(access: Access) -> Access:
    """Refuse what no header can hold; else the request could not be built, and that error might show the key."""
    for value in (access.key_id, access.secret, access.token or "", access.project or ""):
        if not all(character.isprintable() and character <= "\xff" for character in value):
            raise AccessRefused("the access key holds a character that no key has, such as a line break",
                                access.source, "Copy it again, in one line and without quotes")
    return access


def read_region(environ: Mapping[str, str], given: str = "") -> str:
    """The region that ModelArts is asked in, such as cn-north-4.

    Raises:
        AccessRefused: nothing says it.
    """
    if given:
        return given
    if environ.get(_REGION, "").strip():
        return environ[_REGION].strip()
    host = _OBS_HOST.match(environ.get("OBS_SERVER", "").strip().lower())
    if host:
        return host.group(1)
    redirected = [name for name in environ if name.startswith(REDIRECTION) and environ[name]]
    if len(redirected) == 1:
        return redirected[0][len(REDIRECTION):].lower().replace("_", "-")
    raise AccessRefused("the region of ModelArts is not known", None,
                        f"Give --region=cn-north-4 (the region of your bucket), or export {_REGION}")


def obs_environment(environ: Mapping[str, str], access: Access, region: str) -> Dict[str, str]:
    """``environ`` with what OBS needs: the same access key and the region's server, unless it names its own."""
    completed = dict(environ)
    if not has_obs_credentials(environ):
        completed.update(OBS_ACCESS_KEY_ID=access.key_id, OBS_SECRET_ACCESS_KEY=access.secret)
        if access.token:
            completed["OBS_SECURITY_TOKEN"] = access.token
    if not (environ.get("OBS_SERVER") or environ.get("S3_ENDPOINT")):
        completed["OBS_SERVER"] = f"https://obs.{region}.myhuaweicloud.com"
    return completed


def secrets_of(access: Access, environ: Mapping[str, str]) -> List[str]:
    """What must be in no file that is uploaded: the secrets of the key for ModelArts and of the keys for OBS."""
    found = [access.secret, access.token or ""] + [environ.get(name, "") for name in _OBS_SECRETS]
    return [secret for secret in found if secret]
