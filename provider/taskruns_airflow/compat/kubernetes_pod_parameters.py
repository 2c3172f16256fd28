"""Table of KubernetesPodOperator's parameters, with the handling of each."""

from taskruns_airflow.compat.parameters import Fate, kept, needless, refused, translated

_WATCHED = "not needed: changes are watched, not polled"
_ADOPTED = (
    "a retry reattaches to an active run, so that two runs never overlap; clear the task to start "
    "a new run"
)
_PODS = "the Pod's `{}`"

PARAMETERS = (
    translated(
        "kubernetes_conn_id", "the same; the default, `kubernetes_default`, need not be defined"
    ),
    kept("namespace", "the same; default: the Pod template's, the connection's, or Airflow's own"),
    kept("image"),
    translated("name", "the prefix of the names of the TaskRun and its Pods"),
    refused(
        "random_name_suffix",
        "the TaskRun's name is derived from the try, which prevents duplicates; use its labels to "
        "find it",
        harmless=True,
    ),
    translated("cmds", "`command`"),
    kept("arguments", "the same; items are strings"),
    translated("ports", "the container's `ports`, after the template's"),
    kept("volume_mounts"),
    kept("volumes"),
    translated("env_vars", "`env`; of several definitions of a name, the last one applies"),
    kept("env_from"),
    translated("secrets", "`env`, `env_from`, or `volumes` and `volume_mounts`: references"),
    kept("in_cluster"),
    kept("cluster_context"),
    translated("labels", "the same, on TaskRun and Pods; None becomes empty"),
    refused(
        "reattach_on_restart",
        _ADOPTED,
        harmless=True,
    ),
    refused(
        "durable",
        _ADOPTED,
        harmless=True,
    ),
    kept(
        "startup_timeout_seconds",
        "the same; default: the site default (ten minutes) instead of 120 s",
    ),
    needless("startup_check_interval_seconds", _WATCHED, harmless=5),
    kept(
        "schedule_timeout_seconds", "the same; by default, and with 0, scheduling has no time limit"
    ),
    kept("get_logs"),
    translated("base_container_name", "the main container's name; default `base`"),
    needless("base_container_status_polling_interval", _WATCHED, harmless=1),
    translated("init_container_logs", "`container_logs`; copied before the main container's log"),
    translated(
        "container_logs",
        "the same; True does not include init containers, see `init_container_logs`",
    ),
    kept("image_pull_policy"),
    kept("annotations", "the same, on TaskRun and Pods"),
    kept("container_resources"),
    kept("affinity"),
    kept("config_file"),
    translated("runtime_class_name", _PODS.format("runtimeClassName")),
    kept("node_selector"),
    translated("image_pull_secrets", "the same; a string is split at commas"),
    kept("service_account_name"),
    translated(
        "automount_service_account_token",
        "the Pod's `automountServiceAccountToken`; default: True only with `service_account_name`",
    ),
    translated("hostnetwork", _PODS.format("hostNetwork")),
    translated("host_aliases", _PODS.format("hostAliases")),
    kept("tolerations"),
    translated("security_context", _PODS.format("securityContext")),
    translated("container_security_context", "`security_context`"),
    refused("xcom_sidecar_container_security_context", "remove it: results need no sidecar"),
    translated("dnspolicy", _PODS.format("dnsPolicy")),
    translated("dns_config", _PODS.format("dnsConfig")),
    translated("hostname", _PODS.format("hostname")),
    translated("subdomain", _PODS.format("subdomain")),
    translated("schedulername", _PODS.format("schedulerName")),
    translated(
        "full_pod_spec",
        "`template`; takes precedence over `pod_template_file` and `pod_template_dict`",
    ),
    translated("init_containers", "the Pod's `initContainers`, merged with the template's by name"),
    needless("log_events_on_failure", "the failure message contains the cause", harmless=False),
    needless(
        "log_events_on_startup",
        "the task's log shows why a container does not start",
        harmless=True,
    ),
    translated("do_xcom_push", "the same, without a sidecar; default False"),
    translated("pod_template_file", "`template`, read when the task runs; not a Jinja template"),
    translated("pod_template_dict", "`template`"),
    kept("priority_class_name"),
    translated("pod_runtime_info_envs", "`env`"),
    translated("termination_grace_period", _PODS.format("terminationGracePeriodSeconds")),
    translated("configmaps", "`env_from`"),
    kept("skip_on_exit_code"),
    kept("deferrable", "the same; the worker waits `defer_after` seconds first (default 10)"),
    needless("poll_interval", _WATCHED, harmless=2),
    needless(
        "log_pod_spec_on_failure",
        "the spec is never logged, because it may contain secrets",
        harmless=True,
    ),
    translated(
        "on_finish_action",
        "`pod_gc`: `delete_pod` is `OnPodCompletion`, `delete_succeeded_pod` is `OnPodSuccess`, "
        "`keep_pod` and `delete_active_pod` are `Never`",
    ),
    refused(
        "on_kill_action",
        "marking or clearing a task stops its container and keeps the TaskRun as a record",
        harmless="delete_pod",
    ),
    translated("is_delete_operator_pod", "`on_finish_action`: True `delete_pod`, False `keep_pod`"),
    needless("termination_message_policy", "always `FallbackToLogsOnError`", harmless="File"),
    translated(
        "active_deadline_seconds",
        "`attemptDeadlineSeconds`, from the container's start; a shorter `execution_timeout` takes "
        "precedence",
    ),
    refused(
        "callbacks",
        "use `mutate` to change the TaskRun, and Airflow's `on_*_callback` to act on its outcome",
        harmless=[],
    ),
    refused("progress_callback", "remove it: log lines are written only to the task's log"),
    needless("logging_interval", "the log is followed while a task is deferred"),
    refused("trigger_kwargs", "remove it: the trigger has no further arguments", harmless={}),
    translated(
        "container_name_log_prefix_enabled",
        "False: no container name before each line; a single log never has one",
    ),
    refused("log_formatter", "remove it: log lines are copied unchanged"),
)
"""Parameters of version 10.25 of the provider, in its order."""

EARLIER = (
    translated("node_selectors", "`node_selector`"),
    translated("xcom_push", "`do_xcom_push`"),
    refused("resources", "use `container_resources` for requests and limits"),
)
"""Parameters under names of earlier versions, which DAGs may still use."""

ALL = PARAMETERS + EARLIER
KEPT = tuple(each.name for each in ALL if each.fate is Fate.KEPT)

TEMPLATED = (
    "image",
    "name",
    "hostname",
    "cmds",
    "annotations",
    "arguments",
    "env_vars",
    "labels",
    "config_file",
    "pod_template_file",
    "pod_template_dict",
    "namespace",
    "container_resources",
    "volumes",
    "volume_mounts",
    "cluster_context",
    "env_from",
    "configmaps",
    "node_selector",
    "kubernetes_conn_id",
    "base_container_name",
)
"""KubernetesPodOperator's template fields, except refused ones; a test compares the two."""
