"""What the controller can be told, by flag or by environment."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taskruns.core.defaults import SiteDefaults
from taskruns.operator import pod_template
from taskruns.operator.options import (
    CONTEXT,
    KUBECONFIG,
    LOG_FORMAT,
    NAMESPACES,
    Option,
    Parser,
    duration,
    one_of,
    or_off,
    whole,
)
from taskruns.operator.structured_logging import Format

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
    metrics_host: str
    metrics_port: int | None
    """As the probes' port; None: there are none."""
    resync_seconds: float
    namespaces: tuple[str, ...] | None
    """The only ones to be served; None: every one of the cluster."""
    kubeconfig: str | None
    context: str | None


_OPTIONS = (
    LOG_FORMAT,
    Option("--log-level", "LEVEL", "info", one_of(_LEVELS),
            "the least severe lines to write: debug, info, warning or error"),
    Option("--workers", "N", "8", whole(1, 256),
            "how many runs are worked on at the same time"),
    Option("--default-ttl", "SECONDS", "604800", whole(-1, _MOST_SECONDS),
            "seconds after its end at which a TaskRun is deleted that does not say it itself; "
            "0: at once, -1: never"),
    Option("--default-delete-delay", "DURATION", "30s", duration,
            "how long a finished Pod is kept for readers of its log, where its TaskRun does "
            "not say it"),
    Option("--default-startup-timeout", "SECONDS", "600", whole(1, _MOST_SECONDS),
            "seconds that main may take to start once its Pod has a node, where its TaskRun "
            "does not say it"),
    Option("--pod-template", "FILE", None, pod_template.read,
            "a PodTemplateSpec in YAML or JSON that lies under every Pod: what it sets, the "
            "TaskRun's template and fields replace"),
    Option("--probes-host", "ADDRESS", "127.0.0.1", str,
            "address on which /livez and /readyz are served"),
    Option("--probes-port", "PORT", "8080", whole(0, _LARGEST_PORT),
            "their port; 0 lets the system choose one, which the log then names"),
    Option("--metrics-host", "ADDRESS", "127.0.0.1", str,
            "address on which /metrics is served to Prometheus"),
    Option("--metrics-port", "PORT", "8081", or_off(whole(0, _LARGEST_PORT)),
            "its port; 0 lets the system choose one, which the log then names; off: not served"),
    Option("--resync-seconds", "SECONDS", "60", whole(1, 3600),
            "how often the watch is compared with a list of what exists"),
    NAMESPACES,
    KUBECONFIG,
    CONTEXT,
)  # fmt: skip


def read(argv: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read the settings: a flag counts before its variable, that before the default.

    Raises:
        SystemExit: 2 after a sentence about a wrong value, 0 after --help.
    """
    values = Parser(
        "taskruns-controller",
        "Runs TaskRuns: one Pod per attempt, its outcome in the TaskRun's status.\n\n"
        "Before an uninstall, `taskruns-controller cleanup` lets go of their Pods; see its --help.",
        "Each setting can also be given by the environment variable named with it; a flag counts\n"
        "first.",
        _OPTIONS,
    ).read(argv, environment)
    site = SiteDefaults(
        ttl_seconds_after_finished=values.pop("default_ttl"),
        delete_delay=values.pop("default_delete_delay"),
        startup_timeout_seconds=values.pop("default_startup_timeout"),
        pod_template=values.pop("pod_template") or {},
    )
    return Settings(site=site, **values)
