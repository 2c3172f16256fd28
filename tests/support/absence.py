"""What becomes of a test that misses something dear: a failure in CI, a skip on a laptop."""

import os
from typing import NoReturn

import pytest

IN_CI = os.environ.get("CI") == "true"


def go_without(why: str) -> NoReturn:
    """End the test; `why` says what to type so that it need not."""
    if IN_CI:
        pytest.fail(why, pytrace=False)
    pytest.skip(why)
