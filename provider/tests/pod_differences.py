"""Comparison of two Pods, with a list of the intended differences and their reasons."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from taskruns.api import names
from taskruns_airflow.identity import ANNOTATION_TRY, LABEL_TASK
from taskruns_airflow.manifest import RESULT_PATH

Pod = dict[str, Any]
Difference = Callable[[Pod, Pod], None]
DIFFERENCES: dict[str, Difference] = {}
"""Functions that each remove one intended difference from both Pods, or fail."""


def difference(function: Difference) -> Difference:
    DIFFERENCES[function.__name__] = function
    return function


def unexplained(original: Pod, ours: Pod) -> list[str]:
    """Return the paths at which two Pods differ, with both values."""
    for explain in DIFFERENCES.values():
        explain(original, ours)
    return list(_paths("", original, ours))


def _paths(path: str, original: Any, ours: Any) -> Iterator[str]:
    if isinstance(original, Mapping) and isinstance(ours, Mapping):
        for key in sorted({*original, *ours}):
            yield from _paths(f"{path}.{key}", original.get(key), ours.get(key))
    elif isinstance(original, list) and isinstance(ours, list) and len(original) == len(ours):
        for index, items in enumerate(zip(original, ours, strict=True)):
            yield from _paths(f"{path}[{index}]", *items)
    elif original != ours:
        yield f"{path}: {original!r} became {ours!r}"


def _containers(pod: Pod) -> list[dict[str, Any]]:
    return [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]


@difference
def xcom_without_a_sidecar(original: Pod, ours: Pod) -> None:
    """The kubelet reports the result as main's termination message."""
    spec = original["spec"]
    sidecars = [each for each in spec["containers"] if each["name"] == "airflow-xcom-sidecar"]
    if not sidecars:
        return
    spec["containers"].remove(sidecars[0])
    assert spec["volumes"].pop(0)["name"] == "xcom"
    assert spec["containers"][0]["volumeMounts"].pop(0)["mountPath"] == "/airflow/xcom"
    assert ours["spec"]["containers"][0].pop("terminationMessagePath") == RESULT_PATH
    spec["containers"][0].pop("terminationMessagePath", None)


@difference
def the_pod_is_a_task_runs(original: Pod, ours: Pod) -> None:
    """Our Pod has taskruns' owner, finalizer, gate and marks (design.md, Life of a run)."""
    metadata = ours["metadata"]
    assert [owner["kind"] for owner in metadata.pop("ownerReferences")] == ["TaskRun"]
    metadata["finalizers"].remove(names.FINALIZER_OUTCOME)
    ours["spec"]["schedulingGates"].remove({"name": names.GATE_CLAIM})
    for label in (names.LABEL_UID, names.LABEL_NAME, names.LABEL_ATTEMPT, LABEL_TASK):
        assert metadata["labels"].pop(label)
    assert metadata["labels"].pop(names.LABEL_MANAGED_BY) == names.MANAGER
    assert metadata["annotations"].pop(ANNOTATION_TRY)
    main = metadata["annotations"].pop(names.ANNOTATION_DEFAULT_CONTAINER)
    assert main == original["spec"]["containers"][0]["name"]


@difference
def no_label_by_which_the_original_adopts_pods(original: Pod, _: Pod) -> None:
    """Only KubernetesPodOperator's Pod has its reattach label and labels about Airflow."""
    labels = original["metadata"]["labels"]
    assert labels.pop("kubernetes_pod_operator") == "True"
    for label in ("airflow_version", "airflow_kpo_in_cluster"):
        labels.pop(label)


@difference
def the_name_is_the_tries_own(original: Pod, ours: Pod) -> None:
    """Our Pod has a name of its own form; the prefix is tested elsewhere."""
    del original["metadata"]["name"], ours["metadata"]["name"]


@difference
def a_token_only_for_a_named_service_account(original: Pod, ours: Pod) -> None:
    """Our Pod has no API token unless the task names a service account or asks for a token."""
    if "automountServiceAccountToken" not in original["spec"]:
        account = original["spec"].get("serviceAccountName")
        assert ours["spec"].pop("automountServiceAccountToken", None) is (
            None if account else False
        )


