"""An upgrade and a rollback of release and definition, with runs at every stage.

The older release is this one without a field of the definition, the rule about it, and a setting of
the chart. A hundred runs are at every stage when it is upgraded, by the command of
docs/upgrade.md, and again when it is rolled back. Some continue by themselves, and some stay
where they are until both are over, so that runs in every phase meet each change.
"""

import re
import shlex
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from taskruns.api.conditions import TERMINAL_PHASES, Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import pod_spec, shell
from tests.support.cluster import invariants
from tests.support.cluster.client import DEFINITIONS, RUNS, Kube, Object, Refused
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.installation import NAMESPACE, ROOT, Installation, helm
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import END, START, until

pytestmark = pytest.mark.parametrize("installation", ["helm"], indirect=True, scope="session")

CHART = ROOT / "charts/taskruns"
DEFINITION = "taskruns.taskruns.dev"
NEWER = "startupTimeoutSeconds"
"""The field that the older definition does not have."""

KEEPING = ("--reset-then-reuse-values", "--wait", "--timeout", "3m")
NEWER_SETTING, ITS_TEMPLATE = "serviceMonitor", "servicemonitor.yaml"
"""The setting and template that the older chart lacks.

The older release's values must not hide the newer chart's default.
"""

SECONDS = 240
"""Limit for a hundred runs through two changes of the controller, on a busy machine, in seconds."""

RETRIED = shell(
    f'{START}; [ "$TASKRUN_ATTEMPT" -ge 2 ]',
    backoffLimit=1,
    backoff={"duration": "10s", "factor": 1},
)
SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
CANCELLED = Ending(Phase.CANCELLED, Reason.CANCELLED, 9, attempts=(Outcome.STOPPED,))
WORD = "both-are-over"
KINDS = {
    "short": (15, shell(f"{START}; {END}"), SUCCEEDED),
    "long": (10, shell(f"{START}; sleep 15; {END}"), SUCCEEDED),
    "failing": (
        10,
        shell(f"{START}; exit 3"),
        Ending(Phase.FAILED, Reason.NON_ZERO_EXIT_CODE, 3, attempts=(Outcome.FAILED,)),
    ),
    "retried": (
        10,
        RETRIED,
        Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.FAILED, Outcome.SUCCEEDED)),
    ),
    "late": (
        10,
        shell(f"{START}; trap 'exit 143' TERM; sleep 600 & wait", attemptDeadlineSeconds=12),
        Ending(Phase.FAILED, Reason.ATTEMPT_DEADLINE_EXCEEDED, 143, attempts=(Outcome.FAILED,)),
    ),
    "running": (12, shell(f"{START}; {until(WORD)}; {END}"), SUCCEEDED),
    "queued": (9, shell(f"{START}; {until(WORD)}; {END}"), SUCCEEDED),
    "suspended": (8, shell(f"{START}; {END}", suspend=True), SUCCEEDED),
    "stopping": (
        8,
        shell(
            f"{START}; trap '{until(WORD)}; exit 9' TERM; while :; do sleep 600 & wait; done",
            **pod_spec(terminationGracePeriodSeconds=600),
        ),
        CANCELLED,
    ),
    "backing-off": (
        8,
        shell(f"{START}; exit 1", backoffLimit=1, backoff={"duration": "10m"}),
        Ending(Phase.CANCELLED, Reason.CANCELLED, 1, attempts=(Outcome.FAILED,)),
    ),
}
"""By kind of run: how many, the spec, the end. The second half stays until it is released."""

STAYING = {
    "running": Phase.RUNNING,
    "suspended": Phase.SUSPENDED,
    "stopping": Phase.STOPPING,
    "backing-off": Phase.BACKING_OFF,
}
IN_FLIGHT = {
    Phase.RUNNING: 12,
    Phase.QUEUED: 6,
    Phase.SUSPENDED: 8,
    Phase.STOPPING: 8,
    Phase.BACKING_OFF: 8,
}
"""Least number of runs in each phase at the upgrade, and at the rollback."""


