"""A short soak: under random faults nothing is ever wrong, and a soak would notice if it were."""

from __future__ import annotations

import pytest

from benchmarks.soak import soak


@pytest.mark.slow
def test_under_random_faults_nothing_is_wrong():
    outcome = soak(10, seed=1)
    assert outcome.wrong == []
    assert sum(outcome.operations.values()) > 100 and sum(outcome.injected.values()) > 100
    assert outcome.retries > 20 and len(outcome.operations) == 10
    assert 20 < outcome.mismatches < sum(outcome.noticed.values()) <= sum(outcome.injected.values())
    assert set(outcome.refused) <= {
        "AccessDenied", "IntegrityError", "StoreUnavailable", "Damaged", "OtherVersion", "WrongDigest"}


@pytest.mark.slow
def test_a_client_that_compares_nothing_is_found_out(monkeypatch):
    monkeypatch.setattr("obs_sync.esdk.get.compare_digests", lambda digest, wanted, where: None)
    assert soak(5, seed=1).wrong
