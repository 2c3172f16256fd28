"""Construction of an attempt's Pod from site defaults, template and shorthand fields."""

from collections.abc import Callable, Mapping
from typing import Any

from taskruns.api import names
from taskruns.api.v1alpha1 import TaskRun, TaskRunSpec
from taskruns.core.defaults import SiteDefaults
from taskruns.core.facts import main_name
from taskruns.core.unstructured import mapping, mappings, strings

_MAIN_FIELDS = (
    "image",
    "command",
    "args",
    "workingDir",
    "env",
    "envFrom",
    "resources",
    "volumeMounts",
    "imagePullPolicy",
    "securityContext",
)
_POD_FIELDS = (
    "volumes",
    "serviceAccountName",
    "imagePullSecrets",
    "nodeSelector",
    "tolerations",
    "affinity",
    "priorityClassName",
)
"""The shorthand: fields of a TaskRun's spec that are copied to main and to the Pod."""

_LAST_WORDS = {"terminationMessagePolicy": "FallbackToLogsOnError"}
"""Makes the kubelet report the end of a failed container's log; set on main and init containers."""

_NO_RESTART = "must be Never or left out: use backoffLimit for retries"

NO_DEFAULTS = SiteDefaults()
"""The built-in defaults, without any setting of an administrator."""


class InvalidTemplate(Exception):
    """No Pod can be built from the run; the message says what to write instead."""


def build_pod(run: TaskRun, attempt: int, site: SiteDefaults = NO_DEFAULTS) -> dict[str, Any]:
    """Build the Pod of one attempt: site defaults < template < shorthand (design.md, Merge).

    Args:
        run: the run.
        attempt: number of the attempt, from 1.
        site: the administrator's defaults.

    Returns:
        dict[str, Any]: the manifest of the Pod, with finalizer, gate and ownerReference.

    Raises:
        InvalidTemplate: there is no main container, or the template or the site's Pod template sets
            a field that is refused.
    """
    template = mapping(run.spec.template)
    metadata, spec = mapping(template.get("metadata")), mapping(template.get("spec"))
    annotations = mapping(metadata.get("annotations"))
    main = _name_main(run.spec, spec, annotations)
    _refuse(spec, main)
    below = mapping(site.pod_template.get("metadata"))
    over_site = _over_site(site, spec, main)
    refuse_restarts(over_site, main, "taskPodDefaults.spec")
    annotations = merge_keys(mapping(below.get("annotations")), annotations)
    labels = merge_keys(mapping(below.get("labels")), mapping(metadata.get("labels")))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": names.pod_name(run.metadata.name, run.metadata.uid, attempt),
            "namespace": run.metadata.namespace,
            "labels": {**labels, **_own_labels(run, attempt)},
            "annotations": {**annotations, names.ANNOTATION_DEFAULT_CONTAINER: main},
            "finalizers": [*strings(metadata.get("finalizers")), names.FINALIZER_OUTCOME],
            "ownerReferences": [_owner(run)],
        },
        "spec": _pod_spec(run, over_site, main, attempt),
    }


def _refuse(spec: Any, main: str) -> None:
    if spec.get("nodeName"):
        raise InvalidTemplate(
            "template.spec.nodeName bypasses the scheduler: use nodeSelector or affinity"
        )
    if spec.get("restartPolicy") not in (None, "Never"):
        raise InvalidTemplate(f"template.spec.restartPolicy {_NO_RESTART}")
    refuse_restarts(spec, main, "template.spec")


def refuse_restarts(spec: Any, main: str, where: str) -> None:
    """Check that the kubelet never restarts the main container in place.

    Other containers may be restarted, unless one of their rules restarts all containers.

    Args:
        spec: the PodSpec.
        main: name of the main container.
        where: path of the PodSpec, which messages put before the name of a container.

    Raises:
        InvalidTemplate: a restart policy of a container would restart main.
    """
    for part in ("initContainers", "containers"):
        for container in mappings(spec.get(part)):
            name, rules = container.get("name"), container.get("restartPolicyRules")
            place = f"{where}.{part}[{name}]"
            if part == "containers" and name == main:
                if container.get("restartPolicy") not in (None, "Never"):
                    raise InvalidTemplate(f"{place}.restartPolicy {_NO_RESTART}")
                if rules:
                    raise InvalidTemplate(
                        f"{place}.restartPolicyRules must be left out: use backoffLimit for retries"
                    )
            if any(rule.get("action") == "RestartAllContainers" for rule in mappings(rules)):
                raise InvalidTemplate(
                    f"{place}.restartPolicyRules must not have the action RestartAllContainers, "
                    "which repeats the main container: use backoffLimit for retries"
                )


def _name_main(spec: TaskRunSpec, template: Any, annotations: Any) -> str:
    containers = mappings(template.get("containers"))
    if not containers:
        if not spec.image:
            raise InvalidTemplate("set spec.image, or a container in template.spec.containers")
        return names.MAIN_CONTAINER
    main = main_name(containers, annotations)
    if not main:
        raise InvalidTemplate(
            "template.spec.containers has several containers and none of them is the main one: "
            f"call one {names.MAIN_CONTAINER}, or name it in the template's annotation "
            f"{names.ANNOTATION_DEFAULT_CONTAINER}"
        )
    return main


def _over_site(site: SiteDefaults, template: Any, main: str) -> dict[str, Any]:
    """Merge the template over the site's PodSpec; drop containers that only the site names."""
    below = mapping(site.pod_template.get("spec"))
    kept = {main, *(each.get("name") for each in mappings(template.get("containers")))}
    containers = [each for each in mappings(below.get("containers")) if each.get("name") in kept]
    rest = {field: value for field, value in below.items() if field != "containers"}
    return merge_pod_spec(rest | ({"containers": containers} if containers else {}), template)


