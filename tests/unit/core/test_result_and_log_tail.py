"""The result of a container, or the end of its log (design.md, Result and failure text)."""

from typing import Any

import pytest

from tests.support.builders.objects import a_claimed_status, a_pod, a_record, a_run, ended
from tests.support.decision import status_for


def ended_with(text: str, exit_code: int = 0, extra_containers: int = 0) -> Any:
    sidecars = [{"name": f"side-{n}", "image": "busybox:1"} for n in range(extra_containers)]
    template = {"spec": {"containers": [{"name": "main"}, *sidecars]}}
    run = a_run(template=template, status=a_claimed_status("Running"))
    return status_for(run, a_pod(run, main=ended(exit_code, message=text)), seconds=9)


def stored(status: Any) -> str | None:
    conditions = [c for c in status.conditions if c.type == "ResultStored"]
    return conditions[0].reason if conditions else None


@pytest.mark.parametrize("text", ['{"rows": 42}', "x" * 4095, "ü" * 2047, "\n", "line\nline\n"])
def test_the_result_is_the_written_content(text: str) -> None:
    status = ended_with(text)
    assert status.result == text
    assert stored(status) is None


def test_no_text_is_no_result() -> None:
    assert ended_with("").result is None


@pytest.mark.parametrize("text", ["x" * 4096, "ü" * 2048])
def test_a_result_of_exactly_the_limit_was_cut(text: str) -> None:
    status = ended_with(text)
    assert (status.phase, status.result) == ("Succeeded", None)
    assert stored(status) == "ResultTooLarge"
    condition = next(c for c in status.conditions if c.type == "ResultStored")
    assert condition.status == "False"
    assert "4096" in condition.message


@pytest.mark.guarantee("Four containers and more have equal shares of 12 KiB for their results")
@pytest.mark.parametrize(("sidecars", "limit"), [(0, 4096), (2, 4096), (3, 3072), (5, 2048)])
def test_all_containers_share_the_kubelets_message_limit(sidecars: int, limit: int) -> None:
    assert ended_with("x" * (limit - 1), extra_containers=sidecars).result is not None
    assert stored(ended_with("x" * limit, extra_containers=sidecars)) == "ResultTooLarge"


def test_init_containers_count_too() -> None:
    inits = [{"name": f"init-{n}", "image": "busybox:1"} for n in range(3)]
    run = a_run(template={"spec": {"initContainers": inits}}, status=a_claimed_status("Running"))
    status = status_for(run, a_pod(run, main=ended(0, message="x" * 3072)), seconds=9)
    assert stored(status) == "ResultTooLarge"


def test_invalid_utf8_is_returned_as_replacement_characters() -> None:
    assert ended_with("\N{REPLACEMENT CHARACTER}" * 100).result == "\N{REPLACEMENT CHARACTER}" * 100


def test_a_result_of_other_bytes_may_have_been_cut_within_two_bounds() -> None:
    """4096 bytes of which one is not UTF-8 arrive as 4098."""
    assert stored(ended_with("\N{REPLACEMENT CHARACTER}" + "x" * 4095)) == "ResultTooLarge"
    assert stored(ended_with("\N{REPLACEMENT CHARACTER}" + "x" * 4094)) is None


def test_a_failure_has_no_result_and_its_message_has_the_last_lines() -> None:
    status = ended_with("first\n\n  second  \nthird", exit_code=3)
    assert status.result is None
    assert "first | second | third" in status.message
    assert "\n" not in status.message


def test_a_message_contains_only_the_last_lines() -> None:
    status = ended_with("\n".join(f"line {number}" for number in range(100)), exit_code=3)
    assert "line 99" in status.message
    assert "line 90" in status.message
    assert "line 89" not in status.message


def test_a_message_is_truncated() -> None:
    status = ended_with("x" * 4000, exit_code=3)
    assert len(status.message) <= 2048
    assert len(status.attempts[0].message) <= 256


@pytest.mark.guarantee("The content of `resultPath` is the result, of the successful attempt only")
def test_the_result_of_an_earlier_attempt_does_not_survive() -> None:
    before = a_record(1, outcome="Failed", exitCode=1)
    status = a_claimed_status("Running", 2, attempts=[before, a_record(2)], failed=1)
    run = a_run(backoffLimit=1, status=status)
    written = status_for(run, a_pod(run, 2, main=ended(1, message="boom")), seconds=9)
    assert written.result is None


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m", "a\x07b\x7fc", "\u202ebackwards", "\u2028"])
def test_a_message_contains_no_control_or_direction_characters(text: str) -> None:
    status = ended_with(f"before {text} after", exit_code=1)
    assert status.message.isprintable()
    assert "before" in status.message
    assert "after" in status.message
    assert status.attempts[-1].message.isprintable()
