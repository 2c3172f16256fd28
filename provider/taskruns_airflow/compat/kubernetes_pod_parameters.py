"""Table of KubernetesPodOperator's parameters, with the handling of each."""

from taskruns_airflow.compat.parameters import Fate, kept, needless, refused, translated

_WATCHED = "nothing is polled; what changes is told at once"
_ADOPTED = (
    "a retry goes on with a run that is still active, so that none overlaps it; "
    "clear the task to start anew"
)
_PODS = "the Pod's `{}`"

PARAMETERS = (
    translated("kubernetes_conn_id", "the same; `kubernetes_default`, the default, may be missing"),
    kept("namespace", "the same; else the Pod template's, the connection's, Airflow's own"),
    kept("image"),
    translated("name", "the first part of the TaskRun's name, and so of its Pods'"),
    refused(
        "random_name_suffix",
        "a TaskRun is named after its try, so that none is created twice; find it by its labels",
        harmless=True,
    ),
    translated("cmds", "`command`"),
    kept("arguments", "the same; items are texts"),
    translated("ports", "the container's `ports`, after the template's"),
    kept("volume_mounts"),
    kept("volumes"),
    translated("env_vars", "`env`; of a name that comes twice the last definition rules"),
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
    kept("startup_timeout_seconds", "the same; default: the site's (ten minutes), not 120 s"),
    needless("startup_check_interval_seconds", _WATCHED, harmless=5),
    kept("schedule_timeout_seconds", "the same; default, and 0: none, a task waits for its node"),
    kept("get_logs"),
    translated("base_container_name", "the main container's name; default `base`"),
    needless("base_container_status_polling_interval", _WATCHED, harmless=1),
    translated("init_container_logs", "`container_logs`; each is told before the main's"),
    translated("container_logs", "the same; True leaves init containers to `init_container_logs`"),
    kept("image_pull_policy"),
    kept("annotations", "the same, on TaskRun and Pods"),
    kept("container_resources"),
    kept("affinity"),
    kept("config_file"),
    translated("runtime_class_name", _PODS.format("runtimeClassName")),
    kept("node_selector"),
    translated("image_pull_secrets", "the same; a text is split at its commas"),
    kept("service_account_name"),
    translated(
        "automount_service_account_token",
        "the Pod's `automountServiceAccountToken`; default: only where a service account is named",
    ),
    translated("hostnetwork", _PODS.format("hostNetwork")),
    translated("host_aliases", _PODS.format("hostAliases")),
    kept("tolerations"),
    translated("security_context", _PODS.format("securityContext")),
    translated("container_security_context", "`security_context`"),
    refused("xcom_sidecar_container_security_context", "leave it out: results need no sidecar"),
    translated("dnspolicy", _PODS.format("dnsPolicy")),
    translated("dns_config", _PODS.format("dnsConfig")),
    translated("hostname", _PODS.format("hostname")),
    translated("subdomain", _PODS.format("subdomain")),
    translated("schedulername", _PODS.format("schedulerName")),
    translated("full_pod_spec", "`template`; over `pod_template_file` or `pod_template_dict`"),
    translated("init_containers", "the Pod's `initContainers`, merged with the template's by name"),
    needless("log_events_on_failure", "a failure's message has its cause", harmless=False),
    needless("log_events_on_startup", "the log says what a start waits for", harmless=True),
    translated("do_xcom_push", "the same, without a sidecar; default False"),
    translated("pod_template_file", "`template`, read when the task runs; not a Jinja template"),
    translated("pod_template_dict", "`template`"),
    kept("priority_class_name"),
    translated("pod_runtime_info_envs", "`env`"),
    translated("termination_grace_period", _PODS.format("terminationGracePeriodSeconds")),
    translated("configmaps", "`env_from`"),
    kept("skip_on_exit_code"),
    kept("deferrable"),
    needless("poll_interval", _WATCHED, harmless=2),
    needless("log_pod_spec_on_failure", "it is never logged: it may hold secrets", harmless=True),
    translated(
        "on_finish_action",
        "`pod_gc`: `delete_pod` is `OnPodCompletion`, `delete_succeeded_pod` is `OnPodSuccess`, "
        "`keep_pod` and `delete_active_pod` are `Never`",
    ),
    refused(
        "on_kill_action",
        "whoever marks or clears a task stops its container; its TaskRun stays, as a record",
        harmless="delete_pod",
    ),
    translated("is_delete_operator_pod", "`on_finish_action`: True `delete_pod`, False `keep_pod`"),
    needless("termination_message_policy", "it is `FallbackToLogsOnError`", harmless="File"),
    translated(
        "active_deadline_seconds",
        "`attemptDeadlineSeconds`, from the container's start; a smaller `execution_timeout` rules",
    ),
    refused(
        "callbacks",
        "use `mutate` for what is created, and Airflow's `on_*_callback` for how it ends",
        harmless=[],
    ),
    refused("progress_callback", "lines of the log go to the task's log alone"),
    needless("logging_interval", "the log is live while a task is deferred"),
    refused("trigger_kwargs", "leave it out: its trigger takes nothing more", harmless={}),
    translated(
        "container_name_log_prefix_enabled",
        "False: lines without their container's name; where one log is shown they never have it",
    ),
    refused("log_formatter", "lines of the log come as the container wrote them"),
)
"""Parameters of version 10.25 of the provider, in its order."""

EARLIER = (
    translated("node_selectors", "`node_selector`"),
    translated("xcom_push", "`do_xcom_push`"),
    refused("resources", "say limits and requests by `container_resources`"),
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
