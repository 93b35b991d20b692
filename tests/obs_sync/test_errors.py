from __future__ import annotations

import pickle

import pytest

from obs_sync import errors

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.StoreError)]


@pytest.mark.parametrize("error_class", CLASSES)
def test_an_error_says_what_where_and_how_to_mend_it(error_class):
    error = error_class("it broke", "obs://bucket/key", "Mend it")
    assert str(error) == "it broke: obs://bucket/key. Mend it."
    assert (error.what, error.where, error.mend) == ("it broke", "obs://bucket/key", "Mend it")
    assert str(error_class("it broke")) == "it broke"


@pytest.mark.parametrize("error_class", CLASSES)
def test_an_error_survives_the_way_between_processes(error_class):
    error = pickle.loads(pickle.dumps(error_class("it broke", "here", "Mend it")))
    assert type(error) is error_class and str(error) == "it broke: here. Mend it."


def test_errors_are_the_builtins_that_one_expects():
    for error_class, builtin in [(errors.ObjectNotFound, FileNotFoundError), (errors.AccessDenied, PermissionError),
                                 (errors.StoreUnavailable, ConnectionError), (errors.IntegrityError, IOError),
                                 (errors.UnsafeKey, ValueError), (errors.InvalidUrl, ValueError),
                                 (errors.LocalStorageError, OSError), (errors.AlreadyPublished, FileExistsError)]:
        assert issubclass(error_class, builtin) and issubclass(error_class, errors.StoreError)
