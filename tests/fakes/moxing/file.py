"""Stand-in for `moxing.file`, with the parameters and the oddities that its documentation tells.

Buckets are the directories of FAKE_MOXING_ROOT. Objects are files named by their quoted key, so that, as in a store,
`a` and `a/b` may both exist and a directory exists only as far as there are keys below it.

Oddities kept: functions are `(*args, **kwargs)` wrappers; `copy` takes single files, `copy_parallel` directories only,
and both return None; `remove` without `recursive` does nothing to a directory, nor with a trailing '/' to a file;
`list_directory(recursive=True)` lists directories among the files; nothing tells a digest. An argument of a wrong name
raises TypeError. FAKE_MOXING_DROP=<n> makes copy_parallel leave out its last n files without a word.
"""
import fnmatch
import functools
import inspect
import os
import shutil
from urllib.parse import quote, unquote

_auth = {}


class MoxFileNotExistsException(Exception):
    pass


class MoxFileNameDuplicateException(Exception):
    pass


class _MoxFileBaseRespException(Exception):
    def __init__(self, resp, *args):
        super().__init__(resp, *args)
        self.resp = resp


class MoxFileReadException(_MoxFileBaseRespException):
    pass


class MoxFileRespException(_MoxFileBaseRespException):
    pass


class _Response:
    def __init__(self, status, errorCode):
        self.status, self.errorCode = status, errorCode


class _Stat:
    def __init__(self, length, mtime_nsec, is_directory):
        self.length, self.mtime_nsec, self.is_directory = length, mtime_nsec, is_directory