@difference
def a_seccomp_profile(_: Pod, ours: Pod) -> None:
    """Our Pod's seccomp profile is RuntimeDefault unless set."""
    assert ours["spec"]["securityContext"].pop("seccompProfile") == {"type": "RuntimeDefault"}


@difference
def the_logs_end_as_termination_message(original: Pod, ours: Pod) -> None:
    """Our containers fall back to the log's last lines as the termination message."""
    original["spec"]["containers"][0].pop("terminationMessagePolicy")
    policy = ours["spec"]["containers"][0].pop("terminationMessagePolicy")
    assert policy == "FallbackToLogsOnError"
    ours_init = ours["spec"].get("initContainers") or []
    for theirs, init in zip(original["spec"].get("initContainers") or [], ours_init, strict=True):
        if "terminationMessagePolicy" not in theirs:
            assert init.pop("terminationMessagePolicy") == "FallbackToLogsOnError"


@difference
def the_deadline_is_the_attempts(original: Pod, ours: Pod) -> None:
    """The deadline is the TaskRun's attemptDeadlineSeconds; compared elsewhere."""
    original["spec"].pop("activeDeadlineSeconds", None)
    assert "activeDeadlineSeconds" not in ours["spec"]


@difference
def secrets_volumes_have_stable_names(original: Pod, ours: Pod) -> None:
    """Our volumes of Secrets have stable names, so that a repeated create is the same."""
    for pod, pattern in ((original, "secretvol[0-9a-f-]{36}"), (ours, "airflow-secret-[0-9]+")):
        main = pod["spec"]["containers"][0]
        for each in (*(pod["spec"].get("volumes") or []), *(main.get("volumeMounts") or [])):
            if re.fullmatch(pattern, each["name"]):
                each["name"] = "secret"


@difference
def pull_secrets_are_named_once(original: Pod, ours: Pod) -> None:
    """Pull secrets are keyed by name in a TaskRun; a repeated name has no effect."""
    for pod in (original, ours):
        secrets = pod["spec"].pop("imagePullSecrets", None) or []
        pod["spec"]["imagePullSecrets"] = list({each["name"]: each for each in secrets}.values())


@difference
def each_variable_once(original: Pod, ours: Pod) -> None:
    """Main's variables have the same values; ours adds TASKRUN_* and names such as A.1."""
    theirs, own = (environment(pod["spec"]["containers"][0]) for pod in (original, ours))
    for name in set(own) - set(theirs):
        assert re.fullmatch(r"TASKRUN_(NAME|NAMESPACE|UID|ATTEMPT)|\w+\.\d+", name)
        del own[name]
    original["spec"]["containers"][0]["env"], ours["spec"]["containers"][0]["env"] = theirs, own


@difference
def nothing_equals_empty(original: Pod, ours: Pod) -> None:
    """Kubernetes treats null, "", [], {} and a false hostNetwork like a missing field."""
    for spec in (original["spec"], ours["spec"]):
        for flag in ("hostNetwork", "hostIPC"):
            spec[flag] = spec.get(flag) or None
        for container in spec.get("initContainers") or ():
            for item in container.get("env") or ():
                item.setdefault("value", "")
    for pod in (original, ours):
        for part in (pod["metadata"], pod["spec"], *_containers(pod)):
            for field in [each for each in part if part[each] in (None, "", [], {})]:
                del part[field]


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    """Return a container's variables with the values that the kubelet gives them."""
    variables: dict[str, str] = {}
    for item in container.get("env") or ():
        source = item.get("valueFrom")
        variables[item["name"]] = (
            f"<{json.dumps(source, sort_keys=True)}>"
            if source
            else _expanded(item.get("value") or "", variables)
        )
    return variables


def _expanded(text: str, known: Mapping[str, str]) -> str:
    """Expand `$(NAME)` as k8s.io/kubernetes/third_party/forked/golang/expansion does."""
    out, at = "", 0
    while at < len(text):
        rest = text[at + 1 :]
        if text[at] != "$" or not rest:
            out, at = out + text[at], at + 1
        elif rest[0] == "$":
            out, at = out + "$", at + 2
        elif rest[0] == "(" and ")" in rest:
            name = rest[1 : rest.index(")")]
            out, at = out + known.get(name, f"$({name})"), at + len(name) + 3
        else:
            out, at = out + text[at : at + 2], at + 2
    return out