@pytest.mark.guarantee(
    "Nothing is lost or repeated over an upgrade and a rollback, with a hundred runs in every phase"
)
@pytest.mark.timeout(600)
def test_100_runs_at_every_stage_survive_an_upgrade_and_a_rollback(
    documented: str,
    scenario: Scenario,
    limited_namespace: str,
    installation: Installation,
    cluster: Cluster,
    tmp_path: Path,
) -> None:
    to_older = ("upgrade", "taskruns", str(_older_chart(tmp_path)), "-n", NAMESPACE, *KEEPING)
    with pytest.raises(AssertionError, match=r'conflict with "kubectl": \.spec\.versions'):
        helm(cluster, *to_older)  # kubectl owns the definition too, from before the tests
    helm(cluster, *to_older, "--force-conflicts")
    assert NEWER not in _fields(scenario.kube)
    runs = {kind: _create(scenario, kind, limited_namespace) for kind in KINDS}
    with pytest.raises(Refused, match=f'unknown field "spec.{NEWER}"'):
        scenario.create("too-early", _of_newer_release(scenario))
    _await_phases(runs)

    _assert_in_flight(runs)
    helm(cluster, *_helm_arguments("upgrade", documented), "--set", "log.level=debug")
    assert NEWER in _fields(scenario.kube)
    newer = scenario.create("newer", _of_newer_release(scenario))
    newer.main_started(seconds=SECONDS)

    _assert_in_flight(runs)
    helm(cluster, *_helm_arguments("rollback", documented), "--timeout", "3m")
    assert NEWER not in _fields(scenario.kube)

    _release(scenario, runs)
    _check_ends(scenario, runs)
    SUCCEEDED.check(newer)
    invariants.check(newer)
    kept = scenario.kube.get(RUNS, newer.namespace, newer.name)
    assert kept is not None
    assert NEWER not in kept["spec"]
    assert scenario.start_counter.starts(newer.uid) == 1
    installation.up()
    assert NEWER in _fields(scenario.kube)


def _create(scenario: Scenario, kind: str, limited_namespace: str) -> list[Run]:
    count, spec, _ = KINDS[kind]
    namespace = limited_namespace if kind == "queued" else ""
    spec = spec | scenario.start_counter.mount()
    return [scenario.create(f"{kind}-{number}", spec, namespace) for number in range(count)]


def _await_phases(runs: dict[str, list[Run]]) -> None:
    """Wait until the runs that stay have reached their phases."""
    for run in runs["stopping"]:
        run.main_started(seconds=SECONDS)
        run.cancel()
    for kind, phase in STAYING.items():
        for run in runs[kind]:
            run.reaches(phase, SECONDS)
    for run in runs["queued"]:
        run.looked_at(SECONDS)


def _assert_in_flight(runs: dict[str, list[Run]]) -> None:
    """Assert that each phase has at least its number of runs, so that none is there by chance."""
    phases = [run.status.get("phase") for run in _all(runs)]
    held = Counter(phase for phase in phases if phase not in TERMINAL_PHASES)
    assert {phase: held[phase] for phase, least in IN_FLIGHT.items() if held[phase] < least} == {}


def _release(scenario: Scenario, runs: dict[str, list[Run]]) -> None:
    scenario.start_counter.say(WORD)
    for run in runs["suspended"]:
        run.change(suspend=False)
    for run in runs["backing-off"]:
        run.cancel()


def _check_ends(scenario: Scenario, runs: dict[str, list[Run]]) -> None:
    for kind, (_, _, ending) in KINDS.items():
        for run in runs[kind]:
            run.ended(SECONDS)
            ending.check(run)
            invariants.check(run)
    expected = {run.uid: 2 if run in runs["retried"] else 1 for run in _all(runs)}
    assert len(expected) == 100
    starts = scenario.start_counter.all_starts()
    assert {uid: starts[uid] for uid in expected} == expected


def _all(runs: dict[str, list[Run]]) -> list[Run]:
    return [run for kind in runs.values() for run in kind]


def _of_newer_release(scenario: Scenario) -> Object:
    return shell(f"{START}; sleep 15; {END}", **{NEWER: 300}) | scenario.start_counter.mount()


def _helm_arguments(command: str, documented: str) -> list[str]:
    """Return the arguments of a helm command of the page."""
    (line,) = re.findall(rf"^helm ({command} taskruns .*)$", documented, re.MULTILINE)
    return [str(CHART) if word == "charts/taskruns" else word for word in shlex.split(line)]


def _older_chart(folder: Path) -> Path:
    """Copy the chart, without the newer field in its definition and the newer setting."""
    chart = folder / "older"
    shutil.copytree(CHART, chart, ignore=shutil.ignore_patterns(ITS_TEMPLATE))
    settings = yaml.safe_load((chart / "values.yaml").read_text())
    del settings[NEWER_SETTING]
    (chart / "values.yaml").write_text(yaml.safe_dump(settings))
    definition = yaml.safe_load((ROOT / "crds/taskruns.yaml").read_text())
    definition["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    (version,) = definition["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"][NEWER]
    rules = spec["x-kubernetes-validations"]
    spec["x-kubernetes-validations"] = [rule for rule in rules if NEWER not in rule["rule"]]
    (chart / "templates/crd.yaml").write_text(yaml.safe_dump(definition))
    return chart


def _fields(kube: Kube) -> set[str]:
    """Return the fields of a TaskRun's spec that the apiserver serves."""
    definition = kube.get(DEFINITIONS, None, DEFINITION)
    assert definition is not None
    conditions = {each["type"]: each["status"] for each in definition["status"]["conditions"]}
    assert conditions["Established"] == "True"
    (version,) = definition["spec"]["versions"]
    return set(version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])
