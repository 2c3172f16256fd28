import logging
from datetime import timedelta
from pathlib import Path

import pytest

from taskruns.core.site import SiteDefaults
from taskruns.operator import settings
from taskruns.operator.logs import Format
from taskruns.operator.settings import Settings


def test_everything_has_a_default() -> None:
    assert settings.read([], {}) == Settings(
        log_format=Format.PLAIN,
        log_level=logging.INFO,
        workers=8,
        site=SiteDefaults(604800, timedelta(seconds=30)),
        probes_host="127.0.0.1",
        probes_port=8080,
        resync_seconds=60,
        kubeconfig=None,
        context=None,
    )


def test_flags_are_read() -> None:
    flags = "--log-format=json --log-level debug --workers 3 --default-ttl=-1"
    more = "--default-delete-delay 1m30s --probes-host 0.0.0.0 --probes-port 0 --context dev"
    found = settings.read([*flags.split(), *more.split(), "--resync-seconds=5"], {})
    assert (found.log_format, found.log_level, found.workers) == (Format.JSON, logging.DEBUG, 3)
    assert found.site == SiteDefaults(-1, timedelta(seconds=90))
    assert (found.probes_host, found.probes_port, found.context) == ("0.0.0.0", 0, "dev")
    assert found.resync_seconds == 5


def test_a_flag_counts_before_the_environment() -> None:
    environment = {"TASKRUNS_WORKERS": "3", "TASKRUNS_LOG_FORMAT": "json"}
    found = settings.read(["--workers=5"], environment)
    assert (found.workers, found.log_format) == (5, Format.JSON)


def test_an_empty_variable_counts_as_none() -> None:
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
    "--probes-port=70000": "--probes-port is '70000': write a whole number from 0 to 65535",
    "--kubeconfig=/none": (
        "--kubeconfig is '/none': write the path of a kubeconfig file; there is none here"
    ),
    "--work=3": "unrecognized arguments: --work=3",
}


@pytest.mark.parametrize("flag", WRONG)
def test_a_wrong_value_is_one_sentence_and_exit_code_2(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        settings.read([flag], {})
    assert exit_.value.code == 2
    assert capsys.readouterr().err == f"taskruns-controller: {WRONG[flag]}\n"


def test_a_wrong_variable_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.read([], {"TASKRUNS_WORKERS": "x"})
    assert "TASKRUNS_WORKERS is 'x'" in capsys.readouterr().err


def test_help_names_every_variable_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        settings.read(["--help"], {})
    assert exit_.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    for option in settings._OPTIONS:
        assert f"[{option.variable}" in told
        assert option.default is None or f"default {option.default}]" in told


def test_a_kubeconfig_that_is_there_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.touch()
    assert settings.read([f"--kubeconfig={path}"], {}).kubeconfig == str(path)
