"""Each kind of broken promise in a session of chaos is seen in what the apiserver has stored."""

from typing import Any

from taskruns.api import names
from tests.chaos.judgement import Verdicts, judge
from tests.chaos.truth import Truth
from tests.support.cluster.client import Object

RECORD: Object = {"number": 1, "podUID": "pod-1", "outcome": "Succeeded", "exitCode": 0}


def a_run(version: int, phase: str = "Succeeded", *records: Object, **spec: Any) -> Object:
    metadata = {"name": "hello", "uid": "run", "resourceVersion": str(version)}
    status = {"phase": phase, "attempts": [*records]}
    return {"kind": names.KIND, "metadata": metadata, "spec": spec, "status": status}


def a_pod(version: int, number: int = 1, *, gated: bool = False, code: int | None = None) -> Object:
    """Return a version of a Pod that is gated, runs, or has ended with a code."""
    spec: Object = {"schedulingGates": [{"name": names.GATE_CLAIM}]} if gated else {"nodeName": "n"}
    state: Object = {"running": {"startedAt": "t"}}
    if code is not None:
        state = {"terminated": {"exitCode": code, "startedAt": "t", "reason": "Error"}}
    status: Object = {"phase": "Pending"} if gated else {"phase": "Running"}
    if not gated:
        status["containerStatuses"] = [{"name": "main", "state": state}]
    if code is not None:
        status["phase"] = "Failed" if code else "Succeeded"
    labels = {names.LABEL_UID: "run"}
    metadata = {"uid": f"pod-{number}", "resourceVersion": str(version), "labels": labels}
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def judged(*versions: Object, lines: str = "", pods_left: tuple[str, ...] = ()) -> Verdicts:
    truth = Truth()
    for version in versions:
        truth.take(version)
    truth.close(lines.splitlines())
    return judge(truth, ["run"], pods_left)


def once() -> list[Object]:
    return [a_pod(1, gated=True), a_pod(2), a_pod(3, code=0)]


def a_second(*, released: int, ended: int) -> list[Object]:
    return [a_pod(released, 2), a_pod(ended, 2, code=0)]


TWICE = (
    {**RECORD, "outcome": "Failed", "exitCode": 1},
    {**RECORD, "number": 2, "podUID": "pod-2"},
)


def test_a_run_whose_work_was_done_once_is_clean() -> None:
    assert judged(*once(), a_run(4, "Succeeded", RECORD), lines="run 1 1\nrun 1 2").clean


def test_a_retry_that_the_run_allows_is_clean() -> None:
    pods = [a_pod(2), a_pod(3, code=1), *a_second(released=5, ended=6)]
    assert judged(*pods, a_run(7, "Succeeded", *TWICE, backoffLimit=1)).clean


def test_an_attempt_beyond_the_limits_is_repeated() -> None:
    pods = [a_pod(2), a_pod(3, code=1), *a_second(released=5, ended=6)]
    verdicts = judged(*pods, a_run(7, "Succeeded", *TWICE))
    assert verdicts.repeated == ["hello: its work was started 2 times, and at most 1 are allowed"]


def test_two_pods_at_work_at_a_time_are_repeated() -> None:
    pods = [a_pod(2), a_pod(6, code=1), *a_second(released=4, ended=8)]
    verdicts = judged(*pods, a_run(9, "Succeeded", *TWICE, backoffLimit=1))
    assert verdicts.repeated == ["hello: Pod pod-2 was released before the end of Pod pod-1"]


def test_lines_of_two_containers_at_a_time_are_repeated() -> None:
    pods = [a_pod(2), a_pod(3, code=1), *a_second(released=5, ended=6)]
    run = a_run(7, "Succeeded", *TWICE, backoffLimit=1)
    verdicts = judged(*pods, run, lines="run 1 10.0\nrun 1 12.0\nrun 2 11.5")
    assert verdicts.repeated == [
        "hello: a container worked at 11.5 s beside another one until 12.0 s"
    ]


def test_a_pod_that_was_released_without_a_claim_is_repeated() -> None:
    verdicts = judged(*once(), a_run(4, "Succeeded"))
    assert verdicts.repeated == ["hello: Pod pod-1 was released and is in no record"]


def test_a_replaced_attempt_whose_work_had_started_is_repeated() -> None:
    record = {"number": 1, "podUID": "pod-1", "outcome": "Replaced"}
    verdicts = judged(a_pod(2), a_run(4, "Failed", record))
    assert verdicts.repeated == ["hello: Pod pod-1 was replaced although its work had started"]


def test_an_outcome_that_was_reported_and_not_recorded_is_lost() -> None:
    record = {"number": 1, "podUID": "pod-1", "outcome": "Disrupted"}
    assert "exit code 0 was reported" in judged(*once(), a_run(4, "Failed", record)).lost[0]


def test_a_changed_end_is_lost() -> None:
    verdicts = judged(*once(), a_run(4, "Failed", RECORD), a_run(5, "Succeeded", RECORD))
    assert "its end was changed" in verdicts.lost[0]


def test_a_record_without_a_pod_is_lost() -> None:
    assert judged(a_run(4, "Succeeded", RECORD)).lost == ["hello: attempt 1 has no Pod"]


def test_a_run_without_an_end_and_a_pod_that_is_left_are_stuck() -> None:
    verdicts = judged(a_run(4, "Running"), pods_left=("hello-1",))
    assert verdicts.stuck == ["Pod hello-1 is left", "hello: Running, None"]
