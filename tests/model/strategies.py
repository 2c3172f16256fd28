"""Random specifications and scripts of runs, and random steps of a history.

A step is the name of a method of `Model` and its arguments.
"""

from typing import Any

from hypothesis import strategies as st

from taskruns.core.plan import RefusalKind
from tests.simulation import Kind, Script
from tests.support.faults.request_faults import Fault

NAMES = st.sampled_from(["a", "b", "c"])

SCRIPTS = st.builds(
    Script,
    seconds=st.sampled_from([0.1, 1.0, 3.0, 30.0]),
    exit_code=st.sampled_from([0, 0, 1, 3]),
    term_seconds=st.sampled_from([None, 0.5, 10.0]),
    term_exit_code=st.sampled_from([0, 143]),
)

SPECS = st.fixed_dictionaries(
    {"backoffLimit": st.integers(0, 2), "podGC": st.just({"deleteDelayDuration": "5s"})},
    optional={
        "activeDeadlineSeconds": st.sampled_from([2, 20]),
        "attemptDeadlineSeconds": st.sampled_from([1, 5]),
        "scheduleTimeoutSeconds": st.just(2),
        "startupTimeoutSeconds": st.sampled_from([1, 5]),
        "disruptionLimit": st.integers(0, 2),
        "ttlSecondsAfterFinished": st.sampled_from([0, 10]),
        "podFailurePolicy": st.sampled_from(["FailJob", "Count"]).map(
            lambda action: {
                "rules": [
                    {"action": action, "onExitCodes": {"operator": "In", "values": [3, 143]}},
                    {"action": action, "onPodConditions": [{"type": "DisruptionTarget"}]},
                ]
            }
        ),
        "backoff": st.just({"duration": "1s"}),
    },
)

REFUSALS = {
    "forbidden": RefusalKind.FORBIDDEN,
    "no service account": RefusalKind.NO_SERVICE_ACCOUNT,
    "webhook failed": RefusalKind.WEBHOOK_FAILED,
}
"""Causes for which every Pod is refused."""

_FAULTS = st.sampled_from(["arrives"] * 12 + [f.name.lower() for f in Fault if f.name != "ARRIVES"])
_CONTROLLERS = st.integers(0, 1)
_BEHIND = st.sampled_from([0, 0, 1, 3, 8, 20])
_INDICES = st.integers(0, 3)
_SECONDS = st.sampled_from([0.01, 0.2, 0.5, 1.0, 3.0, 40.0])

Step = tuple[str, dict[str, Any]]


def _step(name: str, /, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


_WORK = _step(
    "work",
    controller=_CONTROLLERS,
    sees=st.sampled_from(["TaskRun Pod", "TaskRun Pod", "", "TaskRun", "Pod"]),
    requests=st.lists(_FAULTS, min_size=1, max_size=6),
)
_RARE = (
    _step("create", name=NAMES, spec=SPECS, scripts=st.lists(SCRIPTS, min_size=1, max_size=3)),
    _step(
        "change",
        name=NAMES,
        change=st.sampled_from(["cancel", "suspend", "resume", "ttl", "collect"]),
    ),
    _step(
        "delete",
        name=NAMES,
        cascade=st.sampled_from(["background", "orphan", "foreground"]),
        hold=st.booleans(),
    ),
    _step(
        "harm_a_pod",
        index=_INDICES,
        harm=st.sampled_from(
            [
                "delete",
                "force-delete",
                "evict",
                "preempt",
                "evict by the kubelet",
                "take its labels",
                "take its owners",
                "force its finalizer off",
            ]
        ),
    ),
    _step("harm_a_node", harm=st.sampled_from(["lose", "remove", "reboot"])),
    _step("end_the_loss", removed=st.booleans()),
    _step(
        "admit",
        quota=st.sampled_from([0, 1, 2, None]),
        refusal=st.sampled_from([None, None, None, *REFUSALS]),
    ),
    _step(
        "watch",
        controller=_CONTROLLERS,
        kind=st.sampled_from([str(kind) for kind in Kind]),
        event=st.sampled_from(["one arrives", "all are missed", "list", "compare"]),
        behind=_BEHIND,
    ),
    _step("crash", controller=_CONTROLLERS, behind=_BEHIND),
    _step("freeze", controller=_CONTROLLERS),
    _step("thaw"),
    _step("a_late_request_arrives", index=_INDICES),
)

STEPS: st.SearchStrategy[Step] = st.sampled_from(
    [_WORK] * 6
    + [_step("work_to_the_end", controller=_CONTROLLERS)] * 2
    + [_step("time_passes", seconds=_SECONDS)] * 4
    + [*_RARE]
).flatmap(lambda step: step)
