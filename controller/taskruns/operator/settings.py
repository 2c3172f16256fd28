"""Settings of the controller, read from flags and environment variables."""

import argparse
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import yaml
from typing_extensions import override

from taskruns.api import names
from taskruns.api.v1alpha1.model import parse_duration
from taskruns.core.defaults import SiteDefaults
from taskruns.core.election import Timing
from taskruns.core.pods import InvalidTemplate, refuse_restarts
from taskruns.operator.structured_logging import Format

_LONGEST_NAME = 63
_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 0.1, 3600.0
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. `parse` raises ValueError with the correction as its message."""

    flag: str
    metavar: str
    """Placeholder of the value in the help; empty for a switch, which has no value."""
    default: str | None
    parse: Callable[[str], Any]
    help: str

    @property
    def name(self) -> str:
        """The setting's name in the code, derived from the flag."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that is equivalent to the flag."""
        return f"TASKRUNS_{self.name.upper()}"


def switch(flag: str, text: str) -> Option:
    """Build an option that is on if its flag is present or its variable is `true`."""
    return Option(flag, "", "false", one_of({"true": True, "false": False}), text)


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise ValueError(f"write a whole number from {least} to {most}")
        return value

    return parse


def or_off(parse: Callable[[str], int]) -> Callable[[str], int | None]:
    """Return a parser that also accepts the word `off`, which it parses as None."""

    def parse_or_off(text: str) -> int | None:
        try:
            return None if text == "off" else parse(text)
        except ValueError as error:
            raise ValueError(f"{error}, or off") from None

    return parse_or_off


