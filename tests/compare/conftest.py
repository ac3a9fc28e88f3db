"""What the tests of comparisons share."""

from __future__ import annotations

import pytest

from compare.small import without_reports


@pytest.fixture(autouse=True)
def quick_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    without_reports(monkeypatch)
