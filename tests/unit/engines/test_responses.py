"""Every response of the apiserver in design.md, Errors of create, with its own text."""

import pytest

from taskruns.core.plan import RefusalKind
from taskruns.engines.engine import AlreadyExists, Conflict, EngineError, Refused, Unavailable
from taskruns.engines.kubernetes import responses
from taskruns.engines.kubernetes.responses import Response

POD = 'pods "hello-1" is forbidden: '


def status(code: int, message: str = "", reason: str = "", **details: object) -> Response:
    return Response(code, {"message": message, "reason": reason, "details": details})


FORBIDDEN = {
    "quota that is used up now": (
        "exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3",
        RefusalKind.QUOTA_EXCEEDED,
    ),
    "quota of several, used up now": (
        "exceeded quota: q, requested: cpu=1,pods=1, used: cpu=3,pods=1, limited: cpu=3,pods=3",
        RefusalKind.QUOTA_EXCEEDED,
    ),
    "quota below the request": (
        "exceeded quota: q, requested: limits.cpu=1500m, used: limits.cpu=0, limited: limits.cpu=1",
        RefusalKind.FORBIDDEN,
    ),
    "quota of none": (
        "exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0",
        RefusalKind.FORBIDDEN,
    ),
    "quota in words not known": ("exceeded quota: all of it", RefusalKind.QUOTA_EXCEEDED),
    "quota that wants a limit": (
        "failed quota: q: must specify limits.memory for: main",
        RefusalKind.FORBIDDEN,
    ),
    "Pod Security": (
        'violates PodSecurity "restricted:latest": runAsNonRoot != true',
        RefusalKind.FORBIDDEN,
    ),
    "priority class": ("no PriorityClass with name gold was found", RefusalKind.FORBIDDEN),
    "limit range": (
        "maximum cpu usage per Container is 1, but limit is 2",
        RefusalKind.FORBIDDEN,
    ),
    "service account": (
        'error looking up service account team/runner: serviceaccount "runner" not found',
        RefusalKind.NO_SERVICE_ACCOUNT,
    ),
}


@pytest.mark.parametrize("case", FORBIDDEN)
def test_a_forbidden_create_is_classified(case: str) -> None:
    message, kind = FORBIDDEN[case]
    error = responses.create_error(status(403, POD + message, "Forbidden"))
    assert isinstance(error, Refused)
    assert error.refusal.kind == kind
    assert error.refusal.message == POD + message


