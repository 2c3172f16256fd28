"""What an administrator sets for a whole cluster: defaults of fields that a run leaves out."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class SiteDefaults:
    """Defaults, not policy: a TaskRun's own field always wins."""

    ttl_seconds_after_finished: int = 7 * 24 * 3600
    """Seconds after its end at which a TaskRun is deleted; -1: never."""
    delete_delay: timedelta = timedelta(seconds=30)
    """How long a finished Pod is kept for readers of its log."""
