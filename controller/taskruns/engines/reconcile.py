"""Observe, decide, apply, until nothing is left to do now."""

from collections.abc import Callable
from datetime import datetime

from taskruns.core.decide import decide
from taskruns.core.defaults import SiteDefaults
from taskruns.core.plan import Findings
from taskruns.engines.apply import apply, refresh, together
from taskruns.engines.cache import Cache, RunKey
from taskruns.engines.engine import Conflict, Engine

MAX_ROUNDS = 20
"""Plans that one reconcile carries out. The longest honest chain is under ten."""


class NotSettled(Exception):
    """A run still wanted something after MAX_ROUNDS plans; it is to be tried again later."""


async def reconcile(
    key: RunKey,
    cache: Cache,
    engine: Engine,
    now: Callable[[], datetime],
    site: SiteDefaults,
) -> datetime | None:
    """Bring one run as far as it can get now; return when to look again without an event.

    Raises:
        NotSettled: it changed faster than it could be followed.
        Unavailable: the runtime could not answer.
    """
    findings = Findings()
    for _ in range(MAX_ROUNDS):
        view = cache.view(key)
        plan = decide(view.run, view.pods, now(), findings, site)
        if plan.idle:
            return plan.wake_at
        try:
            found = await apply(plan, view, cache, engine)
        except Conflict:
            await refresh(view, cache, engine)  # the watch may be later than the next look
            continue
        findings = together(findings, found)
    raise NotSettled(f"{key} changed faster than it could be followed")
