"""The memory of a piece of work."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from autometa.evaluation._memory import PeakMemory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps the account")
def test_the_peak_is_what_was_held_at_once_even_if_it_was_given_back() -> None:
    with PeakMemory() as peak:
        for _ in range(3):
            np.ones(5_000_000).sum()
    assert 38 <= peak.megabytes <= 80


def test_a_system_without_an_account_gives_nan(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr("autometa.evaluation._memory._CLEAR", tmp_path / "none" / "clear_refs")
    monkeypatch.setattr("autometa.evaluation._memory._STATUS", tmp_path / "none" / "status")
    with PeakMemory() as peak:
        pass
    assert np.isnan(peak.megabytes)
