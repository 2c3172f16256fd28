"""Causes that keep the main container of a released Pod from starting, and their time limits."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import Attempt
from taskruns.core import deadlines
from taskruns.core.facts import Container, PodFacts

_BACK_OFF = re.compile(r'Back-off pulling image "(?:[^"\\]|\\.)*"(?:: (?:ErrImagePull: )?)?')

_NAMES = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]')
"""Quoted names and bracketed paths: an image may be called `timeout` and its tag `503`."""

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

_PASSING_CREATE = re.compile(
    r"""
    failed\ to\ reserve\ (?:container|sandbox)\ name | is\ reserved\ for
    | failed\ to\ sync\ (?:configmap|secret)\ cache | services\ have\ not\ yet\ been\ read
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Errors that a busy or restarting kubelet reports before it makes a container."""


def last_pull_error(message: str) -> str:
    """Return the error that a pull ended with; empty where a back-off does not repeat it.

    Kubelets before 1.32 report a back-off without its cause.
    """
    return _BACK_OFF.sub("", message, count=1) if message.startswith("Back-off") else message


def is_passing(message: str) -> bool:
    """Return whether an error says only that the container cannot start now."""
    text = _NAMES.sub('""', message)
    return _PASSING.search(text) is not None or _PASSING_CREATE.search(text) is not None


_IMAGE_PATIENCE = timedelta(seconds=60)
_CONFIG_PATIENCE = timedelta(seconds=30)
"""A ConfigMap or Secret may come a moment after what needs it."""

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
    # Passing by definition, whatever the message says.
    "RegistryUnavailable": (Reason.START_DELAYED, None),
    "ImageInspectError": (Reason.START_DELAYED, None),
}


@dataclass(frozen=True, slots=True)
class StartupFailure:
    """A container that cannot start, in the kubelet's words."""

    reason: Reason
    cause: str
    patience: timedelta | None
    """How long it may last; None: until the start-up timeout."""

    def is_noted(self, attempt: Attempt) -> bool:
        """Whether it is in the attempt's record already."""
        return attempt.trouble_time is not None and attempt.reason == self.reason

    def ends_at(self, attempt: Attempt, now: datetime) -> datetime | None:
        """Return when patience ends, counted from when this class of error was first seen."""
        if self.patience is None:
            return None
        since = attempt.trouble_time if self.is_noted(attempt) else None
        return deadlines.later(since or now, self.patience)


def find_startup_failure(pod: PodFacts, attempt: Attempt) -> StartupFailure | None:
    """Return what keeps main from starting; None when nothing is known, or when it has started.

    A container beside main that cannot start does not end a main that runs. Lasting errors come
    before passing ones, so that a second container cannot hide them.
    """
    if pod.main.started_at is not None or pod.ended:
        return None
    troubles = [
        _trouble_of(container, attempt)
        for container in pod.containers
        if container.waiting_reason in _TROUBLES
    ]
    lasting = (trouble for trouble in troubles if trouble.patience is not None)
    return next(lasting, next(iter(troubles), None))


def _trouble_of(container: Container, attempt: Attempt) -> StartupFailure:
    reason, patience = _TROUBLES[container.waiting_reason]
    error = last_pull_error(container.waiting_message)
    said = error or container.waiting_message or container.waiting_reason
    if patience is not None and _is_delay(container, error, attempt):
        reason, patience = Reason.START_DELAYED, None
    return StartupFailure(reason, f"Container {container.name} cannot start: {said}", patience)


def _is_delay(container: Container, error: str, attempt: Attempt) -> bool:
    """Return whether a container waits for something that passes.

    A back-off that does not repeat its error keeps the class of the last one, which is in the
    attempt's record.
    """
    if container.waiting_reason == "ImagePullBackOff" and not error:
        return attempt.trouble_time is not None and attempt.reason == Reason.START_DELAYED
    if container.waiting_reason in ("InvalidImageName", "ErrImageNeverPull"):
        return False
    return is_passing(error)
