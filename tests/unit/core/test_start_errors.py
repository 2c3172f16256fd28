"""Start-up errors: transient ones and final ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.core.startup import is_passing, last_pull_error

PULL = 'failed to pull and unpack image "{ref}": '
RESOLVE = PULL + 'failed to resolve reference "{ref}": '
COPY = PULL + "failed to copy: httpReadSeeker: failed open: "
REQUEST = RESOLVE + 'failed to do request: Head "https://{ref}": '

PASSING = [
    "pull QPS exceeded",
    "image pull failed for x because the registry is unavailable: no answer",
    COPY + "unexpected status code https://h/v2/x/blobs/sha256:1: 429 Too Many Requests - Server "
    "message: toomanyrequests: You have reached your pull rate limit.",
    RESOLVE + "unexpected status from HEAD request to https://h/v2/x/manifests/404: 503 Service "
    "Unavailable",
    RESOLVE + "unexpected status from HEAD request to https://h/v2/x/manifests/1: 500",
    RESOLVE + "unexpected status code [manifests 404]: 502 Bad Gateway",
    RESOLVE + "failed to authorize: failed to fetch anonymous token: unexpected status from GET "
    "request to https://auth.h/token?scope=x: 504 Gateway Timeout",
    REQUEST + "dial tcp 10.0.0.1:443: i/o timeout",
    REQUEST + "dial tcp 10.0.0.1:443: connect: connection refused",
    REQUEST + "dial tcp 10.0.0.1:443: connect: no route to host",
    REQUEST + "dial tcp 10.0.0.1:443: connect: network is unreachable",
    REQUEST + "dial tcp: lookup h on 10.96.0.10:53: server misbehaving",
    REQUEST + "dial tcp: lookup h: Temporary failure in name resolution",
    REQUEST + "net/http: TLS handshake timeout",
    REQUEST + "read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer",
    REQUEST + "EOF",
    REQUEST + "context deadline exceeded",
    REQUEST + "net/http: request canceled while waiting for connection (Client.Timeout exceeded "
    "while awaiting headers)",
    COPY + "unexpected EOF",
    COPY + "stream error: stream ID 3; INTERNAL_ERROR; received from peer",
    "rpc error: code = DeadlineExceeded desc = ",
    'rpc error: code = Unavailable desc = connection error: desc = "transport: Error"',
    "toomanyrequests: You have reached your unauthenticated pull rate limit.",
    "received unexpected HTTP status: 503 Service Unavailable",
    'Get "https://h/v2/": net/http: request canceled (Client.Timeout exceeded)',
    "denied: Your pull rate limit is used up",
    "failed to extract layer sha256:1: write /var/lib/x: no space left on device",
    'failed to reserve container name "main_x": name "main_x" is reserved for "1"',
    "failed to sync configmap cache: timed out waiting for the condition",
    "services have not yet been read at least once, cannot construct envvars",
    "context deadline exceeded",
]

LASTING = [
    "",
    "no such thing",
    RESOLVE + "{ref}: not found",
    RESOLVE + "pull access denied, repository does not exist or may require authorization: "
    "server message: insufficient_scope: authorization failed",
    RESOLVE + "failed to authorize: failed to fetch oauth token: unexpected status from POST "
    "request to https://auth.h/token: 401 Unauthorized",
    RESOLVE + "unexpected status from HEAD request to https://h:503/v2/x/manifests/503: 403 "
    "Forbidden",
    RESOLVE + "unexpected status code [manifests 503]: 404 Not Found",
    REQUEST + "tls: failed to verify certificate: x509: certificate signed by unknown authority",
    REQUEST + "http: server gave HTTP response to HTTPS client",
    REQUEST + "dial tcp: lookup nowhere.invalid on 10.96.0.10:53: no such host",
    PULL + "no match for platform in manifest: not found",
    "manifest for {ref} not found: manifest unknown: manifest unknown",
    "pull access denied for {ref}, repository does not exist or may require 'docker login'",
    'configmap "timeout" not found',
    'secret "i/o timeout" not found',
    "couldn't find key 503 in ConfigMap default/eof",
]


@pytest.mark.parametrize("error", PASSING)
def test_an_error_that_reports_overload_is_transient(error: str) -> None:
    assert is_passing(error.replace("{ref}", "docker.io/library/busybox:1"))


@pytest.mark.parametrize("ref", ["busybox:1", "timeout:503", "eof:EOF", "toomanyrequests:429"])
@pytest.mark.parametrize("error", LASTING)
def test_an_error_about_the_image_or_the_pod_is_permanent(error: str, ref: str) -> None:
    for name in (ref, f"docker.io/library/{ref}"):
        assert not is_passing(error.replace("{ref}", name))


@pytest.mark.parametrize("error", [*PASSING, *LASTING])
def test_a_back_off_has_the_class_of_the_error_that_it_repeats(error: str) -> None:
    waiting = f'Back-off pulling image "x:1": ErrImagePull: {error}'
    assert is_passing(last_pull_error(waiting)) == is_passing(error)


@given(st.from_regex(r"[a-z0-9./:_-]+", fullmatch=True))
def test_a_back_off_without_its_error_has_none(image: str) -> None:
    assert last_pull_error(f'Back-off pulling image "{image}"') == ""


@given(st.text())
def test_any_text_has_a_class(text: str) -> None:
    assert is_passing(last_pull_error(text)) in (True, False)


@given(st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,20})?"))
def test_no_image_name_makes_a_permanent_error_transient(image: str) -> None:
    image = image.strip()
    error = f'failed to resolve reference "docker.io/library/{image}": docker.io/library/{image}'
    assert not is_passing(f"{error}: not found")
