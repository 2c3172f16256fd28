"""Hypothesis strategies for arguments of KubernetesPodOperator, in every accepted form."""

from typing import Any

from airflow.providers.cncf.kubernetes.secret import Secret
from hypothesis import strategies as st
from kubernetes.client import ApiClient, Configuration
from kubernetes.client import models as k8s

WORDS = st.sampled_from(["alpha", "b2", "c-3"])
TEMPLATES = st.sampled_from(
    ["{{ params.word }}", "x-{{ params.word }}", "{{ params.word | upper }}"]
)
TEXTS = WORDS | TEMPLATES
RAW = st.sampled_from(["alpha", '{{- with secret "kv" -}}', "{{ .Data.value }}", "{% raw"])
"""Values for fields that are not rendered as templates."""
NAMES = st.sampled_from(["A", "B", "C", "PATH", "{{ params.name }}"])
VALUES = st.sampled_from(
    ["", "1", "$(A)", "$(B):x", "$$(A)", "$(PATH):/x", "$(", "$(C)$(A)", "{{ params.word }}"]
)
KEYS = st.sampled_from(["a", "b", "example.com/c"])
SCALARS = st.sampled_from(["alpha", "", 1, 2.5])


def optional(*forms: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for None or a value of one of the forms."""
    return st.none() | st.one_of(*forms)


def lists(items: st.SearchStrategy[Any], *, most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, max_size=most)


def built(model: Any, **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(model, **parts)


def _selector(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    reference = built(k8s.V1SecretKeySelector, name=text, key=text, optional=st.none())
    field = built(k8s.V1ObjectFieldSelector, field_path=st.just("status.podIP"))
    return built(k8s.V1EnvVarSource, secret_key_ref=reference) | built(
        k8s.V1EnvVarSource, field_ref=field
    )


def variables(text: st.SearchStrategy[str], name: st.SearchStrategy[str]) -> Any:
    plain = built(k8s.V1EnvVar, name=name, value=text | st.none())
    return plain | built(k8s.V1EnvVar, name=name, value_from=_selector(WORDS))


def _volumes() -> Any:
    sources = st.one_of(
        st.fixed_dictionaries({"empty_dir": st.just(k8s.V1EmptyDirVolumeSource())}),
        st.fixed_dictionaries({"config_map": built(k8s.V1ConfigMapVolumeSource, name=TEXTS)}),
        st.fixed_dictionaries(
            {
                "persistent_volume_claim": built(
                    k8s.V1PersistentVolumeClaimVolumeSource, claim_name=TEXTS
                )
            }
        ),
        st.fixed_dictionaries({"host_path": built(k8s.V1HostPathVolumeSource, path=RAW)}),
        st.fixed_dictionaries({"csi": built(
            k8s.V1CSIVolumeSource, driver=WORDS, volume_attributes=st.dictionaries(KEYS, RAW))}),
    )  # fmt: skip
    names = st.sampled_from(["v1", "v2", "v-{{ params.word }}"])
    return st.lists(
        st.tuples(names, sources).map(lambda each: k8s.V1Volume(name=each[0], **each[1])),
        max_size=2,
        unique_by=lambda volume: volume.name,
    )


def _mounts(paths: list[str]) -> Any:
    mount = built(
        k8s.V1VolumeMount,
        name=st.sampled_from(["v1", "v-{{ params.word }}"]),
        mount_path=st.sampled_from(paths),
        sub_path=TEXTS | st.none(),
        read_only=st.booleans() | st.none(),
    )
    return st.lists(mount, max_size=2, unique_by=lambda each: each.mount_path)


RESOURCES = st.dictionaries(st.sampled_from(["cpu", "memory"]), TEXTS, max_size=2)
TOLERATIONS = built(
    k8s.V1Toleration, key=WORDS, operator=st.just("Exists")
) | st.fixed_dictionaries(
    {"key": RAW}, optional={"tolerationSeconds": st.just("5"), "effect": st.just("NoSchedule")}
)
_TERM = {"topologyKey": "{{ raw }}"}
RAW_AFFINITY = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_TERM]}}
AFFINITY = st.sampled_from([{"nodeAffinity": {}}, RAW_AFFINITY, k8s.V1Affinity(), {}])
POD_SECURITY = st.sampled_from(
    [k8s.V1PodSecurityContext(run_as_user=1), k8s.V1PodSecurityContext(), {"fsGroup": 7}, {}]
)
SECURITY = st.sampled_from(
    [k8s.V1SecurityContext(privileged=False), k8s.V1SecurityContext(), {"runAsUser": 0}, {}]
)
INIT = built(
    k8s.V1Container,
    name=st.sampled_from(["init1", "init2"]),
    image=RAW,
    command=lists(RAW) | st.none(),
    env=lists(variables(RAW, st.sampled_from(["A", "B"]))) | st.none(),
    restart_policy=st.sampled_from([None, "Always"]),
)
SECRETS = st.one_of(
    st.builds(Secret, st.just("env"), st.sampled_from(["a", "B"]), WORDS, WORDS),
    st.builds(Secret, st.just("env"), st.none(), WORDS),
    st.builds(Secret, st.just("volume"), st.sampled_from(["/keys", "/more"]), WORDS, st.none(),
              st.sampled_from([None, [k8s.V1KeyToPath(key="k", path="p")]])),
)  # fmt: skip
PORTS = built(k8s.V1ContainerPort, container_port=st.sampled_from([80, 81]), name=WORDS | st.none())
CONTEXT_KEYS = st.dictionaries(KEYS, TEXTS | st.none(), max_size=3)

PARTS: dict[str, st.SearchStrategy[Any]] = {
    "image": optional(TEXTS, st.just("")),
    "name": optional(st.sampled_from(["pi", "Pi_task", "{{ params.word }}", "a.b"])),
    "namespace": optional(TEXTS),
    "cmds": optional(lists(TEXTS), st.just(""), st.just(("sh", "-c"))),
    "arguments": optional(lists(VALUES), st.just(())),
    "ports": optional(st.lists(PORTS, max_size=2)),
    "volume_mounts": optional(_mounts(["/a", "/b"])),
    "volumes": optional(_volumes()),
    "env_vars": optional(
        st.dictionaries(NAMES, VALUES | st.none(), max_size=4),
        lists(variables(VALUES, NAMES), most=6),
        lists(st.fixed_dictionaries({"name": NAMES, "value": VALUES}), most=6),
    ),
    "env_from": optional(lists(st.one_of(
        built(k8s.V1EnvFromSource, prefix=RAW | st.none(),
              config_map_ref=built(k8s.V1ConfigMapEnvSource, name=TEXTS)),
        built(k8s.V1EnvFromSource, secret_ref=built(k8s.V1SecretEnvSource, name=RAW)),
        st.fixed_dictionaries({"secretRef": st.fixed_dictionaries({"name": TEXTS})})))),
    "secrets": optional(st.lists(
        SECRETS, max_size=3,
        unique_by=lambda secret: secret.deploy_target if secret.deploy_type == "volume"
        else id(secret))),
    "labels": optional(CONTEXT_KEYS),
    "annotations": optional(st.dictionaries(KEYS, TEXTS, max_size=2)),
    "image_pull_policy": st.sampled_from([None, "", "Always"]),
    "container_resources": optional(
        built(k8s.V1ResourceRequirements, limits=RESOURCES | st.none(), requests=RESOURCES),
        st.just(k8s.V1ResourceRequirements()),
        st.fixed_dictionaries({"limits": RESOURCES}),
        st.just({}),
    ),
    "affinity": optional(AFFINITY),
    "runtime_class_name": optional(WORDS),
    "node_selector": optional(st.dictionaries(KEYS, TEXTS, max_size=2)),
    "image_pull_secrets": st.sampled_from([
        None, "", "a", "a,b", "a,a", [], [k8s.V1LocalObjectReference(name="a")],
        [{"name": "b"}]]),
    "service_account_name": st.sampled_from([None, "", "loader"]),
    "automount_service_account_token": st.sampled_from([None, True, False]),
    "hostnetwork": st.booleans(),
    "host_aliases": st.sampled_from([
        None, [], [k8s.V1HostAlias(ip="10.0.0.1", hostnames=["{{ raw }}"])], [{"ip": "1.1.1.1"}]]),
    "tolerations": optional(lists(TOLERATIONS), st.just(())),
    "security_context": optional(POD_SECURITY),
    "container_security_context": optional(SECURITY),
    "dnspolicy": st.sampled_from([None, "", "None"]),
    "dns_config": st.sampled_from([
        None, k8s.V1PodDNSConfig(searches=["{{ raw }}"]), k8s.V1PodDNSConfig(),
        {"nameservers": ["1.1.1.1"]}]),
    "hostname": optional(TEXTS, st.just("")),
    "subdomain": optional(RAW),
    "schedulername": optional(RAW),
    "init_containers": optional(st.lists(INIT, max_size=2, unique_by=lambda each: each.name)),
    "do_xcom_push": st.booleans(),
    "priority_class_name": st.sampled_from([None, "", "high"]),
    "pod_runtime_info_envs": optional(lists(variables(RAW, st.sampled_from(["A", "IP"])))),
    "termination_grace_period": st.sampled_from([None, 0, 5]),
    "configmaps": optional(lists(TEXTS), st.just("")),
    "active_deadline_seconds": st.sampled_from([None, 9]),
    "base_container_name": st.sampled_from([None, "", "app", "{{ params.word }}"]),
    "random_name_suffix": st.just(True),  # noqa: FBT003  # the value, not a setting
    "termination_message_policy": st.sampled_from(["File", "FallbackToLogsOnError"]),
}  # fmt: skip
"""Parameters that set fields of the Pod, without those that hold a whole Pod."""


def _map(values: st.SearchStrategy[Any]) -> Any:
    return st.dictionaries(KEYS, values, max_size=2)


def _container(name: st.SearchStrategy[str], text: Any) -> Any:
    return st.fixed_dictionaries(
        {"name": name},
        optional={
            "image": text,
            "command": st.lists(text, max_size=1),
            "args": st.lists(text, max_size=1),
            "env": st.lists(
                st.fixed_dictionaries(
                    {"name": st.sampled_from(["A", "B"])}, optional={"value": VALUES | text}
                ),
                max_size=3,
            ),
            "ports": st.just([{"containerPort": 90}]),
            "envFrom": st.just([{"secretRef": {"name": "s"}}]),
            "resources": st.just({"limits": {"cpu": "1"}}),
            "volumeMounts": st.just([{"name": "t", "mountPath": "/t"}]),
            "securityContext": st.just({"runAsUser": 3}),
            "imagePullPolicy": st.just("Never"),
            "terminationMessagePath": st.just("/t/words"),
            "terminationMessagePolicy": st.just("File"),
            "workingDir": st.just("/w"),
            "livenessProbe": st.just({"httpGet": {"port": 80}}),
        },
    )


def _spec(text: Any) -> Any:
    main = _container(st.sampled_from(["base", "main", "alpha"]), text)
    side = _container(st.just("side"), text)
    init = _container(st.sampled_from(["init1", "init3"]), text)
    return st.fixed_dictionaries(
        {"containers": st.tuples(main).map(list) | st.tuples(main, side).map(list)},
        optional={
            "initContainers": st.tuples(init).map(list),
            "volumes": st.just([{"name": "t", "emptyDir": {}}]),
            "tolerations": st.just([{"key": "t"}]),
            "nodeSelector": _map(text),
            "affinity": st.just({"nodeAffinity": {}}),
            "securityContext": st.sampled_from([{"fsGroup": 9}, {"supplementalGroups": [1]}]),
            "imagePullSecrets": st.just([{"name": "t"}]),
            "serviceAccountName": st.just("templates"),
            "automountServiceAccountToken": st.booleans(),
            "hostNetwork": st.booleans(),
            "hostIPC": st.booleans(),
            "restartPolicy": st.just("Always"),
            "dnsPolicy": st.just("Default"),
            "hostname": text,
            "priorityClassName": st.just("low"),
            "terminationGracePeriodSeconds": st.sampled_from([0, 60]),
            "activeDeadlineSeconds": st.just(30),
            "hostAliases": st.just([{"ip": "9.9.9.9"}]),
            "topologySpreadConstraints": st.just(
                [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
            ),
        },
    )


def _pods(text: Any) -> Any:
    metadata = st.fixed_dictionaries(
        {},
        optional={
            "name": st.just("templates-own"),
            "namespace": st.just("jobs"),
            "labels": _map(text),
            "annotations": _map(text),
            "finalizers": st.just(["example.com/f"]),
        },
    )
    return st.fixed_dictionaries(
        {"apiVersion": st.just("v1"), "kind": st.just("Pod"), "spec": _spec(text)},
        optional={"metadata": metadata},
    )


def model(pod: dict[str, Any]) -> Any:
    """Return the client's V1Pod for a Pod in wire form."""
    configuration = Configuration()
    configuration.client_side_validation = False
    return ApiClient(configuration)._ApiClient__deserialize_model(pod, k8s.V1Pod)


WHOLE: dict[str, st.SearchStrategy[Any]] = {
    "full_pod_spec": _pods(RAW).map(model),
    "pod_template_dict": _pods(TEXTS | SCALARS),
    "pod_template_file": _pods(RAW | SCALARS),
}
"""Parameters that hold a whole Pod; for the file, its content."""


@st.composite
def arguments(draw: st.DrawFn) -> dict[str, Any]:
    """Draw several parameters, each in one of its forms."""
    names = draw(st.lists(st.sampled_from(sorted(PARTS)), unique=True, max_size=8))
    values = {name: draw(PARTS[name]) for name in names}
    kinds = [("full_pod_spec",), ("pod_template_dict",), ("pod_template_file",),
             ("pod_template_dict", "full_pod_spec"), ()]  # fmt: skip
    return values | {name: draw(WHOLE[name]) for name in draw(st.sampled_from(kinds))}
