"""Settings of the controller from flags and environment variables."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from taskruns.core.defaults import SiteDefaults
from taskruns.core.election import Timing
from taskruns.operator import settings
from taskruns.operator.settings import Settings
from taskruns.operator.structured_logging import Format


def test_every_setting_has_a_default() -> None:
    assert settings.read([], {}) == Settings(
        log_format=Format.PLAIN,
        log_level=logging.INFO,
        workers=8,
        site=SiteDefaults(604800, timedelta(seconds=30)),
        probes_host="127.0.0.1",
        probes_port=8080,
        metrics_host="127.0.0.1",
        metrics_port=8081,
        resync_seconds=60,
        lease=None,
        timing=Timing(lease_duration=10, renew_deadline=7, retry_period=1),
        namespaces=None,
        kubeconfig=None,
        context=None,
    )


def test_flags_are_parsed() -> None:
    flags = "--log-format=json --log-level debug --workers 3 --default-ttl=-1"
    more = "--default-delete-delay 1m30s --default-startup-timeout=45 --resync-seconds=5"
    sites = "--probes-host 0.0.0.0 --probes-port 0 --metrics-host ::1 --metrics-port off"
    rest = "--context dev --namespaces team-a,b"
    times = "--leader-elect-lease-duration 1m --leader-elect-retry-period 500ms"
    lease = f"--leader-elect-lease a/b --leader-elect-renew-deadline 20s {times}"
    read = settings.read(f"{flags} {more} {sites} {rest} {lease}".split(), {})
    assert (read.log_format, read.log_level, read.workers) == (Format.JSON, logging.DEBUG, 3)
    assert read.site == SiteDefaults(-1, timedelta(seconds=90), 45)
    assert (read.probes_host, read.probes_port, read.context) == ("0.0.0.0", 0, "dev")
    assert (read.metrics_host, read.metrics_port) == ("::1", None)
    assert (read.resync_seconds, read.namespaces) == (5, ("team-a", "b"))
    assert (read.lease, read.timing) == (("a", "b"), Timing(60, 20, 0.5))


def test_a_flag_takes_precedence_over_the_environment() -> None:
    environment = {"TASKRUNS_WORKERS": "3", "TASKRUNS_LOG_FORMAT": "json"}
    options = settings.read(["--workers=5"], environment)
    assert (options.workers, options.log_format) == (5, Format.JSON)


def test_an_empty_variable_counts_as_unset() -> None:
    assert settings.read([], {"TASKRUNS_NAMESPACES": ""}).namespaces is None
    assert settings.read([], {"TASKRUNS_WORKERS": "", "TASKRUNS_KUBECONFIG": ""}).workers == 8


WRONG = {
    "--workers=0": "--workers is '0': write a whole number from 1 to 256",
    "--workers=many": "--workers is 'many': write a whole number from 1 to 256",
    "--log-format=xml": "--log-format is 'xml': write plain or json",
    "--log-level=loud": "--log-level is 'loud': write debug or info or warning or error",
    "--default-ttl=-2": "--default-ttl is '-2': write a whole number from -1 to 2147483647",
    "--default-delete-delay=5": (
        "--default-delete-delay is '5': write a duration such as 30s, 5m or 1h30m"
    ),
    "--default-startup-timeout=0": (
        "--default-startup-timeout is '0': write a whole number from 1 to 2147483647"
    ),
    "--pod-template=/none": (
        "--pod-template is '/none': write the path of a file that can be read"
    ),
    "--probes-port=70000": "--probes-port is '70000': write a whole number from 0 to 65535",
    "--metrics-port=none": (
        "--metrics-port is 'none': write a whole number from 0 to 65535, or off"
    ),
    "--kubeconfig=/none": (
        "--kubeconfig is '/none': write the path of a kubeconfig file; there is none here"
    ),
    "--namespaces=a,b,a,c,b": (
        "--namespaces is 'a,b,a,c,b': write each namespace once; more than once there is a, b"
    ),
    "--leader-elect-lease=taskruns": (
        "--leader-elect-lease is 'taskruns': write its namespace and name, such as "
        "taskruns-system/taskruns"
    ),
    "--leader-elect-retry-period=0s": (
        "--leader-elect-retry-period is '0s': write a duration from 100ms to 1h"
    ),
    "--leader-elect-renew-deadline=10s": (
        "the times of the leader election are not in order: write a retry period below the renew "
        "deadline, and that below the lease duration"
    ),
    "--leader-elect-retry-period=7s": (
        "the times of the leader election are not in order: write a retry period below the renew "
        "deadline, and that below the lease duration"
    ),
    "--work=3": "unrecognized arguments: --work=3",
}


@pytest.mark.parametrize("flag", WRONG)
def test_an_invalid_value_gives_a_one_line_error_and_exit_code_2(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        settings.read([flag], {})
    assert exit_.value.code == 2
    assert capsys.readouterr().err == f"taskruns-controller: {WRONG[flag]}\n"


@pytest.mark.parametrize("names", ["", "a,", "Team", "a b", "a_b", "*", "-a", "a" * 64])
def test_an_invalid_namespace_is_rejected(names: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.read([f"--namespaces={names}"], {})
    assert "with commas between, such as team-a,team-b" in capsys.readouterr().err


def test_the_error_names_an_invalid_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.read([], {"TASKRUNS_WORKERS": "x"})
    assert "TASKRUNS_WORKERS is 'x'" in capsys.readouterr().err


def test_help_names_every_variable_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        settings.read(["--help"], {})
    assert exit_.value.code == 0
    output = " ".join(capsys.readouterr().out.split())
    for option in settings._OPTIONS:
        assert f"[{option.variable}" in output
        assert option.default is None or f"default {option.default}]" in output


def test_an_existing_kubeconfig_is_used(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.touch()
    assert settings.read([f"--kubeconfig={path}"], {}).kubeconfig == str(path)


def test_a_pod_template_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text("metadata: {labels: {team: data}}\nspec: {restartPolicy: Never}\n")
    parsed = settings.read([f"--pod-template={path}"], {}).site.pod_template
    assert parsed == {"metadata": {"labels": {"team": "data"}}, "spec": {"restartPolicy": "Never"}}


def test_an_empty_pod_template_sets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.touch()
    assert settings.read([f"--pod-template={path}"], {}).site == SiteDefaults()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a: [", "write YAML or JSON into that file"),
        ("\x00", "write YAML or JSON into that file"),
        ("- a", "template in that file is not a mapping: write a PodTemplateSpec"),
        ("specs: {}", "template in that file has specs: write only metadata and spec"),
        (
            "metadata: {name: a}",
            "template.metadata in that file has name: write only annotations and labels",
        ),
        ("spec: [a]", "template.spec in that file is not a mapping: write a PodSpec"),
        ("spec: {nodeName: a}", "spec.nodeName in that file bypasses the scheduler"),
        ("spec: {restartPolicy: Always}", "spec.restartPolicy in that file is not Never"),
        (
            "spec: {containers: [{name: main, restartPolicy: OnFailure}]}",
            "in that file spec.containers[main].restartPolicy must be Never or left out",
        ),
    ],
)
def test_an_invalid_pod_template_gives_a_one_line_error(
    content: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(content)
    with pytest.raises(SystemExit) as exit_:
        settings.read([f"--pod-template={path}"], {})
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"taskruns-controller: --pod-template is '{path}': {sentence}")
