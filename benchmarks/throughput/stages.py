"""Stage objects by which kwok moves the simulated Node and its Pods, in place of a kubelet.

A Pod runs as soon as it is bound, and succeeds 0.1 s later. By its labels it fails in its first two
attempts, or runs until it is stopped. The status that is written has about the size of a kubelet's.
"""

import json
from typing import Any

Stage = dict[str, Any]

HOLD: dict[str, str] = {"benchmarks.taskruns.dev/hold": "true"}
"""Label of a Pod that runs until it is stopped."""
FAIL_TWICE: dict[str, str] = {"benchmarks.taskruns.dev/fail": "twice"}
"""Label of a Pod that fails in the first two attempts."""
ATTEMPT = "taskruns.dev/attempt"
"""Label with the number of the attempt, which bare Pods of a benchmark get too."""
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
"""Annotation on the Pods of an indexed Job that has a limit of retries per index."""
RUN_MILLISECONDS = 100

_DIGEST = "0" * 64
_PREFERRED = 10_000
"""Weight of a stage that wins over a stage without a weight."""


def configuration(milliseconds: int = RUN_MILLISECONDS) -> str:
    """Return the documents of kwok's configuration file."""
    return "---\n".join(json.dumps(each, indent=2) + "\n" for each in stages(milliseconds))


def stages(milliseconds: int = RUN_MILLISECONDS) -> tuple[Stage, ...]:
    """Return the Stage objects of Node and Pods, whose containers run for this time."""
    running = _is("Running")
    fails = [*running, _label("fail", "In", "twice")]
    attempts = _matches(f'.metadata.labels["{ATTEMPT}"]', "In", "1", "2")
    failures = _matches(f'.metadata.annotations["{INDEX_FAILURES}"]', "In", "0", "1")
    overdue = _matches(".spec.activeDeadlineSeconds", "Exists")
    held = _label("hold", "DoesNotExist")
    succeeded = _ended("Succeeded", 0, "Completed")
    failed, stopped = _ended("Failed", 1, "Error"), _ended("Failed", 143, "Error")
    unfinished = _matches(".status.phase", "In", "Pending", "Running")
    # A Pod without a grace period needs no kubelet to go.
    deleted = _matches(".metadata | select(.deletionGracePeriodSeconds > 0) | .name", "Exists")
    return (
        _node_ready(),
        _stage("pod-run", _is("Pending"), _patch(_RUNNING)),
        _stage("pod-succeed", [*running, held], succeeded, milliseconds),
        _stage("pod-fail", [*fails, attempts], failed, milliseconds, weight=_PREFERRED),
        _stage("pod-fail-index", [*fails, failures], failed, milliseconds, weight=_PREFERRED),
        _stage("pod-stop", [*running, overdue], stopped, weight=_PREFERRED),
        _stage("pod-terminate", [deleted, unfinished], stopped),
        _stage("pod-delete", [deleted, _over()], {"delete": True}),
    )


def _stage(
    name: str,
    conditions: list[dict[str, Any]],
    following: dict[str, Any],
    milliseconds: int = 0,
    *,
    kind: str = "Pod",
    weight: int = 0,
) -> Stage:
    delay = {"delay": {"durationMilliseconds": milliseconds}} if milliseconds else {}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": conditions},
            "weight": weight,
            "next": following,
            **delay,
        },
    }


def _matches(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": [*values]} if values else {})}


def _label(name: str, operator: str, *values: str) -> dict[str, Any]:
    return _matches(f'.metadata.labels["benchmarks.taskruns.dev/{name}"]', operator, *values)


def _is(phase: str) -> list[dict[str, Any]]:
    """Return the conditions of a Pod in a phase that is not being deleted."""
    kept = _matches(".metadata.deletionTimestamp", "DoesNotExist")
    return [kept, _matches(".status.phase", "In", phase)]


def _over() -> dict[str, Any]:
    return _matches(".status.phase", "In", "Succeeded", "Failed")


def _patch(template: str) -> dict[str, Any]:
    return {"patches": [{"subresource": "status", "root": "status", "template": template}]}


def _node_ready() -> Stage:
    ready = '.status.conditions.[] | select(.type == "Ready") | .status'
    return _stage("node-ready", [_matches(ready, "NotIn", "True")], _patch(_READY), kind="Node")


_READY = """
allocatable: {cpu: "1000", memory: 1Ti, pods: "100000"}
capacity: {cpu: "1000", memory: 1Ti, pods: "100000"}
addresses: [{type: InternalIP, address: {{ NodeIP | Quote }}}]
conditions:
- type: Ready
  status: "True"
  reason: KubeletReady
  message: simulated by kwok
  lastHeartbeatTime: {{ Now | Quote }}
  lastTransitionTime: {{ Now | Quote }}
"""

_CONDITION = '- {{type: {type}, status: "{status}", lastTransitionTime: {{{{ $now | Quote }}}}}}'
_CONTAINERS = f"""
containerStatuses:
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: sha256:{_DIGEST}
  containerID: containerd://{_DIGEST}
  restartCount: 0
"""


def _conditions(**statuses: str) -> str:
    rows = (_CONDITION.format(type=name, status=status) for name, status in statuses.items())
    return "\n".join(("conditions:", *rows))


_RUNNING = f"""{{{{ $now := Now }}}}
phase: Running
startTime: {{{{ $now | Quote }}}}
hostIP: {{{{ NodeIP | Quote }}}}
hostIPs: [{{ip: {{{{ NodeIP | Quote }}}}}}]
podIP: 198.51.100.1
podIPs: [{{ip: 198.51.100.1}}]
{
    _conditions(
        PodReadyToStartContainers="True", Initialized="True", Ready="True", ContainersReady="True"
    )
}
{_CONTAINERS}
  ready: true
  started: true
  state: {{running: {{startedAt: {{{{ $now | Quote }}}}}}}}
{{{{ end }}}}
"""


def _ended(phase: str, code: int, reason: str) -> dict[str, Any]:
    """Return the status of a Pod all of whose containers have ended with this code."""
    conditions = _conditions(
        PodReadyToStartContainers="False", Ready="False", ContainersReady="False"
    )
    return _patch(f"""{{{{ $now := Now }}}}
{{{{ $started := or .status.startTime $now }}}}
phase: {phase}
{conditions}
{_CONTAINERS}
  ready: false
  started: false
  state:
    terminated:
      exitCode: {code}
      reason: {reason}
      containerID: containerd://{_DIGEST}
      startedAt: {{{{ $started | Quote }}}}
      finishedAt: {{{{ $now | Quote }}}}
{{{{ end }}}}
""")
