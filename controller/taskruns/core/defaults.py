"""What an administrator sets for a whole cluster: defaults of fields that a run leaves out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from taskruns.api.reasons import Place


@dataclass(frozen=True, slots=True)
class SiteDefaults:
    """Defaults, not policy: a TaskRun's own field always wins."""

    ttl_seconds_after_finished: int = 7 * 24 * 3600
    """Seconds after its end at which a TaskRun is deleted; -1: never."""
    delete_delay: timedelta = timedelta(seconds=30)
    """How long a finished Pod is kept for readers of its log."""
    startup_timeout_seconds: int = 600
    """Seconds that main may take to start once its Pod has a node."""
    pod_template: Mapping[str, Any] = field(default_factory=dict)
    """A PodTemplateSpec that lies under every Pod: what it sets, a template replaces."""
    place: Place = Place.CLUSTER
    """The runtime whose words messages use."""
