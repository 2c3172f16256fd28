"""Handling of a missing expensive resource: the test fails in CI and is skipped elsewhere."""

import os
from typing import NoReturn

import pytest

IN_CI = os.environ.get("CI") == "true"


def go_without(why: str) -> NoReturn:
    """End the test; `why` names the missing resource and the command that provides it."""
    if IN_CI:
        pytest.fail(why, pytrace=False)
    pytest.skip(why)
