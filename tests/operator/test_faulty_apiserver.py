"""The whole controller in this process, against a faulty apiserver."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from kopf._core.reactor import processing, queueing

from taskruns.api import names
from taskruns.engines.cache import RunKey
from taskruns.engines.engine import Unavailable
from taskruns.engines.kubernetes import connect, connection
from taskruns.engines.kubernetes.listing import EVERYWHERE, list_all
from taskruns.operator import resync
from tests.support.cluster.in_process_controller import at_work
from tests.support.faults.stub_apiserver import StubApiserver, failure

RUNS = names.PLURAL


@pytest.fixture(autouse=True)
def short_retry_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resync, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(connection, "CREDENTIALS_PAUSE", 0.02)


@pytest.fixture
def server() -> Iterator[StubApiserver]:
    with StubApiserver() as server:
        yield server


async def test_the_controller_is_ready_once_both_watches_are_open(
    server: StubApiserver, tmp_path: Path
) -> None:
    release = server.hold("list", "pods")
    async with at_work(server, tmp_path) as running:
        await running.until(lambda: server.asked("watch", RUNS))
        release()
        await running.ready()
        assert await running.probe("livez") == (200, "ok\n")
    assert {headers["Authorization"] for _, _, headers in server.requests} == {"Bearer secret"}
    assert all("taskruns-controller" in headers["User-Agent"] for _, _, headers in server.requests)


async def test_the_controller_stops_on_request(server: StubApiserver, tmp_path: Path) -> None:
    async with at_work(server, tmp_path) as running:
        await running.ready()
        running.controller.stopping.set()
        assert await running.ends() == 0
        assert await running.probe("livez") == (200, "ok\n")
        assert (await running.probe("readyz"))[1] == "stop: stopping\n"


async def test_no_run_is_reconciled_before_all_pods_are_in_the_cache(
    server: StubApiserver, tmp_path: Path
) -> None:
    server.put(RUNS, "hello")
    server.put("pods", "hello-1", metadata={"labels": {names.LABEL_UID: "uid-hello"}})
    release = server.hold("list", "pods")
    async with at_work(server, tmp_path) as running:
        await running.until(lambda: running.controller.queue.depth)
        await asyncio.sleep(0.1)
        assert server.writes == 0
        assert "1 objects not yet seen" in (await running.probe("readyz"))[1]
        assert (await running.probe("livez"))[0] == 200
        release()
        await running.until(lambda: server.writes)


async def test_events_bypass_kopfs_workers_and_processor(
    server: StubApiserver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a release of kopf calls other functions, events still arrive, at a higher cost."""

    async def process(**_: object) -> None:
        raise AssertionError("kopf's worker or processor was called")

    monkeypatch.setattr(queueing, "worker", process)
    monkeypatch.setattr(processing, "process_resource_event", process)
    server.put(RUNS, "hello")
    async with at_work(server, tmp_path) as running:
        await running.until(lambda: server.writes)
        await running.ready()
    assert processing.process_resource_event is process


async def test_namespaces_are_served_in_turn(server: StubApiserver, tmp_path: Path) -> None:
    for number in range(20):
        server.put(RUNS, f"bad-{number}", metadata={"namespace": "bad"})
    server.put(RUNS, "good", metadata={"namespace": "good"})
    reconciled: list[str] = []

    async def reconcile(key: RunKey) -> None:
        reconciled.append(key.namespace)

    async with at_work(server, tmp_path) as running:
        running.controller.queue.work = reconcile
        await running.until(lambda: len(reconciled) >= 21)
    assert "good" in reconciled[:2]


