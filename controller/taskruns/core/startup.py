"""Why a Pod that has been released does not start, and how long that is put up with."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import Attempt
from taskruns.core import schedule
from taskruns.core.facts import PodFacts

_IMAGE_PATIENCE = timedelta(seconds=60)
_CONFIG_PATIENCE = timedelta(seconds=30)
"""A ConfigMap or Secret may come a moment after what needs it."""

_TROUBLES = {
    # Waiting reasons of the kubelet.
    "ErrImagePull": (Reason.IMAGE_PULL_FAILED, _IMAGE_PATIENCE),
    "ImagePullBackOff": (Reason.IMAGE_PULL_FAILED, _IMAGE_PATIENCE),
    "ErrImageNeverPull": (Reason.IMAGE_PULL_FAILED, _IMAGE_PATIENCE),
    "RegistryUnavailable": (Reason.IMAGE_PULL_FAILED, _IMAGE_PATIENCE),
    "InvalidImageName": (Reason.IMAGE_PULL_FAILED, timedelta(0)),
    "CreateContainerConfigError": (Reason.CONTAINER_CONFIG_ERROR, _CONFIG_PATIENCE),
    "CreateContainerError": (Reason.CONTAINER_CONFIG_ERROR, _CONFIG_PATIENCE),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A container that cannot start, in the kubelet's words."""

    reason: Reason
    cause: str
    patience: timedelta

    def is_noted(self, attempt: Attempt) -> bool:
        """Whether it is in the attempt's record already."""
        return attempt.trouble_time is not None and attempt.reason == self.reason

    def ends_at(self, attempt: Attempt, now: datetime) -> datetime:
        """When patience ends, counted from when it was first seen."""
        since = attempt.trouble_time if self.is_noted(attempt) else None
        return schedule.later(since or now, self.patience)


def find_trouble(pod: PodFacts) -> Trouble | None:
    """Return what keeps main from starting; None when nothing is known, or when it has started.

    A container beside main that cannot start does not end a main that runs.
    """
    if pod.main.started_at is not None or pod.ended:
        return None
    for container in pod.containers:
        if container.waiting_reason in _TROUBLES:
            reason, patience = _TROUBLES[container.waiting_reason]
            said = container.waiting_message or container.waiting_reason
            return Trouble(reason, f"Container {container.name} cannot start: {said}", patience)
    return None
