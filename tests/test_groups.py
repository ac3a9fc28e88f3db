"""What has to stay with one worker of pytest-xdist does."""

from __future__ import annotations

import os

import pytest


@pytest.mark.xdist_group("together")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process")
@pytest.mark.parametrize("one", ["with parameters"])
def test_a_test_says_of_which_group_it_is(one: str, request: pytest.FixtureRequest) -> None:
    """The scheduler, which knows no marks, reads it there."""
    assert request.node.nodeid.endswith("[with parameters]@together")