async def test_the_cache_sync_does_not_wait_for_deleted_objects(
    server: StubApiserver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskruns.operator.controller._CACHE_SYNC_SECONDS", 0.05)
    server.put("pods", "hello-1", metadata={"labels": {names.LABEL_UID: "uid-hello"}})
    release = server.hold("list", "pods")
    async with at_work(server, tmp_path) as running:
        await running.until(lambda: server.asked("list", "pods") > 1)
        server.remove("pods", "hello-1")
        release()
        await running.ready()


async def test_the_controller_waits_for_the_crd_to_be_installed(
    server: StubApiserver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.turns["resync", RUNS].extend([failure(404, "not found")] * 2)
    async with at_work(server, tmp_path) as running:
        await running.ready()
    assert "install it from crds/taskruns.yaml" in caplog.text


@pytest.mark.parametrize("code", [401, 403, 429, 500, 503])
async def test_the_controller_recovers_from_error_responses(
    server: StubApiserver, tmp_path: Path, code: int
) -> None:
    for verb in ("resync", "list", "watch"):
        server.turns[verb, "pods"].append(failure(code, "no"))
    async with at_work(server, tmp_path) as running:
        await running.ready()
        await running.until(lambda: server.asked("watch", "pods") > 1)
        server.put(RUNS, "hello")
        await running.until(lambda: running.controller.cache.versions().runs)


async def test_the_controller_reopens_its_watches(server: StubApiserver, tmp_path: Path) -> None:
    async with at_work(server, tmp_path) as running:
        await running.ready()
        server.end_watches()
        await running.until(lambda: server.asked("watch", RUNS) == 2)
        await running.until(lambda: server.watches[RUNS])
        server.put(RUNS, "hello")
        await running.until(lambda: running.controller.cache.versions().runs)


async def test_an_expired_watch_is_listed_again(server: StubApiserver, tmp_path: Path) -> None:
    async with at_work(server, tmp_path) as running:
        await running.ready()
        lists = server.asked("list", RUNS)
        server.tell(RUNS, "ERROR", {"kind": "Status", "code": 410})
        await running.until(lambda: server.asked("list", RUNS) > lists)
        await running.ready()


async def test_an_error_in_a_watch_ends_the_process(server: StubApiserver, tmp_path: Path) -> None:
    async with at_work(server, tmp_path) as running:
        await running.ready()
        server.tell(RUNS, "ERROR", {"kind": "Status", "code": 500, "message": "corrupt"})
        assert await running.ends() == 1


async def test_a_watch_that_ends_silently_fails_liveness(
    server: StubApiserver, tmp_path: Path
) -> None:
    async with at_work(server, tmp_path) as running:
        await running.ready()
        running.task("watcher for pods").cancel()
        await running.until(running.controller.watch.problem)
        assert await running.probe("livez") == (500, "watch: 1 of 2 watches are left\n")
        assert (await running.probe("readyz"))[0] == 500


async def test_a_watch_that_misses_changes_fails_liveness(
    server: StubApiserver, tmp_path: Path
) -> None:
    async with at_work(server, tmp_path, every=0.05) as running:
        await running.ready()
        server.put(RUNS, "hello", tell=False)
        await running.until(running.controller.resync.problem)
        code, text = await running.probe("livez")
        assert (code, text) == (500, "watch: 1 changed objects are missing from the watch\n")


@pytest.mark.parametrize("part", ["queue", "resync"])
async def test_the_process_ends_when_one_of_its_tasks_ends(
    server: StubApiserver, tmp_path: Path, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with at_work(server, tmp_path) as running:
        await running.ready()
        running.task(f"taskruns: {part}").cancel()
        assert await running.ends() == 1
    assert f"taskruns: {part} has ended" in caplog.text


@pytest.mark.parametrize(
    ("path", "name"), [("queue.heartbeat", "queue"), ("resync.tried", "resync")]
)
async def test_a_hanging_task_fails_liveness(
    server: StubApiserver, tmp_path: Path, path: str, name: str
) -> None:
    async with at_work(server, tmp_path) as running:
        await running.ready()
        part, _, beats = path.partition(".")
        heartbeat = getattr(getattr(running.controller, part), beats)
        heartbeat.last -= 3600
        code, text = await running.probe("livez")
        assert code == 500
        assert re.fullmatch(rf"{name}: no activity for 36\d\d s\n", text)


async def test_an_unavailable_apiserver_fails_readiness_and_not_liveness(
    server: StubApiserver, tmp_path: Path
) -> None:
    async with at_work(server, tmp_path) as running:
        await running.ready()
        running.controller.resync.succeeded.last -= 3600  # type: ignore[operator]
        assert await running.probe("livez") == (200, "ok\n")
        code, text = await running.probe("readyz")
        assert code == 500
        assert re.fullmatch(r"apiserver: no activity for 36\d\d s\n", text)


async def test_an_object_deleted_without_a_watch_event_is_dropped(
    server: StubApiserver, tmp_path: Path
) -> None:
    server.put(RUNS, "hello")
    async with at_work(server, tmp_path, every=0.05) as running:
        await running.ready()
        assert running.controller.cache.versions().runs
        server.remove(RUNS, "hello", tell=False)
        await running.until(lambda: not running.controller.cache.versions().runs)


async def test_lists_are_paged_and_contain_metadata_only(
    server: StubApiserver, tmp_path: Path
) -> None:
    def page(more: str, *uids: str) -> Callable[[web.Request], web.Response]:
        def answer(request: web.Request) -> web.Response:
            assert "as=PartialObjectMetadataList" in request.headers["Accept"]
            items = [{"metadata": {"uid": uid, "resourceVersion": "1"}} for uid in uids]
            return web.json_response({"metadata": {"continue": more}, "items": items})

        return answer

    expired = failure(410, "too old")
    server.turns["resync", RUNS].extend(
        [page("x", "a"), expired, page("x", "a"), page("y", "b"), page("", "c")]
    )
    async with at_work(server, tmp_path) as running:
        await running.until(lambda: running.controller.cache_sync.awaited)
        assert running.controller.cache_sync.awaited == {"a", "b", "c"}


async def test_only_served_namespaces_have_watches(server: StubApiserver, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        server.put(RUNS, f"in-{name}", metadata={"namespace": name})
    async with at_work(server, tmp_path, namespaces=("a", "b")) as running:
        await running.ready()
        assert set(running.controller.cache.versions().runs) == {"uid-in-a", "uid-in-b"}
        server.put("pods", "pod", metadata={"namespace": "b", "labels": {names.LABEL_UID: "x"}})
        await running.until(lambda: running.controller.cache.versions().pods)
        running.task("watcher for pods.*@b").cancel()
        await running.until(running.controller.watch.problem)
        assert await running.probe("livez") == (500, "watch: 3 of 4 watches are left\n")
    scopes = {plural for verb, plural, _ in server.requests if verb in ("list", "watch")}
    assert scopes == {f"{place}/{kind}" for place in ("a", "b") for kind in (RUNS, "pods")}


async def test_a_namespace_without_permission_does_not_block_others(
    server: StubApiserver, tmp_path: Path
) -> None:
    verbs = ("resync", "list")
    closed = [server.turns[verb, f"b/{kind}"] for verb in verbs for kind in (RUNS, "pods")]
    for turns in closed:
        turns.extend([failure(403, "no role")] * 1000)
    server.put(RUNS, "in-a", metadata={"namespace": "a"})
    async with at_work(server, tmp_path, every=0.05, namespaces=("a", "b")) as running:
        await running.ready()
        await running.until(lambda: server.writes, "the run in a is worked on")
        assert await running.probe("readyz") == (200, "ok\nnamespaces: b is not served: no role\n")
        server.put(RUNS, "in-b", metadata={"namespace": "b"})
        for turns in closed:
            turns.clear()
        await running.until(lambda: "uid-in-b" in running.controller.cache.versions().runs)
        await running.until(lambda: not running.controller.resync.unserved())
        assert await running.probe("readyz") == (200, "ok\n")


async def test_the_controller_is_not_ready_while_no_namespace_can_be_served(
    server: StubApiserver, tmp_path: Path
) -> None:
    for kind in (RUNS, "pods"):
        server.turns["list", f"a/{kind}"].extend([failure(403, "no role")] * 1000)
    async with at_work(server, tmp_path, namespaces=("a",)) as running:
        await running.until(lambda: 403 in running.controller.watch.statuses.values())
        assert await running.probe("readyz") == (500, "start: 0 of 2 watches are open\n")


async def test_metrics_report_runs_requests_and_readiness(
    server: StubApiserver, tmp_path: Path
) -> None:
    server.put(RUNS, "hello", status={"phase": "Succeeded", "reason": "Completed"})
    async with at_work(server, tmp_path, every=0.05) as running:
        await running.ready()
        await running.until(
            lambda: running.controller.instrumentation.watches.ages().keys() == {RUNS, "pods"}
        )
        code, text = await running.probe("metrics", site=1)
        assert code == 200
        samples = text.splitlines()
        assert 'taskruns_runs{phase="Succeeded"} 1.0' in samples
        for call in ('resource="taskruns",verb="watch"', 'resource="pods",verb="list"'):
            assert any(
                line.startswith(f'taskruns_api_requests_total{{code="200",{call}}}')
                for line in samples
            )
        assert "taskruns_ready 1.0" in samples
        ends = [line for line in samples if line.startswith("taskruns_finished_total")]
        assert {line.rpartition(" ")[2] for line in ends} == {"0.0"}


async def test_the_age_of_a_watch_that_misses_changes_grows(
    server: StubApiserver, tmp_path: Path
) -> None:
    async with at_work(server, tmp_path, every=0.05) as running:
        await running.ready()
        ages = running.controller.instrumentation.watches.ages
        await running.until(lambda: ages().keys() == {RUNS, "pods"})
        server.put(RUNS, "hello", tell=False)
        await running.until(lambda: ages()[RUNS] > 0.3)
        assert ages()["pods"] < ages()[RUNS]


async def test_a_request_without_a_response_is_counted(
    server: StubApiserver, tmp_path: Path
) -> None:
    client = await connect(server.kubeconfig(tmp_path), None, 1)
    observed: list[tuple[str, str, str]] = []
    client.observe = lambda *call: observed.append(call[:3])
    try:
        server.turns["resync", "pods"].append(failure(503, "no"))
        with pytest.raises(Unavailable):
            await list_all(client, EVERYWHERE)
        client.configuration.host = "http://127.0.0.1:1"
        with pytest.raises(Unavailable):
            await list_all(client, EVERYWHERE)
    finally:
        await client.close()
    assert observed == [
        ("list", RUNS, "200"),
        ("list", "pods", "503"),
        ("list", RUNS, "<error>"),
    ]