def one_of(choices: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return a parser that accepts the keys of `choices` and returns their values."""

    def parse(text: str) -> Any:
        if text not in choices:
            raise ValueError(f"write {' or '.join(choices)}")
        return choices[text]

    return parse


def duration(text: str) -> timedelta:
    """Parse a duration in the syntax of TaskRun fields, such as 1h30m."""
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError("write a duration such as 30s, 5m or 1h30m") from None


def interval(text: str) -> float:
    """Parse a duration of 0.1 seconds to an hour; return it in seconds."""
    seconds = duration(text).total_seconds()
    if not _SHORTEST_INTERVAL <= seconds <= _LONGEST_INTERVAL:
        raise ValueError("write a duration from 100ms to 1h")
    return seconds


def namespaced_name(text: str) -> tuple[str, str]:
    """Parse NAMESPACE/NAME."""
    namespace, _, name = text.partition("/")
    if not namespace or not name or "/" in name:
        raise ValueError("write its namespace and name, such as taskruns-system/taskruns")
    return namespace, name


def file(text: str) -> str:
    """Check that a path names a file, and return it."""
    if not Path(text).is_file():
        raise ValueError("write the path of a kubeconfig file; there is none here")
    return text


def namespaces(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of namespaces.

    An empty list is refused: it is more likely a mistake than a request for all namespaces.
    """
    parsed = tuple(name.strip() for name in text.split(","))
    if not all(map(_is_namespace, parsed)):
        raise ValueError("write the names of namespaces with commas between, such as team-a,team-b")
    twice = sorted({name for name in parsed if parsed.count(name) > 1})
    if twice:
        raise ValueError(f"write each namespace once; more than once there is {', '.join(twice)}")
    return parsed


def _is_namespace(text: str) -> bool:
    return bool(_NAMESPACE.fullmatch(text)) and len(text) <= _LONGEST_NAME


LOG_FORMAT = Option(
    "--log-format",
    "FORMAT",
    "plain",
    one_of({each.value: each for each in Format}),
    "plain: text for people; json: one JSON object per line",
)
NAMESPACES = Option(
    "--namespaces",
    "NAMES",
    None,
    namespaces,
    "namespaces to serve, separated by commas; default: all namespaces",
)
KUBECONFIG = Option(
    "--kubeconfig",
    "FILE",
    None,
    file,
    "path of a kubeconfig; default: the Pod's service account, and outside a Pod kubectl's "
    "kubeconfig",
)
CONTEXT = Option(
    "--context", "NAME", None, str, "context of the kubeconfig; default: its current context"
)


class Parser(argparse.ArgumentParser):
    """Argument parser that reports an error in one sentence, without the usage text."""

    def __init__(
        self, program: str, description: str, epilog: str, options: Sequence[Option]
    ) -> None:
        super().__init__(
            prog=program,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._options = options
        for option in options:
            default = f"; default {option.default}" if option.default and option.metavar else ""
            text = f"{option.help} [{option.variable}{default}]".replace("%", "%%")
            if option.metavar:
                self.add_argument(option.flag, metavar=option.metavar, help=text)
            else:
                self.add_argument(option.flag, action="store_const", const="true", help=text)

    def read(self, argv: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
        """Return the value of every option by name: from its flag, else its variable, else default.

        Raises:
            SystemExit: 2 after a message about a wrong value, 0 after --help.
        """
        flags = vars(self.parse_args(argv))
        return {
            each.name: self._value(each, flags[each.name], environment) for each in self._options
        }

    @override
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")

    def _value(self, option: Option, argument: str | None, environment: Mapping[str, str]) -> Any:
        source, text = option.flag, argument
        if text is None:
            source, text = option.variable, environment.get(option.variable) or option.default
        if text is None:
            return None
        try:
            return option.parse(text)
        except ValueError as error:
            self.error(f"{source} is {text!r}: {error}")


def read_pod_template(path: str) -> Mapping[str, Any]:
    """Read a PodTemplateSpec from a YAML or JSON file; an empty file is an empty template.

    Raises:
        ValueError: the template cannot be used; the message states the correction.
    """
    try:
        content = yaml.safe_load(Path(path).read_text())
    except OSError:
        raise ValueError("write the path of a file that can be read") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise ValueError("write YAML or JSON into that file") from None
    template = content or {}
    _check_keys(template, "template", {"metadata", "spec"})
    _check_keys(template.get("metadata") or {}, "template.metadata", {"labels", "annotations"})
    _check_spec(template.get("spec") or {})
    return dict(template)


def _check_keys(part: Any, place: str, known: set[str]) -> None:
    unknown = [str(key) for key in part if key not in known] if isinstance(part, dict) else None
    if unknown is None:
        raise ValueError(f"{place} in that file is not a mapping: write a PodTemplateSpec")
    if unknown:
        allowed = " and ".join(sorted(known))
        raise ValueError(f"{place} in that file has {', '.join(unknown)}: write only {allowed}")


def _check_spec(spec: Any) -> None:
    forbidden = spec.keys() & {"nodeName"} if isinstance(spec, dict) else None
    if forbidden is None:
        raise ValueError("template.spec in that file is not a mapping: write a PodSpec")
    if forbidden:
        raise ValueError("spec.nodeName in that file bypasses the scheduler: leave it out")
    if spec.get("restartPolicy", "Never") != "Never":
        raise ValueError("spec.restartPolicy in that file is not Never: leave it out")
    try:
        refuse_restarts(spec, names.MAIN_CONTAINER, "spec")
    except InvalidTemplate as error:
        raise ValueError(f"in that file {error}") from None


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
    """Settings of the controller."""

    log_format: Format
    log_level: int
    workers: int
    """Number of runs that are processed at the same time."""
    site: SiteDefaults
    probes_host: str
    probes_port: int
    """Port of the probes; for 0 the system chooses one, which is logged."""
    metrics_host: str
    metrics_port: int | None
    """Port of the metrics, as for the probes; None if metrics are not served."""
    resync_seconds: float
    """Interval of the resync, in seconds."""
    lease: tuple[str, str] | None
    """Namespace and name of the Lease of the leader election; None if there is no election."""
    timing: Timing
    namespaces: tuple[str, ...] | None
    """Namespaces to serve; None for every namespace of the cluster."""
    kubeconfig: str | None
    context: str | None


_OPTIONS = (
    LOG_FORMAT,
    Option("--log-level", "LEVEL", "info", one_of(_LEVELS),
            "lowest level that is logged: debug, info, warning or error"),
    Option("--workers", "N", "8", whole(1, 256),
            "number of runs that are processed at the same time"),
    Option("--default-ttl", "SECONDS", "604800", whole(-1, _MOST_SECONDS),
            "seconds from its end until a TaskRun without ttlSecondsAfterFinished is deleted; "
            "0: at once, -1: never"),
    Option("--default-delete-delay", "DURATION", "30s", duration,
            "how long a finished Pod is kept so that its log can be read, unless its TaskRun "
            "sets podGC.deleteDelayDuration"),
    Option("--default-startup-timeout", "SECONDS", "600", whole(1, _MOST_SECONDS),
            "seconds that main may take to start once its Pod has a node, unless its TaskRun "
            "sets startupTimeoutSeconds"),
    Option("--pod-template", "FILE", None, read_pod_template,
            "a PodTemplateSpec in YAML or JSON with defaults for every Pod; the TaskRun's template "
            "and fields take precedence"),
    Option("--probes-host", "ADDRESS", "127.0.0.1", str,
            "address on which /livez and /readyz are served"),
    Option("--probes-port", "PORT", "8080", whole(0, _LARGEST_PORT),
            "port for /livez and /readyz; 0: chosen by the system and logged"),
    Option("--metrics-host", "ADDRESS", "127.0.0.1", str,
            "address on which /metrics is served to Prometheus"),
    Option("--metrics-port", "PORT", "8081", or_off(whole(0, _LARGEST_PORT)),
            "port for /metrics; 0: chosen by the system and logged; off: not served"),
    Option("--resync-seconds", "SECONDS", "60", whole(1, 3600),
            "interval at which the cache is compared with lists of all TaskRuns and Pods"),
    Option("--leader-elect-lease", "NAMESPACE/NAME", None, namespaced_name,
            "Lease by which several controllers of the same namespaces elect one that works while "
            "the others stand by; default: no election, the controller works at once"),
    Option("--leader-elect-lease-duration", "DURATION", "10s", interval,
            "how long a standby waits before it takes a Lease that is not renewed"),
    Option("--leader-elect-renew-deadline", "DURATION", "7s", interval,
            "how long the leader tries to renew its Lease before it stops"),
    Option("--leader-elect-retry-period", "DURATION", "1s", interval,
            "time between two requests to renew, read or take the Lease"),
    NAMESPACES,
    KUBECONFIG,
    CONTEXT,
)  # fmt: skip


def read(argv: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read the settings from flags, else environment variables, else defaults.

    Raises:
        SystemExit: 2 after a message about a wrong value, 0 after --help.
    """
    parser = Parser(
        "taskruns-controller",
        "Runs TaskRuns: one Pod per attempt, its outcome in the TaskRun's status.\n\n"
        "Before an uninstall, `taskruns-controller cleanup` releases their Pods; see its --help.",
        "Each setting can also be set by the environment variable in brackets; the flag takes\n"
        "precedence.",
        _OPTIONS,
    )
    values = parser.read(argv, environment)
    timing = Timing(
        values.pop("leader_elect_lease_duration"),
        values.pop("leader_elect_renew_deadline"),
        values.pop("leader_elect_retry_period"),
    )
    if not timing.retry_period < timing.renew_deadline < timing.lease_duration:
        parser.error(
            "the times of the leader election are not in order: "
            "write a retry period below the renew deadline, and that below the lease duration"
        )
    site = SiteDefaults(
        ttl_seconds_after_finished=values.pop("default_ttl"),
        delete_delay=values.pop("default_delete_delay"),
        startup_timeout_seconds=values.pop("default_startup_timeout"),
        pod_template=values.pop("pod_template") or {},
    )
    return Settings(site=site, lease=values.pop("leader_elect_lease"), timing=timing, **values)
