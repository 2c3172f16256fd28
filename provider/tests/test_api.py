"""Tests of requests to the apiserver and of their responses, with a scripted client."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Self

import pytest

from taskruns_airflow import api as api_module
from taskruns_airflow.api import Api, backoff_delays, lines
from taskruns_airflow.client import Ref, Refused, Unreachable

REF = Ref("jobs", "hello", "uid-1")
RUN = {"metadata": {"name": "hello", "namespace": "jobs", "uid": "uid-1"}, "spec": {}}
RUNS = "/apis/taskruns.dev/v1alpha1/namespaces/jobs/taskruns"


class Response:
    """Response in the form of aiohttp's."""

    def __init__(self, status: int, body: Any = None) -> None:
        self.status = status
        self._body = json.dumps(body if body is not None else {"message": "no"}).encode()

    async def read(self) -> bytes:
        return self._body

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Client:
    """Client that returns the given responses in order and records its requests."""

    def __init__(self, *answers: Response | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []

    async def call_api(self, path: str, method: str, **request: Any) -> Response:
        self.requests.append((method, path, dict(request["query_params"]), request["body"]))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def _no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "backoff_delays", lambda: iter([0.0] * 1000))


async def test_a_task_run_is_created_strictly_so_that_a_misspelt_field_is_refused() -> None:
    client = Client(Response(201, RUN))
    manifest = {"metadata": {"name": "hello"}}
    made = await Api(client, "jobs").create(manifest)
    assert made.metadata.uid == "uid-1"
    assert client.requests == [("POST", RUNS, {"fieldValidation": "Strict"}, manifest)]


@pytest.mark.parametrize("trouble", [ConnectionResetError(), TimeoutError(), Response(503)])
async def test_a_create_whose_response_was_lost_returns_the_existing_run(trouble: Any) -> None:
    client = Client(trouble, Response(409), Response(200, RUN))
    made = await Api(client, "jobs").create({"metadata": {"name": "hello"}})
    assert made.metadata.uid == "uid-1"
    assert [method for method, *_ in client.requests] == ["POST", "POST", "GET"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_refusal_has_the_apiservers_message(status: int) -> None:
    client = Client(Response(status, {"message": "spec.image: too long"}))
    with pytest.raises(Refused, match=r"spec\.image: too long") as refusal:
        await Api(client, "jobs").create({"metadata": {"name": "hello"}})
    assert refusal.value.status == status
    assert len(client.requests) == 1


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (401, "Unauthorized", "renew the token"),
        (
            403,
            "taskruns is forbidden: User x cannot",
            "bind the role taskruns-client to this user in ",
        ),
        (403, "exceeded quota: runs", ""),
        (404, "404 page not found", "install taskruns on this cluster"),
        (404, "namespaces jobs not found", ""),
    ],
)
async def test_a_refusal_has_advice_for_the_administrator(
    status: int, message: str, advice: str
) -> None:
    with pytest.raises(Refused) as refusal:
        await Api(Client(Response(status, {"message": message})), "jobs").find("label", "value")
    sentence, _, rest = str(refusal.value).partition(f" (HTTP {status})")
    assert sentence == message
    assert rest.removeprefix(": ").startswith(advice)
    assert bool(rest) == bool(advice)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, "etcdserver: request is too large"),
        (500, "rpc error: code = ResourceExhausted desc = trying to send message larger than max"),
        (413, "Request entity too large: limit is 3145728"),
    ],
)
async def test_a_task_run_that_is_too_large_is_refused_at_once(status: int, message: str) -> None:
    client = Client(Response(status, {"message": message}))
    with pytest.raises(Refused, match=r"1\.5 MiB") as refused:
        await Api(client, "jobs").create({"metadata": {"name": "hello"}})
    assert refused.value.is_too_large


async def test_an_unreachable_apiserver_is_an_error_after_the_time_limit() -> None:
    client = Client(*[ConnectionRefusedError()] * 3)
    with pytest.raises(Unreachable, match="ConnectionRefused"):
        await Api(client, "jobs", patience=-1).create({"metadata": {"name": "hello"}})


async def test_a_run_of_the_same_name_with_another_uid_is_not_returned() -> None:
    replacement = {**RUN, "metadata": {**RUN["metadata"], "uid": "uid-2"}}
    assert await Api(Client(Response(200, replacement)), "jobs").get(REF) is None
    assert await Api(Client(Response(404)), "jobs").get(REF) is None


async def test_every_write_contains_the_uid() -> None:
    client = Client(Response(200, RUN), Response(200, RUN))
    await Api(client, "jobs").cancel(REF)
    await Api(client, "jobs").collect(REF, "pod-1")
    assert [(method, path, body) for method, path, _, body in client.requests] == [
        ("PATCH", f"{RUNS}/hello", {"spec": {"cancel": True}, "metadata": {"uid": "uid-1"}}),
        (
            "PATCH",
            f"{RUNS}/hello",
            {"metadata": {"uid": "uid-1", "annotations": {"taskruns.dev/collected": "pod-1"}}},
        ),
    ]


async def test_runs_are_listed_in_pages_and_a_watch_starts_at_the_last_version() -> None:
    first = {"items": [RUN], "metadata": {"resourceVersion": "7", "continue": "more"}}
    last = {"items": [], "metadata": {"resourceVersion": "7"}}
    client = Client(Response(200, first), Response(200, last))
    pages = [page async for page in Api(client, "jobs").pages({"labelSelector": "x"})]
    assert pages == [first, last]
    query = {"labelSelector": "x", "limit": "500"}
    assert client.requests == [
        ("GET", RUNS, query, None),
        ("GET", RUNS, query | {"continue": "more"}, None),
    ]


@pytest.mark.parametrize("status", [404, 409, 422])
async def test_a_write_to_a_deleted_or_replaced_run_has_no_effect(status: int) -> None:
    await Api(Client(Response(status), Response(404)), "jobs").cancel(REF)


async def test_a_refused_write_to_an_existing_run_raises() -> None:
    with pytest.raises(Refused):
        await Api(Client(Response(422), Response(200, RUN)), "jobs").cancel(REF)


async def _chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a", b"b\nc"], [b"ab", b"c"]),
        ([b"\n\n"], [b"", b""]),
        ([b"12345\n6"], [b"12345", b"6"]),
        ([b"12", b"345", b"678"], [b"1234", b"5678"]),
        ([], []),
    ],
)
async def test_a_stream_is_split_into_lines_of_bounded_length(
    parts: list[bytes], expected: list[bytes]
) -> None:
    assert [line async for line in lines(_chunks(*parts), 4)] == expected


def test_backoff_delays_grow_to_the_limit() -> None:
    waits = backoff_delays(longest=3.0)
    assert [next(waits) for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
