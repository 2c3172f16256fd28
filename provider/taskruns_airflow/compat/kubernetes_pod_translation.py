"""Pure functions that translate KubernetesPodOperator's parameters into fields of a TaskRun."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Any

from taskruns.api.names import ANNOTATION_DEFAULT_CONTAINER
from taskruns_airflow.argument_types import check_template, mapping_of
from taskruns_airflow.compat.pod_forms import RETENTION, is_pending, wrong_forms
from taskruns_airflow.compat.pod_reconciliation import is_model, reconcile_pods, typed, unique_env
from taskruns_airflow.manifest import Order
from taskruns_airflow.spec_fields import Part, arguments_of, env_vars, loaded, plain, pod_template

_SOURCES = ("pod_template_file", "pod_template_dict")
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
    "active_deadline_seconds": "activeDeadlineSeconds",
    "service_account_name": "serviceAccountName",
    "priority_class_name": "priorityClassName",
    "node_selector": "nodeSelector",
    "affinity": "affinity",
    "tolerations": "tolerations",
    "volumes": "volumes",
    "init_containers": "initContainers",
}
"""PodSpec field of each parameter that sets one."""

_OF_THE_CONTAINER = {
    "image": "image",
    "cmds": "command",
    "arguments": "args",
    "ports": "ports",
    "volume_mounts": "volumeMounts",
    "container_resources": "resources",
    "image_pull_policy": "imagePullPolicy",
    "container_security_context": "securityContext",
}
"""Container field of each parameter that sets one of main."""

_READ_AS = {"affinity": "V1Affinity", "tolerations": "V1Toleration"}
"""Client class of each parameter whose dicts KubernetesPodOperator reads through the client."""

EARLIER_NAMES = {"node_selectors": "node_selector", "xcom_push": "do_xcom_push"}
"""Present name of each parameter that was renamed, by its former name."""

Pod = dict[str, Any]


def refusals(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each value that is refused when a DAG is parsed.

    Args:
        arguments: The arguments; `base_container_name` is the name of main.
    """
    for earlier, now in EARLIER_NAMES.items():
        if arguments.get(earlier) is not None and arguments.get(now) is not None:
            yield f"{now}: set both by this name and as {earlier}; remove one of the two"
    if arguments.get("command") and arguments.get("cmds"):
        yield "command: set both by this name and as cmds; remove one of the two"
    if arguments.get("init_container_logs") and arguments.get("get_logs") is False:
        yield "init_container_logs: contradicts get_logs=False; remove one of the two"
    sentences = list(wrong_forms(arguments, rendered=False))
    yield from sentences
    for check in (_one_template, _retention, _check_pods, *(() if sentences else (_check_env,))):
        try:
            check(arguments)
        except ValueError as refusal:
            yield str(refusal)


def pod_of(arguments: Mapping[str, Any]) -> Pod:
    """Return the Pod template over which the other parameters are merged; empty without one.

    Raises:
        ValueError: Two templates are given, or one that cannot be read or run.
    """
    pod: Pod = {}
    if source := _one_template(arguments):
        pod = _read(source, arguments[source])
        check_template(source, pod)
        _check_pod(source, pod, arguments)
    if arguments.get("full_pod_spec"):
        over = plain(arguments["full_pod_spec"])
        check_template("full_pod_spec", over)
        pod = reconcile_pods(pod, over)
        _check_pod("full_pod_spec", pod, arguments)
    return pod


def translate(order: Order, arguments: Mapping[str, Any]) -> Order:
    """Return the Order of a TaskRun with the same Pod as KubernetesPodOperator's.

    Args:
        order: The arguments of TaskRunOperator.
        arguments: The parameters of KubernetesPodOperator, with rendered templates;
            `base_container_name` is the name of main.

    Raises:
        ValueError: Two parameters contradict each other, or one has an invalid form.
    """
    if sentences := list(wrong_forms(arguments, rendered=True)):
        raise ValueError("; ".join(sentences))
    base = pod_of(arguments)
    if base and order.template is not None:
        raise ValueError(
            "template: cannot be combined with a Pod template or full_pod_spec; remove one of them"
        )
    base = base or pod_template(plain(order.template) or {})
    pod = reconcile_pods(_without_replaced(base, arguments), _own_pod(order, arguments))
    main = pod["spec"]["containers"][0]
    _attach_secrets(pod["spec"], main, arguments.get("secrets") or ())
    main["env"] = unique_env(main.get("env") or [])
    deadline = pod["spec"].get("activeDeadlineSeconds")
    own_spec = mapping_of("spec", order.spec)
    template, shorthand = _template_and_shorthand(pod, own_spec)
    return replace(
        order,
        template=template,
        labels=_texts(arguments.get("labels")),
        annotations=_texts(arguments.get("annotations")),
        pod_gc=_once("pod_gc", order.pod_gc, "on_finish_action", _retention(arguments)),
        spec=_with_deadline(own_spec, deadline),
        **shorthand,
    )