def _wrapped(function):
    """Callable by position and by name like the real ones, whose signature says `(*args, **kwargs)`."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        signature.bind(*args, **kwargs)
        return function(*args, **kwargs)

    wrapper.__signature__ = inspect.signature(lambda *args, **kwargs: None)
    del wrapper.__wrapped__
    return wrapper


def _is_remote(url):
    return url.startswith(("obs://", "s3://"))


def _split(url):
    bucket, _, key = url.split("://", 1)[1].partition("/")
    directory = os.path.join(os.environ["FAKE_MOXING_ROOT"], bucket)
    if not os.path.isdir(directory):
        raise MoxFileRespException(_Response(404, "NoSuchBucket"))
    return directory, key


def _object(url):
    directory, key = _split(url)
    return os.path.join(directory, quote(key, safe=""))


def _keys(url):
    """All keys below the directory `url`, relative to it."""
    directory, key = _split(url)
    prefix = key.rstrip("/") + "/" if key.rstrip("/") else ""
    found = sorted(unquote(name) for name in os.listdir(directory) if not name.endswith(".writing"))
    return [name[len(prefix):] for name in found if name.startswith(prefix) and name != prefix]


def _is_file(url):
    if not _is_remote(url):
        return os.path.isfile(url)
    return not url.endswith("/") and _split(url)[1] != "" and os.path.isfile(_object(url))


def _is_directory(url):
    if not _is_remote(url):
        return os.path.isdir(url)
    directory, key = _split(url)
    marker = os.path.join(directory, quote(key.rstrip("/") + "/", safe=""))
    return key == "" or os.path.isfile(marker) or bool(_keys(url))


def _load(url):
    if not _is_file(url):
        if _is_remote(url):
            raise MoxFileRespException(_Response(404, "NoSuchKey"))
        raise OSError("no such file: " + url)
    with open(_object(url) if _is_remote(url) else url, "rb") as stream:
        return stream.read()


def _save(url, data):
    path = _object(url) if _is_remote(url) else url
    with open(path + ".writing", "wb") as stream:
        stream.write(data)
    os.replace(path + ".writing", path)


@_wrapped
def exists(url):
    return _is_file(url) or _is_directory(url)


@_wrapped
def is_directory(url):
    return _is_directory(url)


@_wrapped
def stat(url):
    if _is_file(url):
        status = os.stat(_object(url) if _is_remote(url) else url)
        return _Stat(status.st_size, status.st_mtime_ns, False)
    if _is_directory(url):
        return _Stat(0, 0, True)
    raise MoxFileNotExistsException("File or directory not exists: %s" % url)


@_wrapped
def list_directory(url, recursive=False, remove_sep=True, skip_file=False, skip_dir=False):
    if not _is_directory(url):
        raise MoxFileNotExistsException("Directory not exists: %s" % url)
    if not _is_remote(url):
        return sorted(os.listdir(url))
    files, directories = [], set()
    for key in _keys(url):
        segments = key.split("/")
        directories.update("/".join(segments[:i]) for i in range(1, len(segments)))
        if not key.endswith("/"):
            files.append(key)
    names = ([] if skip_file else files) + ([] if skip_dir else
                                            sorted(name if remove_sep else name + "/" for name in directories))
    return names if recursive else [name for name in names if "/" not in name.rstrip("/")]


@_wrapped
def get_size(url, recursive=False):
    if _is_file(url):
        return stat(url).length
    if not recursive:
        return 0
    return sum(stat(url.rstrip("/") + "/" + key).length for key in list_directory(url, recursive=True, skip_dir=True))


@_wrapped
def glob(url):
    base = url[:url.rindex("/", 0, min(url.index(sign) for sign in "*?[" if sign in url)) + 1]
    return [base + key for key in _keys(base) if fnmatch.fnmatch(base + key, url)]


@_wrapped
def walk(url, topdown=True, onerror=None, followlinks=False):
    def visit(directory):
        names = list_directory(directory)
        below = [name for name in names if _is_directory(directory.rstrip("/") + "/" + name)]
        yield directory, below, [name for name in names if name not in below]
        for name in below:
            for entry in visit(directory.rstrip("/") + "/" + name):
                yield entry
    return visit(url)


@_wrapped
def make_dirs(url):
    if _is_remote(url):
        open(_object(url.rstrip("/") + "/"), "wb").close()
    else:
        os.makedirs(url, exist_ok=True)


@_wrapped
def mk_dir(url):
    if not _is_directory(url.rstrip("/").rpartition("/")[0]):
        raise OSError("parent directory does not exist: " + url)
    make_dirs(url)


@_wrapped
def remove(url, recursive=False):
    if not _is_remote(url):
        return shutil.rmtree(url) if recursive and os.path.isdir(url) else os.remove(url)
    if _is_file(url):
        os.remove(_object(url))
    elif recursive and _is_directory(url):
        for key in _keys(url):
            os.remove(_object(url.rstrip("/") + "/" + key))


@_wrapped
def rename(src_url, dst_url):
    copy(src_url, dst_url)
    remove(src_url)


@_wrapped
def read(url, client_id=None, binary=False, exist_check=True):
    data = _load(url)
    return data if binary else data.decode("utf-8")


@_wrapped
def write(url, data, binary=False):
    _save(url, data if binary else data.encode("utf-8"))


@_wrapped
def append(url, data, binary=False):
    _save(url, (_load(url) if _is_file(url) else b"") + (data if binary else data.encode("utf-8")))


@_wrapped
def append_remote(src_url, dst_url):
    append(dst_url, _load(src_url), binary=True)


@_wrapped
def copy(src_url, dst_url, client_id=None):
    _save(dst_url, _load(src_url))


@_wrapped
def copy_parallel(src_url, dst_url, file_list=None, threads=16, is_processing=True, use_queue=True):
    if not _is_directory(src_url):
        raise OSError("copy_parallel takes directories only: " + src_url)
    if _is_remote(src_url):
        names = list_directory(src_url, recursive=True, skip_dir=True)
    else:
        names = sorted(os.path.relpath(os.path.join(parent, name), src_url)
                       for parent, _, files in os.walk(src_url) for name in files)
    if file_list is not None:
        names = [name for name in names if name in file_list]
    dropped = int(os.environ.get("FAKE_MOXING_DROP", "0"))
    for name in names[:len(names) - dropped]:
        if not _is_remote(dst_url):
            target = os.path.join(dst_url, name)
            if os.path.isdir(target) or os.path.isfile(os.path.dirname(target)):
                raise MoxFileNameDuplicateException(target)
            os.makedirs(os.path.dirname(target), exist_ok=True)
        copy(src_url.rstrip("/") + "/" + name, dst_url.rstrip("/") + "/" + name)


class File:
    """`File(url, mode)` with whole contents in memory, written when closed or flushed."""

    def __init__(self, name, mode="r"):
        self.name, self.mode = name, mode
        self._binary = "b" in mode
        self._data = b"" if "w" in mode or not _is_file(name) and "a" in mode else _load(name)
        self._position = len(self._data) if "a" in mode else 0

    def read(self, n=-1):
        end = len(self._data) if n is None or n < 0 else self._position + n
        chunk, self._position = self._data[self._position:end], min(end, len(self._data))
        return chunk if self._binary else chunk.decode("utf-8")

    def readlines(self, sizeint=-1):
        return self.read().splitlines(True)

    def write(self, data):
        data = data if self._binary else data.encode("utf-8")
        self._data = self._data[:self._position] + data + self._data[self._position + len(data):]
        self._position += len(data)

    def tell(self):
        return self._position

    def seek(self, offset, whence=0):
        self._position = (0, self._position, len(self._data))[whence] + offset

    def size(self):
        return len(self._data)

    def flush(self):
        if self.mode.strip("b") != "r":
            _save(self.name, self._data)

    def close(self):
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()


def set_auth(ak=None, sk=None, server=None, port=None, is_secure=None, ssl_verify=None, long_conn_mode=None,
             path_style=None, retry=None, retry_wait=None, client_timeout=None, list_max_keys=None):
    _auth.update({name: value for name, value in locals().items() if value is not None})


def shift(src, dst):
    if (src, dst) not in (("os", "mox"), ("mox", "os")):
        raise ValueError("shift(%r, %r)" % (src, dst))
