"""Exit codes that stand for signals, and exit codes that only seem to."""

import signal

import pytest

from taskruns.api.exit_codes import TERMINATING, describe_exit, signal_of

NOT_ENDING = {17, 18, 19, 20, 21, 22, 23, 28}
"""CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG and WINCH, which by default end no process.

They are ignored, or they only stop or continue it.
"""


def test_the_signals_that_end_a_process_are_named_as_python_names_them() -> None:
    names = {each.value: each.name for each in signal.Signals if each.value < 32}
    aliases = {"SIGIOT": "SIGABRT", "SIGPOLL": "SIGIO", "SIGCLD": "SIGCHLD"}
    ending = {
        number: aliases.get(name, name)
        for number, name in names.items()
        if number not in NOT_ENDING
    }
    assert {**ending, 16: "SIGSTKFLT"} == dict(TERMINATING)


@pytest.mark.parametrize("code", range(256))
def test_only_signals_that_the_system_sends_are_reported(code: int) -> None:
    sent = {132, 133, 134, 135, 136, 137, 139, 143, 159}
    assert signal_of(code) == (code - 128 if code in sent else None)


@pytest.mark.parametrize("code", [0, 1, 128, *(128 + n for n in NOT_ENDING), *range(160, 256)])
def test_a_code_without_a_meaning_is_only_a_number(code: int) -> None:
    assert describe_exit(code) == f"exited with code {code}"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (137, "ended with exit code 137 (128+9, SIGKILL)"),
        (143, "ended with exit code 143 (128+15, SIGTERM)"),
        (130, "exited with code 130 (128+2, by convention SIGINT)"),
        (141, "exited with code 141 (128+13, by convention SIGPIPE)"),
    ],
)
def test_an_exit_code_is_described_with_its_signal(code: int, text: str) -> None:
    assert describe_exit(code) == text