def _one_template(arguments: Mapping[str, Any]) -> str | None:
    """Return the name of the parameter that holds or names a Pod template, or None."""
    named = [name for name in _SOURCES if arguments.get(name)]
    if len(named) > 1:
        raise ValueError(f"{' and '.join(named)}: are both set; remove one of the two")
    pods = [*named, *(["full_pod_spec"] if arguments.get("full_pod_spec") else ())]
    if pods and arguments.get("template") is not None:
        raise ValueError(f"template: cannot be combined with {pods[0]}; remove one of the two")
    return named[0] if named else None


def _check_pods(arguments: Mapping[str, Any]) -> None:
    for source in ("pod_template_dict", "full_pod_spec"):
        if isinstance(pod := plain(arguments.get(source)), Mapping):
            _check_pod(source, pod, arguments)


def _check_pod(source: str, pod: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """Refuse fields of a whole Pod that a TaskRun's Pod cannot have."""
    spec, metadata = _mapping(pod.get("spec")), _mapping(pod.get("metadata"))
    if spec.get("nodeName"):
        raise ValueError(
            f"{source}: nodeName bypasses the scheduler; use node_selector or affinity"
        )
    if metadata.get("ownerReferences"):
        raise ValueError(
            f"{source}: ownerReferences are not supported, because a Pod belongs to its TaskRun; "
            "remove them, or set them on the TaskRun with mutate"
        )
    containers = spec.get("containers")
    further = containers[1:] if isinstance(containers, list) else ()
    other_names = [_mapping(each).get("name") for each in further]
    if (main := arguments.get("base_container_name")) in other_names:
        raise ValueError(
            f"{source}: its first container is renamed to {main}, and another one has that name; "
            "move that one to the front, or set base_container_name"
        )


def _check_env(arguments: Mapping[str, Any]) -> None:
    """Refuse a variable with two definitions that cannot be combined."""
    env = arguments.get("env_vars")
    if isinstance(env, list | tuple) and not any(is_pending(item) for item in env):
        unique_env(_env(env))


def _read(source: str, value: Any) -> Pod:
    try:
        if source == "pod_template_file":
            value = loaded(Path(value).read_text())
        if value is not None and not isinstance(value, Mapping):
            raise ValueError("is not a Pod")  # noqa: TRY301  # handled like the other errors below
        return typed(value or {}, "V1Pod")
    except OSError as error:
        raise ValueError(f"{source}: {error.strerror}: {value}") from None
    except ValueError as error:
        raise ValueError(f"{source}: {str(error).removeprefix('template: ')}") from None


def _own_pod(order: Order, arguments: Mapping[str, Any]) -> Pod:
    """Return the Pod that the parameters alone describe."""
    container = _fields(arguments, _OF_THE_CONTAINER)
    command = _once("command", order.command, "cmds", container.get("command"))
    configmaps = [{"configMapRef": {"name": name}} for name in arguments.get("configmaps") or ()]
    container |= {
        "name": arguments["base_container_name"],
        "command": command,
        "workingDir": order.working_dir,
        "env": [
            *env_vars(plain(order.env) or ()),
            *_env(arguments.get("env_vars") or ()),
            *_env(arguments.get("pod_runtime_info_envs") or ()),
        ],
        "envFrom": [*plain(list(arguments.get("env_from") or ())), *configmaps],
    }
    spec = _fields(arguments, _OF_THE_POD) | {
        "containers": [container],
        "imagePullSecrets": _pull_secrets(arguments.get("image_pull_secrets") or ()),
    }
    metadata = {part: _texts(arguments.get(part)) for part in ("labels", "annotations")}
    return {"metadata": metadata, "spec": spec}


def _fields(arguments: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    values = {field: _wire(name, arguments.get(name)) for name, field in fields.items()}
    return {field: value for field, value in values.items() if value not in (None, "", [])}


def _wire(name: str, value: Any) -> Any:
    """Return a parameter's value in wire form."""
    if name == "node_selector":
        return _texts(value)
    if model := _READ_AS.get(name):
        if isinstance(value, Mapping):
            return typed(value, model)
        if value and not is_model(value):
            return [typed(i, model) if isinstance(i, Mapping) else plain(i) for i in value]
    scalar = value is None or isinstance(value, str | int | Mapping) or is_model(value)
    return plain(value if scalar else list(value))


def _without_replaced(base: Mapping[str, Any], arguments: Mapping[str, Any]) -> Pod:
    """Remove from the template each field whose parameter is a Kubernetes client object.

    Such an object replaces the whole field, even if the object is empty.
    """
    spec = {**_mapping(base.get("spec"))}
    containers = spec.get("containers") or [{}]
    first, rest = {**containers[0]}, containers[1:]
    for part, fields in ((spec, _OF_THE_POD), (first, _OF_THE_CONTAINER)):
        for name, field in fields.items():
            if is_model(arguments.get(name)):
                part.pop(field, None)
    return {**base, "spec": {**spec, "containers": [first, *rest]}}


def _env(env: Any) -> list[dict[str, Any]]:
    if isinstance(env, Mapping):
        return [{"name": str(name), **_env_value(value)} for name, value in env.items()]
    return [
        {**item, **({"value": str(item["value"])} if item.get("value") is not None else {})}
        for item in plain(list(env))
    ]


def _env_value(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    return {"valueFrom": plain(value)} if isinstance(value, Mapping) else {"value": str(value)}


def _texts(values: Any) -> dict[str, str] | None:
    if not values:
        return None
    return {str(k): "" if value is None else str(value) for k, value in values.items()}


def _pull_secrets(secrets: Any) -> list[dict[str, Any]]:
    items = secrets.split(",") if isinstance(secrets, str) else plain(list(secrets))
    named = [{"name": item.strip()} if isinstance(item, str) else item for item in items]
    return list({item["name"]: item for item in named if item.get("name")}.values())


def _attach_secrets(spec: Pod, main: dict[str, Any], secrets: Any) -> None:
    """Add each `Secret` of Airflow's Kubernetes provider as a volume, envFrom or variable."""
    for number, secret in enumerate(secrets):
        if secret.deploy_type == "volume":
            taken = {each.get("name") for each in spec.get("volumes") or ()}
            names = (f"airflow-secret-{free}" for free in count(number))
            name = next(each for each in names if each not in taken)
            items = {"items": plain(secret.items)} if secret.items else {}
            volume = {"name": name, "secret": {"secretName": secret.secret, **items}}
            mount = {"name": name, "mountPath": secret.deploy_target, "readOnly": True}
            spec["volumes"] = [*(spec.get("volumes") or ()), volume]
            main["volumeMounts"] = [*(main.get("volumeMounts") or ()), mount]
        elif secret.key is None:
            source = {"secretRef": {"name": secret.secret}}
            main["envFrom"] = [*(main.get("envFrom") or ()), source]
        else:
            key = {"secretKeyRef": {"name": secret.secret, "key": secret.key}}
            variable = {"name": secret.deploy_target, "valueFrom": key}
            main["env"] = [*(main.get("env") or ()), variable]


def _template_and_shorthand(
    pod: Mapping[str, Any], own_spec: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a Pod into a TaskRun's template and the fields that are arguments of TaskRunOperator.

    A field that the task sets in `spec` stays in the template.
    """
    dropped = {"restartPolicy", "activeDeadlineSeconds", "containers"}
    spec = {field: value for field, value in pod["spec"].items() if field not in dropped}
    first, *rest = pod["spec"]["containers"]
    main = {field: v for field, v in first.items() if field != "terminationMessagePolicy"}
    shorthand: dict[str, Any] = {}
    for part, fields in ((main, arguments_of(Part.CONTAINER)), (spec, arguments_of(Part.POD))):
        for field, argument in fields.items():
            moved = None if field in own_spec else part.pop(field, None)
            shorthand[argument] = moved or None
    metadata = {
        field: value
        for field, value in pod["metadata"].items()
        if field in {"labels", "annotations", "finalizers"} and value
    }
    marked = {ANNOTATION_DEFAULT_CONTAINER: main["name"]}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **marked}
    containers = [_without_empty(main), *rest]
    template_spec = {**_without_empty(spec), "containers": containers}
    return {"metadata": metadata, "spec": template_spec}, shorthand


def _without_empty(part: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in part.items() if value not in (None, "", [])}


def _with_deadline(spec: Mapping[str, Any], seconds: int | None) -> Mapping[str, Any]:
    if seconds is None:
        return spec
    limit = spec.get("activeDeadlineSeconds") or seconds
    return {"attemptDeadlineSeconds": min(seconds, limit), **spec}


def _retention(arguments: Mapping[str, Any]) -> dict[str, str] | None:
    action, deletes = arguments.get("on_finish_action"), arguments.get("is_delete_operator_pod")
    action = action.value if isinstance(action, Enum) else action
    if isinstance(deletes, bool):
        former = "delete_pod" if deletes else "keep_pod"
        if action not in (None, former):
            raise ValueError(
                f"on_finish_action: contradicts is_delete_operator_pod={deletes}, which means "
                f"{former}; remove one of the two"
            )
        action = former
    if not isinstance(action, str) or action not in RETENTION:
        return None  # not given, or refused by pod_forms
    if arguments.get("pod_gc"):
        raise ValueError("pod_gc: cannot be combined with on_finish_action; remove one of the two")
    return {"strategy": RETENTION[action]}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _once(name: str, own: Any, other_name: str, translated: Any) -> Any:
    if own and translated:
        raise ValueError(
            f"{name}: set both by this name and as {other_name}; remove one of the two"
        )
    return own or translated
