"""The command line of the cleanup, and its time limit."""

import asyncio
import itertools
import re

import pytest
from typing_extensions import override

from taskruns.engines.engine import EngineError, Unavailable
from taskruns.engines.kubernetes.listing import NotAllowed
from taskruns.operator import __main__, uninstall
from taskruns.operator.structured_logging import Format
from taskruns.operator.uninstall import Uninstall


def test_without_flags_all_namespaces_are_cleaned_up() -> None:
    assert uninstall.read([], {}) == uninstall.Settings(
        deployment=None,
        lease=None,
        namespaces=None,
        timeout=120,
        dry_run=False,
        log_format=Format.PLAIN,
        kubeconfig=None,
        context=None,
    )


def test_flags_and_variables_are_parsed() -> None:
    flags = "--deployment taskruns-system/taskruns --timeout=5 --dry-run --namespaces a,b"
    flags += " --lease taskruns-system/taskruns"
    options = uninstall.read(flags.split(), {"TASKRUNS_LOG_FORMAT": "json"})
    assert options.deployment == options.lease == ("taskruns-system", "taskruns")
    assert (options.timeout, options.dry_run, options.namespaces) == (5, True, ("a", "b"))
    assert options.log_format is Format.JSON
    assert uninstall.read([], {"TASKRUNS_DRY_RUN": "true"}).dry_run


@pytest.mark.parametrize("text", ["taskruns", "/taskruns", "a/", "a/b/c"])
def test_a_deployment_without_a_namespace_is_rejected(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        uninstall.read([f"--deployment={text}"], {})
    assert exit_.value.code == 2
    assert capsys.readouterr().err == (
        f"taskruns-controller cleanup: --deployment is '{text}': write its namespace and name, "
        "such as taskruns-system/taskruns\n"
    )


def test_the_examples_in_the_help_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        __main__.main(["cleanup", "--help"])
    assert exit_.value.code == 0
    output = capsys.readouterr().out
    examples = re.findall(r"^  taskruns-controller cleanup (.*)$", output, re.MULTILINE)
    assert len(examples) >= 3
    for example in examples:
        assert isinstance(uninstall.read(example.split(), {}), uninstall.Settings)


class Rounds(Uninstall):
    """An uninstall whose rounds return or raise these results; the last one repeats."""

    def __init__(self, *results: int | EngineError) -> None:
        self._results = list(results)
        self.patient: list[bool] = []

    @override
    async def release_pods(self, *, patient: bool) -> int:
        self.patient.append(patient)
        result = self._results.pop(0) if len(self._results) > 1 else self._results[0]
        if isinstance(result, EngineError):
            raise result
        return result


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uninstall, "PAUSE_SECONDS", 0.0)


async def test_the_cleanup_ends_when_a_round_finds_no_pod(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    rounds = Rounds(3, Unavailable("down"), 1, 0)
    assert await uninstall.release_all(rounds, 60) == 0
    assert rounds.patient == [True] * 4
    assert caplog.messages == [
        "down; retrying",
        "no Pod waits for the controller",
    ]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (2, "2 Pods had to be released or deleted in the last round"),
        (NotAllowed("no role"), "no role"),
    ],
    ids=["Pods are still created", "a namespace is forbidden"],
)
async def test_the_cleanup_ends_at_its_timeout_and_logs_the_cause(
    result: int | EngineError,
    message: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "time", itertools.count().__next__)
    rounds = Rounds(result)
    assert await uninstall.release_all(rounds, 60) == 1
    assert rounds.patient[0]
    assert not rounds.patient[-1]
    assert message in caplog.text
    assert "stop the controller (--deployment)" in caplog.text
