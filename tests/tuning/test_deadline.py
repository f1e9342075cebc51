"""Time is booked, and never negative."""

from __future__ import annotations

import math
import time

import pytest
from refusals import refused

from autometa.errors import UsageError
from autometa.tuning._deadline import Deadline


def test_steps_add_up() -> None:
    deadline = Deadline(0.05)
    for _ in range(2):
        with deadline.step("search"):
            time.sleep(0.03)
    report = deadline.report()
    assert 0.06 <= report.steps["search"] <= report.spent
    assert deadline.remaining == 0.0
    assert "limit 0.1 s" in str(report)


def test_a_step_that_raises_is_booked() -> None:
    deadline = Deadline(None)
    with pytest.raises(KeyError), deadline.step("search"):
        raise KeyError
    assert "search" in deadline.report().steps
    assert deadline.remaining == math.inf
    assert "no limit" in str(deadline.report())


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf])
def test_limits_are_positive_and_finite(seconds) -> None:
    with refused(UsageError, "AM522"):
        Deadline(seconds)
