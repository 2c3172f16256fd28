"""Specs for tests of the contract: the smallest one, and one with a value in every field."""

from typing import Any

Spec = dict[str, Any]

SMALLEST: Spec = {"image": "busybox:1"}

BY_CODE: Spec = {
    "action": "FailJob",
    "onExitCodes": {"containerName": "main", "operator": "In", "values": [42, 43]},
}
BY_CONDITION: Spec = {
    "action": "Ignore",
    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
}
"""The two rules of the podFailurePolicy in the Kubernetes documentation of Jobs."""

FULL: Spec = {
    "image": "registry.example/etl@sha256:" + "0" * 64,
    "command": ["python", "-c"],
    "args": ["print('hello')", ""],
    "workingDir": "/app",
    "env": [
        {"name": "GREETING", "value": "hello"},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "settings", "optional": True}, "prefix": "APP_"}],
    "resources": {"requests": {"cpu": 0.5, "memory": "64Mi"}, "limits": {"memory": 67108864}},
    "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
    "imagePullPolicy": "IfNotPresent",
    "securityContext": {"runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}},
    "volumes": [{"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}],
    "serviceAccountName": "etl",
    "imagePullSecrets": [{"name": "pull"}],
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "batch", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "priorityClassName": "low",
    "template": {
        "metadata": {"labels": {"team": "data"}, "annotations": {"note": "kept"}},
        "spec": {
            "restartPolicy": "Never",
            "hostNetwork": False,
            "containers": [{"name": "main"}, {"name": "proxy", "image": "proxy:1"}],
            "fieldOfALaterKubernetes": {"deep": [{"er": 1.5}]},
        },
    },
    "resultPath": "/airflow/xcom/return.json",
    "backoffLimit": 3,
    "backoff": {"duration": "10s", "factor": 2, "cap": "10m"},
    "podFailurePolicy": {"rules": [BY_CODE, BY_CONDITION]},
    "disruptionLimit": 2,
    "podReplacementPolicy": "Failed",
    "activeDeadlineSeconds": 3600,
    "attemptDeadlineSeconds": 1800,
    "scheduleTimeoutSeconds": 600,
    "startupTimeoutSeconds": 300,
    "suspend": False,
    "cancel": False,
    "podGC": {"strategy": "OnPodSuccess", "deleteDelayDuration": "1m30s"},
    "ttlSecondsAfterFinished": 86400,
}


def full_with(path: tuple[str | int, ...]) -> Spec:
    """Return a valid spec with a value in every field, and at this path in particular."""
    if "onPodConditions" not in path:
        return FULL
    return {**FULL, "podFailurePolicy": {"rules": [BY_CONDITION]}}


OTHER: Spec = {
    "image": "busybox:2",
    "command": ["python", "-m"],
    "args": ["", "print('hello')"],
    "workingDir": "/srv",
    "env": [{"name": "GREETING", "value": "good bye"}, FULL["env"][1]],
    "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "APP_"}],
    "resources": {"requests": {"cpu": 0.5, "memory": "64Mi"}, "limits": {"cpu": 67108864}},
    "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": False}],
    "imagePullPolicy": "Always",
    "securityContext": {"runAsNonRoot": True, "capabilities": {"add": ["ALL"]}},
    "volumes": [{"name": "data", "hostPath": {"path": "/"}}],
    "serviceAccountName": "admin",
    "imagePullSecrets": [{"name": "pull"}, {"name": "pull-too"}],
    "nodeSelector": {"disc": "ssd"},
    "tolerations": [{"key": "batch", "operator": "Exists", "effect": "NoExecute"}],
    "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "priorityClassName": "high",
    "template": {**FULL["template"], "spec": {**FULL["template"]["spec"], "hostNetwork": True}},
    "resultPath": "/dev/termination-log",
    "backoffLimit": 4,
    "backoff": {"duration": "10s", "factor": 3, "cap": "10m"},
    "podFailurePolicy": {"rules": [BY_CODE, {**BY_CONDITION, "action": "Count"}]},
    "disruptionLimit": 3,
    "podReplacementPolicy": "TerminatingOrFailed",
    "activeDeadlineSeconds": 3601,
    "attemptDeadlineSeconds": 1801,
    "scheduleTimeoutSeconds": 601,
    "startupTimeoutSeconds": 301,
    "podGC": {"strategy": "OnPodSuccess", "deleteDelayDuration": "90s"},
}
"""Another valid value for every immutable field, often one that differs only deep inside."""
