"""Site defaults: an administrator's values for fields that a run leaves out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from taskruns.api.reasons import Place


@dataclass(frozen=True, slots=True)
class SiteDefaults:
    """An administrator's defaults. They are no policy: the TaskRun's own field takes precedence."""

    ttl_seconds_after_finished: int = 7 * 24 * 3600
    """Time from a TaskRun's end to its deletion, in seconds; -1 for never."""
    delete_delay: timedelta = timedelta(seconds=30)
    """Time that a finished Pod is kept so that its log can be read."""
    startup_timeout_seconds: int = 600
    """Time that main may take to start after its Pod was scheduled, in seconds."""
    pod_template: Mapping[str, Any] = field(default_factory=dict)
    """PodTemplateSpec that is the base of every Pod; the run's template is merged over it."""
    place: Place = Place.CLUSTER
    """Kind of runtime, whose commands and terms messages use."""
