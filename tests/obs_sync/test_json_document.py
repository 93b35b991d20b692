"""Documents that are damaged, or meant to do harm, are refused like any other that cannot be read."""
from __future__ import annotations

import types

import pytest

from job.publication.restore import candidates
from job.publication.run_record import read_published
from masf_core.errors import CheckpointError
from masf_core.records.checkpoints import load_progress
from obs_sync import CredentialsMissing, IntegrityError
from obs_sync.checkpoints.markers import Marker, MarkerFile, NotAMarker, parse_marker
from obs_sync.checkpoints.pointers import read_pointer
from obs_sync.esdk.credentials import read_credentials
from obs_sync.lease.owner import this_process

DEEP = [b"[" * 100000, b'{"a":' * 100000]


@pytest.mark.parametrize("data", DEEP, ids=["lists", "objects"])
def test_a_document_that_nests_too_deep_is_damaged(local_store, tmp_path, data):
    with pytest.raises(NotAMarker):
        parse_marker(data, "name")
    local_store.write("checkpoints/best.json", data)
    local_store.write("run.json", data)
    for read in (lambda: read_pointer(local_store, "best"), lambda: read_published(local_store)):
        with pytest.raises(IntegrityError):
            read()
    (tmp_path / "key").write_bytes(data)
    with pytest.raises(CredentialsMissing):
        read_credentials({"OBS_CREDENTIALS_FILE": str(tmp_path / "key")})
    (tmp_path / "progress.json").write_bytes(data)
    with pytest.raises(CheckpointError):
        load_progress(str(tmp_path))


def test_a_claim_that_nests_too_deep_is_somebodys(local_store):
    from obs_sync.lease.claims import Claims
    local_store.write("lease/a.json", DEEP[0])
    assert Claims(local_store, this_process("job"), 60.0, lambda: 0.0, None).is_held(local_store.head("lease/a.json"))


def test_a_marker_without_an_iteration_is_passed_over(local_store, tmp_path, caplog):
    for name, metadata in (("no", {"lineage": "l"}), ("yes", {"lineage": "l", "iteration": 7})):
        marker = Marker(name, "2026", (MarkerFile("a", 1, 64 * "0"),), metadata)
        local_store.write(f"checkpoints/{name}.json", marker.to_json())
    found = candidates(local_store, types.SimpleNamespace(spool=str(tmp_path)), "l")
    assert [candidate.name for candidate in found] == ["yes"] and "checkpoint no cannot be used" in caplog.text


def test_a_marker_whose_files_clash_is_passed_over(local_store, tmp_path, caplog):
    from job.publication.restore import Restoring
    files = tuple(MarkerFile(name, 1, 64 * "0") for name in ("a", "a/b"))
    marker = Marker("clash", "2026", files, {"lineage": "l", "iteration": 7})
    local_store.write("checkpoints/clash.json", marker.to_json())
    workspace = types.SimpleNamespace(spool=str(tmp_path))
    with Restoring(local_store, workspace, "l", lambda: None) as restoring:
        assert restoring.newest({}, lambda done, total: None) is None
    assert "checkpoint clash cannot be used" in caplog.text


def test_a_marker_that_names_a_file_twice_is_none():
    marker = Marker("name", "2026-01-31T12:00:00Z", (MarkerFile("w", 1, "0" * 64), MarkerFile("w", 2, "1" * 64)), {})
    with pytest.raises(NotAMarker, match="a file twice"):
        parse_marker(marker.to_json(), "name")
