"""Admission of a Pod by the apiserver: strict field validation, validity, defaults.

Only the part that taskruns relies on: an unknown field in a PodSpec or a container is refused, as
with `fieldValidation=Strict`, and so is a Pod that is not valid.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from taskruns.core.plan import Refusal, RefusalKind
from taskruns.core.unstructured import Draft, Object, drafted, stamp
from taskruns.engines.engine import Refused

MAX_NAME = 253

SPEC_FIELDS = frozenset(
    """activeDeadlineSeconds affinity automountServiceAccountToken containers dnsConfig dnsPolicy
    enableServiceLinks ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers
    hostname hostnameOverride imagePullSecrets initContainers nodeName nodeSelector os overhead
    preemptionPolicy priority priorityClassName readinessGates resourceClaims resources
    restartPolicy runtimeClassName schedulerName schedulingGates securityContext serviceAccount
    serviceAccountName setHostnameAsFQDN shareProcessNamespace subdomain
    terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes workloadRef
    schedulingGroup""".split()  # noqa: SIM905 - so many names read best as words
)
CONTAINER_FIELDS = frozenset(
    """args command env envFrom image imagePullPolicy lifecycle livenessProbe name ports
    readinessProbe resizePolicy resources restartPolicy restartPolicyRules securityContext
    startupProbe stdin stdinOnce terminationMessagePath terminationMessagePolicy tty
    volumeDevices volumeMounts workingDir""".split()  # noqa: SIM905 - so many names read best as words
)


def admitted(manifest: Object, now: datetime) -> Draft:
    """Return the Pod that is stored for a manifest.

    Raises:
        Refused: the manifest is not a valid Pod.
    """
    pod: Draft = drafted(manifest)
    _check_fields(pod)
    _check_values(pod)
    _fill_in(pod, now)
    return pod


def _check_fields(pod: Draft) -> None:
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        raise _undecodable("json: cannot unmarshal into Go struct field Pod.spec")
    unknown = [f"spec.{name}" for name in spec if name not in SPEC_FIELDS]
    for path, container in _containers(spec):
        if not isinstance(container, dict):
            raise _undecodable(f"json: cannot unmarshal into Go struct field {path}")
        unknown += [f"{path}.{name}" for name in container if name not in CONTAINER_FIELDS]
    if unknown:
        details = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise _undecodable(f"strict decoding error: {details}")


def _check_values(pod: Draft) -> None:
    name = pod["metadata"]["name"]
    faults: list[str] = []
    if not 0 < len(name) <= MAX_NAME:
        faults.append(f'metadata.name: Invalid value: "{name}"')
    if not pod["spec"].get("containers"):
        faults.append("spec.containers: Required value")
    names: list[object] = []
    for path, container in _containers(pod["spec"]):
        faults += [
            f"{path}.{key}: Required value" for key in ("image", "name") if not container.get(key)
        ]
        if container.get("name") in names:
            faults.append(f'{path}.name: Duplicate value: "{container["name"]}"')
        names.append(container.get("name"))
    if faults:
        details = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        raise _invalid(f'Pod "{name}" is invalid: {details}')


def _containers(spec: Draft) -> Iterator[tuple[str, Any]]:
    for part in ("initContainers", "containers"):
        listed = spec.get(part) or ()
        if not isinstance(listed, list | tuple):
            raise _undecodable(f"json: cannot unmarshal into Go struct field spec.{part}")
        for index, container in enumerate(listed):
            yield f"spec.{part}[{index}]", container


def _fill_in(pod: Draft, now: datetime) -> None:
    spec: dict[str, Any] = pod["spec"]
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("schedulerName", "default-scheduler")
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
    pod["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
    if spec.get("schedulingGates"):
        pod["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "lastTransitionTime": stamp(now),
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]


def _undecodable(why: str) -> Refused:
    return _invalid(f'Pod in version "v1" cannot be handled as a Pod: {why}')


def _invalid(message: str) -> Refused:
    return Refused(Refusal(RefusalKind.INVALID, message))
