"""The messages that the engine parses are those of a real apiserver: each refusal is provoked."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from taskruns.core.plan import PodRef, Refusal, RefusalKind
from taskruns.engines.engine import AlreadyExists, Refused
from taskruns.engines.kubernetes import KubernetesEngine, connect
from tests.cluster import Cluster
from tests.operator.conftest import Submit
from tests.support.cluster.client import NAMESPACES, PODS, Kube, Object, Resource
from tests.support.cluster.watch_recorder import WatchRecorder

QUOTAS = Resource("/api/v1", "resourcequotas")
WEBHOOKS = Resource(
    "/apis/admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", namespaced=False
)
GATE = [{"name": "taskruns.dev/claim"}]


@pytest.fixture
async def engine(cluster: Cluster) -> AsyncIterator[KubernetesEngine]:
    connection = await connect(str(cluster.kubeconfig), None, 4)
    yield KubernetesEngine(connection)
    await connection.close()


def a_pod(namespace: str, name: str = "hello", **spec: Any) -> Object:
    main = {"name": "main", "image": "busybox:1", **spec.pop("main", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [main], "schedulingGates": GATE, "restartPolicy": "Never", **spec},
    }


async def refusal(engine: KubernetesEngine, pod: Object) -> tuple[RefusalKind, str]:
    with pytest.raises(Refused) as raised:
        await engine.create_pod(pod)
    refused = raised.value.refusal
    assert "\n" not in refused.message
    return refused.kind, refused.message


@pytest.mark.guarantee(
    "A create without its service account is retried for a minute, then the run ends as "
    "`ServiceAccountNotFound`"
)
@pytest.mark.parametrize(
    ("spec", "kind", "expected"),
    [
        ({"imagee": "x"}, RefusalKind.INVALID, 'unknown field "spec.imagee"'),
        ({"restartPolicy": "Sometimes"}, RefusalKind.INVALID, "Unsupported value"),
        ({"priorityClassName": "gold"}, RefusalKind.FORBIDDEN, "no PriorityClass"),
        ({"serviceAccountName": "nobody"}, RefusalKind.NO_SERVICE_ACCOUNT, '"nobody" not found'),
        ({"runtimeClassName": "gold"}, RefusalKind.FORBIDDEN, "RuntimeClass"),
    ],
)
async def test_an_invalid_or_forbidden_pod_is_refused(
    engine: KubernetesEngine, namespace: str, spec: Object, kind: RefusalKind, expected: str
) -> None:
    actual, message = await refusal(engine, a_pod(namespace, **spec))
    assert actual == kind
    assert expected in message


async def test_an_existing_pod_name_is_reported_as_existing(
    engine: KubernetesEngine, namespace: str
) -> None:
    await engine.create_pod(a_pod(namespace))
    with pytest.raises(AlreadyExists):
        await engine.create_pod(a_pod(namespace))


async def test_a_missing_namespace_is_reported_as_terminating(engine: KubernetesEngine) -> None:
    kind, _ = await refusal(engine, a_pod("nowhere-at-all"))
    assert kind == RefusalKind.NAMESPACE_TERMINATING


@pytest.fixture
def terminating_namespace(kube: Kube, namespace: str) -> Iterator[str]:
    """Provide a terminating namespace that a held Pod keeps from being deleted."""
    pod = a_pod(namespace, "held")
    pod["metadata"]["finalizers"] = ["example.test/hold"]
    kube.create(PODS, namespace, pod)
    kube.delete(NAMESPACES, None, namespace)
    yield namespace
    kube.merge(PODS, namespace, "held", {"metadata": {"finalizers": None}})


@pytest.mark.guarantee(
    "In a namespace that is terminating or gone nothing is created; the run is deleted with it"
)
async def test_a_terminating_namespace_refuses_pods(
    engine: KubernetesEngine, terminating_namespace: str
) -> None:
    kind, _ = await refusal(engine, a_pod(terminating_namespace))
    assert kind == RefusalKind.NAMESPACE_TERMINATING


async def test_pod_security_refuses_a_pod(
    engine: KubernetesEngine, kube: Kube, namespace: str
) -> None:
    enforced = {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    kube.merge(NAMESPACES, None, namespace, {"metadata": enforced})
    kind, message = await refusal(engine, a_pod(namespace))
    assert kind == RefusalKind.FORBIDDEN
    assert "violates PodSecurity" in message


def set_quota(cluster: Cluster, kube: Kube, namespace: str, **hard: str) -> None:
    """Set a quota and wait until it is counted; until then every create is refused."""
    quota = {"metadata": {"name": "small"}, "spec": {"hard": hard}}
    kube.create(QUOTAS, namespace, quota)
    ready = "jsonpath={.status.hard}"
    cluster.kubectl("wait", "-n", namespace, "resourcequota/small", f"--for={ready}")


async def test_an_exhausted_quota_is_quota_exceeded(
    engine: KubernetesEngine, cluster: Cluster, kube: Kube, namespace: str
) -> None:
    set_quota(cluster, kube, namespace, pods="1")
    first = await engine.create_pod(a_pod(namespace))
    kind, message = await refusal(engine, a_pod(namespace, "another"))
    assert kind == RefusalKind.QUOTA_EXCEEDED
    assert "exceeded quota: small" in message
    await engine.delete_pod(PodRef(namespace, "hello", first["metadata"]["uid"]))


@pytest.mark.guarantee(
    "A quota that can never be met ends the run as `AdmissionRefused` at once, without another "
    "create"
)
async def test_a_quota_that_can_never_be_met_is_forbidden(
    engine: KubernetesEngine, cluster: Cluster, kube: Kube, namespace: str
) -> None:
    set_quota(cluster, kube, namespace, **{"requests.cpu": "500m"})
    container = {"resources": {"requests": {"cpu": "1"}}}
    kind, message = await refusal(engine, a_pod(namespace, main=container))
    assert kind == RefusalKind.FORBIDDEN
    assert "requested: requests.cpu=1" in message


@pytest.mark.guarantee(
    "A quota that can never be met ends the run as `AdmissionRefused` at once, without another "
    "create"
)
async def test_a_pod_without_the_limits_of_its_quota_is_forbidden(
    engine: KubernetesEngine, cluster: Cluster, kube: Kube, namespace: str
) -> None:
    set_quota(cluster, kube, namespace, **{"limits.memory": "1Gi"})
    kind, message = await refusal(engine, a_pod(namespace))
    assert kind == RefusalKind.FORBIDDEN
    assert "must specify limits.memory" in message


@dataclass(frozen=True, slots=True)
class AbsentWebhook:
    """A webhook whose server does not exist, and the apiserver's refusal of the first Pod."""

    name: str
    kind: RefusalKind
    message: str


