"""Property tests that our Pod equals KubernetesPodOperator's, except for known differences."""

import copy
import inspect
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator as Original
from airflow.providers.common.compat.sdk import AirflowException
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kubernetes.client import ApiClient, Configuration

from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.pods import build_pod
from taskruns_airflow.compat import KubernetesPodOperator
from taskruns_airflow.compat.pod_reconciliation import owned
from taskruns_airflow.identity import Try
from tests.pod_arguments import PARTS, WHOLE, arguments
from tests.pod_differences import unexplained

OWN = Try("sales", "load", "manual", -1, 1, 0, "2026-11-25T04:00:00.000001+00:00", "i1")
THOROUGH = os.environ.get("TASKRUNS_PROPERTIES") == "thorough"
PROPERTY = settings(
    max_examples=3000 if THOROUGH else 40,
    derandomize=not THOROUGH,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module", autouse=True)
def one_configuration() -> Iterator[None]:
    """Share one client configuration; creating one per object would take most of the time."""
    shared = Configuration()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Configuration, "get_default_copy", lambda: shared)
        patch.setattr(Configuration, "__deepcopy__", lambda self, _: self)
        yield


class Hook:
    """Hook without a connection, for the settings that the original reads."""

    is_in_cluster = False

    def __getattr__(self, name: str) -> Any:
        return lambda: None


class Quiet(Original):
    """KubernetesPodOperator without log output."""

    log = SimpleNamespace(**dict.fromkeys(("info", "debug", "warning"), lambda *_: None))


def context() -> dict[str, Any]:
    ti = SimpleNamespace(
        dag_id=OWN.dag_id, task_id=OWN.task_id, run_id=OWN.run_id, map_index=-1, try_number=1
    )
    return {
        "ti": ti,
        "run_id": OWN.run_id,
        "dag": SimpleNamespace(parent_dag=None),
        "params": {"word": "alpha", "name": "B"},
    }


def original_pod(kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """Return the Pod that KubernetesPodOperator creates; None if it refuses the arguments."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            task = Quiet(task_id="load", **kwargs)
            task.render_template_fields(context())  # type: ignore[arg-type]
            task.name = task._set_name(task.name)
            task.__dict__["hook"] = Hook()
            built = task.build_pod_request_obj(context())  # type: ignore[arg-type]
    except (AirflowException, ValueError, TypeError, AttributeError):
        return None
    pod: dict[str, Any] = json.loads(json.dumps(ApiClient().sanitize_for_serialization(built)))
    return pod


def task_run(task: Any) -> dict[str, Any]:
    task.render_template_fields(context())
    made: dict[str, Any] = task.build_task_run(OWN)
    made["metadata"].setdefault("namespace", "default")
    return made


def pod_of(made: dict[str, Any]) -> dict[str, Any]:
    run = TaskRun.model_validate({**made, "metadata": {**made["metadata"], "uid": "u1"}})
    return copy.deepcopy(build_pod(run, 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("templates")


def with_file(kwargs: dict[str, Any], folder: Path) -> dict[str, Any]:
    if "pod_template_file" not in kwargs:
        return kwargs
    path = folder / "pod.yaml"
    path.write_text(yaml.safe_dump(kwargs["pod_template_file"]))
    return kwargs | {"pod_template_file": str(path)}


def check(expected: dict[str, Any], made: dict[str, Any]) -> None:
    deadline = expected["spec"].get("activeDeadlineSeconds")
    assert made["spec"].get("attemptDeadlineSeconds") == deadline
    assert unexplained(expected, pod_of(made)) == []


@PROPERTY
@given(arguments())
def test_the_pods_are_equal(folder: Path, kwargs: dict[str, Any]) -> None:
    kwargs = with_file(kwargs, folder)
    expected = original_pod(owned(kwargs))
    assume(expected is not None)
    assert expected is not None
    check(expected, task_run(KubernetesPodOperator(task_id="load", **owned(kwargs))))


@settings(PROPERTY, max_examples=PROPERTY.max_examples // 4)
@given(arguments(), st.data())
def test_the_pods_of_a_mapped_task_are_equal(
    folder: Path, kwargs: dict[str, Any], data: st.DataObject
) -> None:
    kwargs = with_file(kwargs, folder)
    expected = original_pod(owned(kwargs))
    assume(expected is not None and kwargs)
    assert expected is not None
    mapped = data.draw(st.lists(st.sampled_from(sorted(kwargs)), unique=True, min_size=1))
    rest = {name: value for name, value in owned(kwargs).items() if name not in mapped}
    each = {name: [kwargs[name]] for name in mapped}
    operator = KubernetesPodOperator.partial(task_id="load", **rest).expand(**each)
    check(expected, task_run(operator.unmap(owned({name: kwargs[name] for name in mapped}))))


NO_PART_OF_THE_POD = {
    # connection
    "kubernetes_conn_id", "in_cluster", "cluster_context", "config_file",
    # wait, log, and end of the Pod
    "reattach_on_restart", "durable", "startup_timeout_seconds", "startup_check_interval_seconds",
    "schedule_timeout_seconds", "get_logs", "base_container_status_polling_interval",
    "init_container_logs", "container_logs", "log_events_on_failure", "log_events_on_startup",
    "skip_on_exit_code", "deferrable", "poll_interval", "log_pod_spec_on_failure",
    "on_finish_action", "on_kill_action", "is_delete_operator_pod", "callbacks",
    "progress_callback", "logging_interval", "trigger_kwargs",
    "container_name_log_prefix_enabled", "log_formatter",
    # the XCom sidecar, which our Pods do not have
    "xcom_sidecar_container_security_context",
}  # fmt: skip


def test_every_parameter_of_the_pod_is_generated() -> None:
    known = set(inspect.signature(Original.__init__).parameters) - {"self", "kwargs"}
    compared = PARTS.keys() | WHOLE.keys()
    assert compared | NO_PART_OF_THE_POD == known
    assert len(compared) == 44
