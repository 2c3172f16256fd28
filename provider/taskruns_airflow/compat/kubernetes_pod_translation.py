"""From KubernetesPodOperator's parameters to what a TaskRun is asked for: values in, values out."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from taskruns.api.names import ANNOTATION_DEFAULT_CONTAINER
from taskruns_airflow.environment import env_vars
from taskruns_airflow.manifest import Order
from taskruns_airflow.template import loaded, pod_template

_SOURCES = ("pod_template_file", "pod_template_dict", "full_pod_spec")
_OF_THE_POD = {
    "runtime_class_name": "runtimeClassName",
    "automount_service_account_token": "automountServiceAccountToken",
    "hostnetwork": "hostNetwork",
    "host_aliases": "hostAliases",
    "security_context": "securityContext",
    "dnspolicy": "dnsPolicy",
    "dns_config": "dnsConfig",
    "hostname": "hostname",
    "subdomain": "subdomain",
    "schedulername": "schedulerName",
    "termination_grace_period": "terminationGracePeriodSeconds",
}
"""Parameters that are fields of a PodSpec, by the field's name."""

_RETENTION = {
    "delete_pod": "OnPodCompletion",
    "delete_succeeded_pod": "OnPodSuccess",
    "delete_active_pod": "Never",
    "keep_pod": "Never",
}
_NOTHING: tuple[Any, ...] = (None, "", [], {})


EARLIER_NAMES = {"node_selectors": "node_selector", "xcom_push": "do_xcom_push"}
"""What parameters were once called, and are called now."""


def refusals(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what cannot be had of values that are no templates, with what to write instead."""
    for earlier, now in EARLIER_NAMES.items():
        if told.get(earlier) is not None and told.get(now) is not None:
            yield f"{now}: given as {earlier}, too"
    if told.get("command") and told.get("cmds"):
        yield "command: given as cmds, too"
    if told.get("init_container_logs") and told.get("get_logs") is False:
        yield "init_container_logs: get_logs=False shows none: leave one of them out"
    for look in (_source, _retention):
        try:
            look(told)
        except ValueError as refusal:
            yield str(refusal)


def _source(told: Mapping[str, Any]) -> str | None:
    """Return the one parameter that names a Pod, where one does."""
    given = [name for name in _SOURCES if told.get(name)]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)}: give one of them")
    if given and told.get("template") is not None:
        raise ValueError(f"template: given as {given[0]}, too")
    return given[0] if given else None


def pod_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Pod that the task's own parameters go over; empty where it names none.

    Raises:
        ValueError: it names two, or one that cannot be read.
    """
    source = _source(told)
    if source is None:
        return {}
    pod = told[source]
    if source == "pod_template_file":
        try:
            pod = loaded(Path(pod).read_text())
        except OSError as error:
            raise ValueError(f"pod_template_file: {error.strerror}: {pod}") from None
    if not isinstance(pod, Mapping):
        raise ValueError(f"{source}: not a Pod")  # noqa: TRY004  # a refusal as the others
    return {"kind": "Pod", **pod}


def translate(order: Order, told: Mapping[str, Any], main_name: str) -> Order:
    """Return what is asked for, with KubernetesPodOperator's parameters put in its words.

    Raises:
        ValueError: two of them say the same, or one is not what it has to be.
    """
    template, main = _template(order, told, main_name)
    secrets = [_Secret(each, number) for number, each in enumerate(told.get("secrets") or [])]
    environment = [
        *env_vars(order.env or []),
        *env_vars(told.get("env_vars") or []),
        *(told.get("pod_runtime_info_envs") or []),
        *(part for each in secrets for part in each.env),
    ]
    sources = [
        *(main.get("envFrom") or []),
        *(order.env_from or []),
        *({"configMapRef": {"name": name}} for name in told.get("configmaps") or []),
        *(part for each in secrets for part in each.env_from),
    ]
    volumes = [*(order.volumes or []), *(part for each in secrets for part in each.volumes)]
    mounts = [*(order.volume_mounts or []), *(part for each in secrets for part in each.mounts)]
    return replace(
        order,
        template=template,
        command=_once("command", order.command, "cmds", told.get("cmds") or None),
        arguments=order.arguments or None,
        env=environment or None,
        env_from=sources or None,
        volumes=volumes or None,
        volume_mounts=mounts or None,
        pod_gc=_once("pod_gc", order.pod_gc, "on_finish_action", _retention(told)),
        spec=_spec(order, told),
    )


class _Secret:
    """A `Secret` of Airflow's Kubernetes provider, as what refers to it in a Pod."""

    def __init__(self, secret: Any, number: int) -> None:
        env = secret.deploy_type == "env"
        volume = f"airflow-secret-{number}"
        source = {"secretName": secret.secret} | ({"items": secret.items} if secret.items else {})
        key = {"secretKeyRef": {"name": secret.secret, "key": secret.key}}
        mount = {"name": volume, "mountPath": secret.deploy_target, "readOnly": True}
        self.env = [{"name": secret.deploy_target, "valueFrom": key}] if env and secret.key else []
        whole = env and not secret.key
        self.env_from = [{"secretRef": {"name": secret.secret}}] if whole else []
        self.volumes = [] if env else [{"name": volume, "secret": source}]
        self.mounts = [] if env else [mount]


def _template(
    order: Order, told: Mapping[str, Any], main_name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the Pod's template, and its main container: the first, as KubernetesPodOperator's."""
    pod = pod_of(told)
    if pod and order.template is not None:
        raise ValueError(f"template: given as {_source(told)}, too")
    template = pod_template(pod or order.template or {})
    metadata, spec = template.setdefault("metadata", {}), template.setdefault("spec", {})
    spec.pop("restartPolicy", None)
    main, *others = spec.get("containers") or [{}]
    main = {**main, "name": main_name}
    if told.get("ports"):
        main["ports"] = told["ports"]
    spec["containers"] = [main, *others]
    marked = {ANNOTATION_DEFAULT_CONTAINER: main_name}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **marked}
    for name, field in _OF_THE_POD.items():
        if told.get(name) not in _NOTHING:
            spec[field] = told[name]
    if told.get("init_containers"):
        spec["initContainers"] = [*(spec.get("initContainers") or []), *told["init_containers"]]
    return template, main


def _spec(order: Order, told: Mapping[str, Any]) -> Mapping[str, Any] | None:
    seconds = told.get("active_deadline_seconds")
    if seconds is None:
        return order.spec
    return {"attemptDeadlineSeconds": seconds, **(order.spec or {})}


def _retention(told: Mapping[str, Any]) -> dict[str, str] | None:
    action = told.get("on_finish_action")
    if action is None:
        if told.get("is_delete_operator_pod") is None:
            return None
        action = "delete_pod" if told["is_delete_operator_pod"] else "keep_pod"
    action = getattr(action, "value", action)
    if action not in _RETENTION:
        raise ValueError(f"on_finish_action: {action!r}: write one of {', '.join(_RETENTION)}")
    if told.get("pod_gc"):
        raise ValueError("pod_gc: given as on_finish_action, too")
    return {"strategy": _RETENTION[action]}


def _once(name: str, told: Any, other: str, translated: Any) -> Any:
    if told and translated:
        raise ValueError(f"{name}: given as {other}, too")
    return told or translated