def _own_labels(run: TaskRun, attempt: int) -> dict[str, str]:
    propagated = {
        key: value
        for key, value in run.metadata.labels.items()
        if key.startswith(names.PROPAGATED_LABEL_PREFIX)
    }
    own = {
        names.LABEL_UID: run.metadata.uid,
        names.LABEL_NAME: run.metadata.name,
        names.LABEL_ATTEMPT: str(attempt),
        names.LABEL_MANAGED_BY: names.MANAGER,
    }
    return propagated | own


def _owner(run: TaskRun) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": run.metadata.name,
        "uid": run.metadata.uid,
        "controller": True,
        # Foreground deletion of the TaskRun waits for the Pod, as in Job.
        "blockOwnerDeletion": True,
    }


def _pod_spec(run: TaskRun, template: Any, main: str, attempt: int) -> dict[str, Any]:
    shorthand = run.spec.to_json()
    over = {field: shorthand[field] for field in _POD_FIELDS if field in shorthand}
    over["containers"] = [_main_container(run.spec, shorthand, main)]
    spec = merge_pod_spec(template, over)
    spec["containers"] = [
        _completed(container, run, attempt) if container.get("name") == main else container
        for container in mappings(spec["containers"])
    ]
    if inits := mappings(spec.get("initContainers")):
        spec["initContainers"] = [_LAST_WORDS | dict(container) for container in inits]
    gates = [*mappings(spec.get("schedulingGates")), {"name": names.GATE_CLAIM}]
    return _hardened(spec) | {"restartPolicy": "Never", "schedulingGates": gates}


def _main_container(spec: TaskRunSpec, shorthand: dict[str, Any], main: str) -> dict[str, Any]:
    fields = {field: shorthand[field] for field in _MAIN_FIELDS if field in shorthand}
    if spec.result_path is not None:
        fields["terminationMessagePath"] = spec.result_path
    return {"name": main, **fields}


def _completed(main: Any, run: TaskRun, attempt: int) -> dict[str, Any]:
    """Add defaults to main: its identity as environment, and the end of the log on failure."""
    identity = {
        "TASKRUN_NAME": run.metadata.name,
        "TASKRUN_NAMESPACE": run.metadata.namespace,
        "TASKRUN_UID": run.metadata.uid,
        "TASKRUN_ATTEMPT": str(attempt),
    }
    env = [{"name": name, "value": value} for name, value in identity.items()]
    return {
        **_LAST_WORDS,
        **main,
        "env": merge_container({"env": env}, {"env": main.get("env")})["env"],
    }


def _hardened(spec: dict[str, Any]) -> dict[str, Any]:
    """Add secure defaults to unset fields: no API token, the runtime's seccomp profile."""
    hardened = dict(spec)
    if not spec.get("serviceAccountName") and not spec.get("serviceAccount"):
        hardened.setdefault("automountServiceAccountToken", False)
    context = mapping(spec.get("securityContext"))
    if "seccompProfile" not in context and mapping(spec.get("os")).get("name") != "windows":
        hardened["securityContext"] = {**context, "seccompProfile": {"type": "RuntimeDefault"}}
    return hardened


Part = Mapping[str, Any]
Merge = Callable[[Any, Any], Any]


def merge_pod_spec(base: Part, over: Part) -> dict[str, Any]:
    """Merge one PodSpec over another (design.md, Merge)."""
    return _merge_fields(base, over, _POD_RULES)


def merge_container(base: Part, over: Part) -> dict[str, Any]:
    """Merge one container over another, field by field."""
    return _merge_fields(base, over, _CONTAINER_RULES)


def merge_keys(base: Any, over: Any) -> Any:
    """Merge labels, annotations or node selectors, key by key."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **over}
    return over


def _merge_fields(base: Part, over: Part, rules: Mapping[str, Merge]) -> dict[str, Any]:
    merged = dict(base)
    for field, value in over.items():
        if value is None:
            continue
        before = merged.get(field)
        rule = rules.get(field)
        merged[field] = value if before is None or rule is None else rule(before, value)
    return merged


def _by(key: str, merge: Merge = lambda _, over: over) -> Merge:
    """Return a merge of lists of objects by a key field; items keep the order of first occurrence.

    Args:
        key: name of the field that identifies an item.
        merge: merges two items with the same key; by default the upper one replaces the lower one.
    """

    def merged(base: Any, over: Any) -> Any:
        if not _are_keyed(base, key) or not _are_keyed(over, key):
            return over
        items = {item[key]: item for item in base}
        for item in over:
            before = items.get(item[key])
            items[item[key]] = item if before is None else merge(before, item)
        return list(items.values())

    return merged


def _are_keyed(items: Any, key: str) -> bool:
    if not isinstance(items, list | tuple):
        return False
    return all(isinstance(item, Mapping) and isinstance(item.get(key), str) for item in items)


def _united(base: Any, over: Any) -> Any:
    if not isinstance(base, list | tuple) or not isinstance(over, list | tuple):
        return over
    return [*base, *(item for item in over if item not in base)]


_CONTAINER_RULES: Mapping[str, Merge] = {"env": _by("name"), "volumeMounts": _by("mountPath")}

_POD_RULES: Mapping[str, Merge] = {
    "containers": _by("name", merge_container),
    "initContainers": _by("name", merge_container),
    "volumes": _by("name"),
    "imagePullSecrets": _by("name"),
    "nodeSelector": merge_keys,
    "tolerations": _united,
}
