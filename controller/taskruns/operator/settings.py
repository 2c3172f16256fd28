"""What the controller can be told, by flag or by environment, and in which words it says no."""

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from typing_extensions import override

from taskruns.api.durations import parse_duration
from taskruns.core.site import SiteDefaults
from taskruns.operator import pod_template
from taskruns.operator.logs import Format

_MOST_SECONDS = 2**31 - 1
_LARGEST_PORT = 65535
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the controller can be told."""

    log_format: Format
    log_level: int
    workers: int
    """How many runs are worked on at the same time."""
    site: SiteDefaults
    probes_host: str
    probes_port: int
    """0 lets the system choose one, which the log then names."""
    resync_seconds: float
    kubeconfig: str | None
    context: str | None


@dataclass(frozen=True, slots=True)
class _Option:
    """One setting. `parse` raises ValueError with what to write instead."""

    flag: str
    metavar: str
    default: str | None
    parse: Callable[[str], Any]
    help: str

    @property
    def name(self) -> str:
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        return f"TASKRUNS_{self.name.upper()}"


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise ValueError(f"write a whole number from {least} to {most}")
        return value

    return parse


def _one_of(choices: Mapping[str, Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        if text not in choices:
            raise ValueError(f"write {' or '.join(choices)}")
        return choices[text]

    return parse


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError("write a duration such as 30s, 5m or 1h30m") from None


def _file(text: str) -> str:
    if not Path(text).is_file():
        raise ValueError("write the path of a kubeconfig file; there is none here")
    return text


_OPTIONS = (
    _Option("--log-format", "FORMAT", "plain", _one_of({f.value: f for f in Format}),
            "plain: lines for people; json: one JSON object a line"),
    _Option("--log-level", "LEVEL", "info", _one_of(_LEVELS),
            "the least severe lines to write: debug, info, warning or error"),
    _Option("--workers", "N", "8", _whole(1, 256),
            "how many runs are worked on at the same time"),
    _Option("--default-ttl", "SECONDS", "604800", _whole(-1, _MOST_SECONDS),
            "seconds after its end at which a TaskRun is deleted that does not say it itself; "
            "0: at once, -1: never"),
    _Option("--default-delete-delay", "DURATION", "30s", _duration,
            "how long a finished Pod is kept for readers of its log, where its TaskRun does "
            "not say it"),
    _Option("--default-startup-timeout", "SECONDS", "600", _whole(1, _MOST_SECONDS),
            "seconds that main may take to start once its Pod has a node, where its TaskRun "
            "does not say it"),
    _Option("--pod-template", "FILE", None, pod_template.read,
            "a PodTemplateSpec in YAML or JSON that lies under every Pod: what it sets, the "
            "TaskRun's template and fields replace"),
    _Option("--probes-host", "ADDRESS", "127.0.0.1", str,
            "address on which /livez and /readyz are served"),
    _Option("--probes-port", "PORT", "8080", _whole(0, _LARGEST_PORT),
            "their port; 0 lets the system choose one, which the log then names"),
    _Option("--resync-seconds", "SECONDS", "60", _whole(1, 3600),
            "how often the watch is compared with a list of what exists"),
    _Option("--kubeconfig", "FILE", None, _file,
            "the cluster to serve; without it the Pod's own service account, and outside a Pod "
            "what kubectl would use"),
    _Option("--context", "NAME", None, str,
            "a context of the kubeconfig other than its current one"),
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    @override
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one sentence; --help is there for the rest."""
        self.exit(2, f"{self.prog}: {message}\n")


def read(argv: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read the settings: a flag counts before its variable, that before the default.

    Raises:
        SystemExit: 2 after a sentence about a wrong value, 0 after --help.
    """
    parser = _Parser(
        prog="taskruns-controller",
        description="Runs TaskRuns: one Pod per attempt, its outcome in the TaskRun's status.",
        epilog="Each setting can also be given by the environment variable named with it; a flag "
        "counts first.",
        allow_abbrev=False,
    )
    for option in _OPTIONS:
        default = f"; default {option.default}" if option.default else ""
        text = f"{option.help} [{option.variable}{default}]".replace("%", "%%")
        parser.add_argument(option.flag, metavar=option.metavar, help=text)
    given = vars(parser.parse_args(argv))
    values = {o.name: _value(parser, o, given[o.name], environment) for o in _OPTIONS}
    site = SiteDefaults(
        ttl_seconds_after_finished=values.pop("default_ttl"),
        delete_delay=values.pop("default_delete_delay"),
        startup_timeout_seconds=values.pop("default_startup_timeout"),
        pod_template=values.pop("pod_template") or {},
    )
    return Settings(site=site, **values)


def _value(
    parser: _Parser, option: _Option, given: str | None, environment: Mapping[str, str]
) -> Any:
    source, text = option.flag, given
    if text is None:
        source, text = option.variable, environment.get(option.variable) or option.default
    if text is None:
        return None
    try:
        return option.parse(text)
    except ValueError as error:
        parser.error(f"{source} is {text!r}: {error}")
