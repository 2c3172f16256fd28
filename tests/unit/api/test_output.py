"""`split_output` reverses `join_output`."""

import pytest

from taskruns.api.v1alpha1.status import join_output, split_output


@pytest.mark.parametrize("lines", [[], ["out of luck"], ["a: 1", "b. 2", "c"]])
def test_a_message_splits_into_cause_and_output(lines: list[str]) -> None:
    cause = "Container main exited with code 3 (node a)"
    assert split_output(join_output(cause, lines)) == (cause, lines)


def test_empty_lines_are_omitted() -> None:
    assert split_output(join_output("It failed", ["", " a ", "\t"])) == ("It failed", ["a"])


def test_output_that_contains_the_separator_changes_no_cause() -> None:
    message = join_output("It failed", ["password. Last output: 12345"])
    assert split_output(message)[0] == "It failed"
