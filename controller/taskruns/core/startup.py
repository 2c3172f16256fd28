"""Start-up failures: errors that keep main from starting, and how long each is tolerated."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import Attempt
from taskruns.core import deadlines
from taskruns.core.facts import Container, PodFacts

_BACK_OFF = re.compile(r'Back-off pulling image "(?:[^"\\]|\\.)*"(?:: (?:ErrImagePull: )?)?')

_NAMES = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]')
"""Quoted names and bracketed paths, which may contain words such as `timeout` or `503`."""

_PASSING = re.compile(
    r"""
    pull\ qps\ exceeded
    | \btoomanyrequests:\s | too\ many\ requests | \brate\ limit\b | \brate\ exceeded\b
    | throttlingexception: | \brequests?\ (?:was\ |were\ )?throttled\b | quota\ exceeded
    | \bi/o\ timeout\b | handshake\ timeout\b | \btimed\ out\b
    | deadline\ exceeded
    | client\.timeout\ exceeded | timeout\ exceeded\ while | \ request\ canceled\b
    | context\ canceled | operation\ was\ canceled
    | connection\ refused | connection\ reset | connection\ lost | connection\ error
    | connection\ closed | closed\ network\ connection | broken\ pipe | transport\ is\ closing
    | no\ route\ to\ host | network\ is\ (?:unreachable|down) | host\ is\ (?:unreachable|down)
    | server\ sent\ goaway | stream\ error | error\ reading\ from\ server
    | name\ resolution | server\ misbehaving | no\ answer\ from\ dns
    | internal\ server\ error | bad\ gateway | gateway\ time-?out
    | service\ (?:is\ )?(?:temporarily\ )?unavailable | temporarily\ unavailable
    | registry\ is\ unavailable | \btry\ again\b | \bretry\ later\b
    | code\ =\ (?:unavailable|deadlineexceeded|resourceexhausted|aborted|canceled)\b
    | :\ unavailable(?:$|:)
    | \bstatus\b.*\s(?:429|5\d\d)(?=$|[\s:,;.)]) | (?:^|\s)(?-i:EOF)(?=$|[\s:,;)])
    | no\ space\ left\ on\ device
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Transient errors of registries, networks and runtimes."""

_PASSING_CREATE = re.compile(
    r"""
    failed\ to\ reserve\ (?:container|sandbox)\ name | is\ reserved\ for
    | failed\ to\ sync\ (?:configmap|secret)\ cache | services\ have\ not\ yet\ been\ read
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Transient errors that a busy or restarting kubelet reports before it creates a container."""


def last_pull_error(message: str) -> str:
    """Return the error of the last pull; empty for a back-off message without the error.

    Kubelets before 1.32 report a back-off without its cause.
    """
    return _BACK_OFF.sub("", message, count=1) if message.startswith("Back-off") else message


def is_passing(message: str) -> bool:
    """Return whether an error is transient."""
    text = _NAMES.sub('""', message)
    return _PASSING.search(text) is not None or _PASSING_CREATE.search(text) is not None


_IMAGE_PATIENCE = timedelta(seconds=60)
"""Time that a lasting error of an image pull is tolerated."""

_CONFIG_PATIENCE = timedelta(seconds=30)
"""Time that a container config error is tolerated: a ConfigMap or Secret may be created late."""

_TROUBLES = {
    # Waiting reasons of the kubelet.
    "ErrImagePull": (Reason.IMAGE_PULL_FAILED, _IMAGE_PATIENCE),
    "ImagePullBackOff": (Reason.IMAGE_PULL_FAILED, _IMAGE_PATIENCE),
    "ErrImageNeverPull": (Reason.IMAGE_PULL_FAILED, _IMAGE_PATIENCE),
    "SignatureValidationFailed": (Reason.IMAGE_PULL_FAILED, _IMAGE_PATIENCE),
    "InvalidImageName": (Reason.IMAGE_PULL_FAILED, timedelta(0)),
    "CreateContainerConfigError": (Reason.CONTAINER_CONFIG_ERROR, _CONFIG_PATIENCE),
    "CreateContainerError": (Reason.CONTAINER_CONFIG_ERROR, _CONFIG_PATIENCE),
    "PreCreateHookError": (Reason.CONTAINER_CONFIG_ERROR, _CONFIG_PATIENCE),
    "PreStartHookError": (Reason.CONTAINER_CONFIG_ERROR, _CONFIG_PATIENCE),
    "RunContainerError": (Reason.CONTAINER_CONFIG_ERROR, _CONFIG_PATIENCE),
    # Transient by definition, independent of the message.
    "RegistryUnavailable": (Reason.START_DELAYED, None),
    "ImageInspectError": (Reason.START_DELAYED, None),
}


@dataclass(frozen=True, slots=True)
class StartupFailure:
    """A container that cannot start, and the error that the kubelet reports."""

    reason: Reason
    cause: str
    patience: timedelta | None
    """Time that the error is tolerated; None: until the start-up timeout."""

    def is_noted(self, attempt: Attempt) -> bool:
        """Return whether the attempt's record already has this failure."""
        return attempt.trouble_time is not None and attempt.reason == self.reason

    def ends_at(self, attempt: Attempt, now: datetime) -> datetime | None:
        """Return when the tolerated time ends, counted from the first error with this reason.

        None: only the start-up timeout applies.
        """
        if self.patience is None:
            return None
        since = attempt.trouble_time if self.is_noted(attempt) else None
        return deadlines.later(since or now, self.patience)


def find_startup_failure(pod: PodFacts, attempt: Attempt) -> StartupFailure | None:
    """Return the error that keeps main from starting, or None.

    None as well if main has started: a second container that cannot start does not end main.
    Lasting errors take precedence over transient ones, so that a second container cannot hide them.
    """
    if pod.main.started_at is not None or pod.ended:
        return None
    failures = [
        _trouble_of(container, attempt)
        for container in pod.containers
        if container.waiting_reason in _TROUBLES
    ]
    lasting = (failure for failure in failures if failure.patience is not None)
    return next(lasting, next(iter(failures), None))


def _trouble_of(container: Container, attempt: Attempt) -> StartupFailure:
    reason, patience = _TROUBLES[container.waiting_reason]
    error = last_pull_error(container.waiting_message)
    details = error or container.waiting_message or container.waiting_reason
    if patience is not None and _is_delay(container, error, attempt):
        reason, patience = Reason.START_DELAYED, None
    return StartupFailure(reason, f"Container {container.name} cannot start: {details}", patience)


def _is_delay(container: Container, error: str, attempt: Attempt) -> bool:
    """Return whether a container's start is only delayed by a transient error.

    A back-off message without the error keeps the class of the previous error, which is in the
    attempt's record.
    """
    if container.waiting_reason == "ImagePullBackOff" and not error:
        return attempt.trouble_time is not None and attempt.reason == Reason.START_DELAYED
    if container.waiting_reason in ("InvalidImageName", "ErrImageNeverPull"):
        return False
    return is_passing(error)
