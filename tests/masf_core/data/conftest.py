"""The data set that most tests of this folder begin with."""

from __future__ import annotations

import pytest

from tests.masf_core.data.datasets import write_folders, write_lists


@pytest.fixture
def data(tmp_path):
    """(dataroot, filelist_root) of three domains, three classes and four images of each."""
    write_folders(tmp_path / "images")
    write_lists(tmp_path / "lists")
    return str(tmp_path / "images"), str(tmp_path / "lists")