async def first_refusal(engine: KubernetesEngine, namespace: str) -> Refusal:
    """Create Pods and delete them again until one is refused."""
    while True:
        try:
            created = await engine.create_pod(a_pod(namespace))
        except Refused as refused:
            return refused.refusal
        await engine.delete_pod(PodRef(namespace, "hello", created["metadata"]["uid"]))


@pytest.fixture
async def webhook(
    engine: KubernetesEngine, kube: Kube, namespace: str
) -> AsyncIterator[AbsentWebhook]:
    """Provide a webhook for the namespace's Pods; the apiserver uses it after a short delay."""
    name = f"absent.{namespace}.test"
    rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"]}
    webhook = {
        "name": name,
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [{**rule, "resources": ["pods"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    kube.create(WEBHOOKS, None, {"metadata": {"name": name}, "webhooks": [webhook]})
    refused = await first_refusal(engine, namespace)
    yield AbsentWebhook(name, refused.kind, refused.message)
    kube.delete(WEBHOOKS, None, name)


def test_an_unavailable_webhook_is_webhook_failed(webhook: AbsentWebhook) -> None:
    assert webhook.kind == RefusalKind.WEBHOOK_FAILED
    assert f'failed calling webhook "{webhook.name}"' in webhook.message


@pytest.mark.guarantee(
    "A create whose admission webhook does not respond is retried for a minute, then the run ends "
    "as `WebhookFailed`"
)
@pytest.mark.usefixtures("controller")
def test_a_run_waits_for_an_unavailable_webhook(
    kube: Kube, webhook: AbsentWebhook, submit: Submit, watch_recorder: WatchRecorder
) -> None:
    uid = submit("true")["metadata"]["uid"]

    def status_in(phase: str) -> Object | None:
        last = watch_recorder.last(uid)
        status: Object = (last.found.get("status") or {}) if last else {}
        return status if status.get("phase") == phase else None

    status = watch_recorder.wait(lambda: status_in("Queued"), 30, "it is Queued")
    assert status["reason"] == "WebhookFailed"
    assert webhook.name in status["message"]
    kube.delete(WEBHOOKS, None, webhook.name)
    assert watch_recorder.wait(lambda: status_in("Succeeded"), 60, "it has ended")["attempt"] == 1
