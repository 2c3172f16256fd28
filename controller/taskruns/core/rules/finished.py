"""The run has ended: nothing is left but to tidy up and, in the end, to delete it."""

from taskruns.core import deadlines
from taskruns.core.plan import DeleteRun, Plan
from taskruns.core.situation import Finished, Look


def expire(situation: Finished, look: Look) -> Plan | None:
    """Past its TTL: delete the TaskRun."""
    at = deadlines.run_deletion_at(situation.run, look.site)
    if at is None:
        return None
    return Plan(actions=(DeleteRun(),)) if look.now >= at else Plan(wake_at=deadlines.earliest(at))


RULES = (expire,)