TOO_LARGE_FOR_ETCD = status(500, "etcdserver: request is too large", "InternalError")
REFUSED = {
    "a field that does not exist": (
        status(400, 'strict decoding error: unknown field "spec.imagee"', "BadRequest"),
        RefusalKind.INVALID,
    ),
    "a value that is not valid": (status(422, "is invalid", "Invalid"), RefusalKind.INVALID),
    "a request too large": (status(413, "limit is 3145728"), RefusalKind.INVALID),
    "an object too large": (TOO_LARGE_FOR_ETCD, RefusalKind.INVALID),
    "a policy of the cluster": (
        status(
            422,
            POD + "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
            "Invalid",
        ),
        RefusalKind.FORBIDDEN,
    ),
    "a webhook's no": (
        status(403, 'admission webhook "w" denied the request: no', "Forbidden"),
        RefusalKind.FORBIDDEN,
    ),
    "a webhook's no in a word of its own": (
        status(400, 'admission webhook "w" denied the request: no', "BadRequest"),
        RefusalKind.FORBIDDEN,
    ),
    "a webhook that does not answer": (
        status(500, 'failed calling webhook "w": connection refused', "InternalError"),
        RefusalKind.WEBHOOK_FAILED,
    ),
    "a webhook's own trouble": (
        status(503, 'admission webhook "w" denied the request: my database is away'),
        RefusalKind.WEBHOOK_FAILED,
    ),
    "a namespace that is going": (
        status(
            403,
            POD + "unable to create new content in namespace x because it is being terminated",
            "Forbidden",
            causes=[{"reason": "NamespaceTerminating", "field": "metadata.namespace"}],
        ),
        RefusalKind.NAMESPACE_TERMINATING,
    ),
    "a namespace that is gone": (
        status(404, 'namespaces "x" not found', "NotFound", kind="namespaces", name="x"),
        RefusalKind.NAMESPACE_TERMINATING,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_rejected_create_is_attributed_to_the_run(case: str) -> None:
    answer, kind = REFUSED[case]
    error = responses.create_error(answer)
    assert isinstance(error, Refused)
    assert error.refusal.kind == kind


NOT_THE_RUNS = {
    "our own rights": status(
        403,
        'pods is forbidden: User "system:serviceaccount:a:b" cannot create resource "pods" in '
        'API group "" in the namespace "x"',
        "Forbidden",
    ),
    "admission that starts": status(403, POD + "not yet ready to handle request", "Forbidden"),
    "a quota not counted yet": status(
        403, POD + "status unknown for quota: q, resources: pods", "Forbidden"
    ),
    "credentials that have run out": status(401, "Unauthorized", "Unauthorized"),
    "a proxy's not found": status(404, "page not found"),
    "overload": status(429, "too many requests", "TooManyRequests"),
    "an internal error": status(500, "boom", "InternalError"),
    "a gateway": Response(502),
    "a restart": status(503, "apiserver is shutting down", "ServiceUnavailable"),
    "a timeout": status(504, "Timeout: request did not complete", "Timeout"),
    "a race for a quota": status(
        409, 'Operation cannot be fulfilled on resourcequotas "q"', "Conflict"
    ),
}


@pytest.mark.parametrize("answer", [TOO_LARGE_FOR_ETCD, status(413, "limit is 3145728")])
def test_an_object_that_is_too_large_is_no_outage(answer: Response) -> None:
    error = responses.error(answer)
    assert type(error) is EngineError
    assert "too large to be stored" in str(error)


@pytest.mark.guarantee(
    "Too many requests, server errors and missing responses are retried and never fail the run"
)
@pytest.mark.parametrize("case", NOT_THE_RUNS)
def test_errors_that_the_run_did_not_cause_are_retried(case: str) -> None:
    assert isinstance(responses.create_error(NOT_THE_RUNS[case]), Unavailable)


def test_a_name_conflict_is_distinguished_from_a_quota_conflict() -> None:
    assert isinstance(responses.create_error(status(409, "", "AlreadyExists")), AlreadyExists)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (status(409, "", "Conflict"), Conflict),
        (status(401), Unavailable),
        (status(403, "no right to patch", "Forbidden"), Unavailable),
        (status(429), Unavailable),
        (status(500), Unavailable),
        (status(503), Unavailable),
        (status(400, "bad"), EngineError),
        (status(422, "invalid", "Invalid"), EngineError),
    ],
)
def test_other_requests_are_never_attributed_to_the_run(
    answer: Response, kind: type[EngineError]
) -> None:
    assert type(responses.error(answer)) is kind


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Response(429, {}, "7"), 7.0),
        (Response(429, {"details": {"retryAfterSeconds": 3}}), 3.0),
        (Response(429, {"details": {"retryAfterSeconds": 3}}, "7"), 7.0),
        (Response(503, {}, "Fri, 31 Dec 1999 23:59:59 GMT"), None),
        (Response(503, {"details": {"retryAfterSeconds": "soon"}}), None),
        (Response(503), None),
    ],
)
def test_the_delay_that_the_apiserver_requests_is_used(
    answer: Response, seconds: float | None
) -> None:
    error = responses.error(answer)
    assert isinstance(error, Unavailable)
    assert error.retry_after == seconds


@pytest.mark.parametrize("body", [{}, {"message": 1, "details": [], "reason": None}])
def test_every_response_has_a_message(body: dict[str, object]) -> None:
    for code in (400, 403, 404, 409, 422, 429, 500):
        assert str(responses.error(Response(code, body))) == f"HTTP {code}"
        assert str(responses.create_error(Response(code, body))) == f"HTTP {code}"


def test_a_message_is_one_line() -> None:
    assert status(422, "first\n  second").message == "first second"
