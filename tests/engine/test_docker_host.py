"""Docker host as clients use it: garbage collection, remote daemons, invalid state directories."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.host import DaemonAddress, Host
from taskruns.engines.docker.state_file import StateError
from taskruns.engines.docker.store import InvalidRun, create_run, patch_run
from tests.engine.docker_runtime import ended, manifest, now
from tests.engine.work import IMAGE

SECONDS = 120


async def test_the_next_client_collects_the_garbage_of_unfollowed_runs(
    docker_address: str, tmp_path: Path
) -> None:
    endpoint = DaemonAddress(docker_address)
    host = Host(tmp_path, now, endpoint)
    first, second = host.file("default", "first"), host.file("default", "second")
    await create_run(first, manifest("true"), now())
    status = await ended(host, first, SECONDS)
    later = Host(tmp_path, lambda: now() + timedelta(days=8), endpoint)
    async with host.daemon() as daemon:
        assert await daemon.inspect(status["podName"]) is not None, "its delay is not over"
        await create_run(second, manifest("true"), later.now())
        async with asyncio.timeout(SECONDS), later.following(second):
            while (await first.read()).run is not None:  # noqa: ASYNC110 - a file sends no event
                await asyncio.sleep(0.05)
        assert await daemon.inspect(status["podName"]) is None
    assert (await second.read()).run is not None


def in_a_folder(path: str) -> dict[str, Any]:
    """Return a spec with a read-only root filesystem and one writable folder."""
    return {
        "securityContext": {"readOnlyRootFilesystem": True, "runAsUser": 1234},
        "volumes": [{"name": "out", "emptyDir": {}}],
        "volumeMounts": [{"name": "out", "mountPath": path}],
    }


@pytest.mark.parametrize(
    ("path", "spec"), [("/tmp/out/result", {}), ("/out/result", in_a_folder("/out"))]
)
async def test_a_result_is_copied_from_a_remote_daemon(
    docker_address: str, tmp_path: Path, path: str, spec: Any
) -> None:
    """The file that is copied into the container leaves the mode of its folders unchanged."""
    async with forwarded(docker_address.removeprefix("unix://")) as url:
        host = Host(tmp_path, now, DaemonAddress(url))
        file = host.file("default", "far")
        fields = {"resultPath": path, "podGC": {"deleteDelayDuration": "0s"}, **spec}
        await create_run(file, manifest(f"stat -c %a /tmp > {path}", **fields), now())
        status = await ended(host, file, SECONDS)
    assert (status["phase"], status["result"].strip()) == ("Succeeded", "1777")


async def test_a_result_that_cannot_be_copied_is_reported(
    docker_address: str, tmp_path: Path
) -> None:
    async with forwarded(docker_address.removeprefix("unix://")) as url:
        host = Host(tmp_path, now, DaemonAddress(url))
        file = host.file("default", "far")
        fields = {"resultPath": "/out/result", **in_a_folder("/elsewhere")}
        await create_run(file, manifest("true", **fields), now())
        async with asyncio.timeout(SECONDS), host.following(file) as follower:
            async for run in follower.changes():
                if "mount an emptyDir over its folder" in (run["status"].get("message") or ""):
                    break
        assert run["status"]["phase"] == "Pending"


UNENDED = "yes line | head -c 20000; printf end"


async def test_a_followed_log_includes_a_last_line_without_newline(
    docker_address: str,
) -> None:
    async def followed(daemon: Daemon, name: str) -> bytes:
        await daemon.create(name, {"Image": IMAGE, "Cmd": ["sh", "-c", UNENDED]})
        await daemon.start(name)
        log = b"".join([piece async for piece in daemon.logs(name, follow=True)])
        await daemon.remove(name)
        return log

    async with asyncio.timeout(SECONDS), Daemon.open(docker_address) as daemon:
        logs = await asyncio.gather(*(followed(daemon, f"unended-{n}") for n in range(12)))
    assert set(logs) == {b"line\n" * 4000 + b"end"}


async def test_a_log_is_read_from_a_given_time(docker_address: str) -> None:
    async with asyncio.timeout(SECONDS), Daemon.open(docker_address) as daemon:
        script = "for n in 1 2 3 4; do echo $n; sleep 0.01; done"
        await daemon.create("lines", {"Image": IMAGE, "Cmd": ["sh", "-c", script]})
        await daemon.start("lines")
        lines = [each async for each in daemon.log_records("lines")]
        assert [each.content for each in lines] == [b"1", b"2", b"3", b"4"]
        since = lines[2].time.decode()
        again = [each async for each in daemon.log_records("lines", since)]
        assert again == lines[2:]
        await daemon.remove("lines")


@asynccontextmanager
async def forwarded(socket: str) -> AsyncIterator[str]:
    """Forward a TCP port to the daemon's socket; yield the URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(socket)
        for work in (copy(reader, far_writer), copy(far_reader, writer)):
            task = asyncio.create_task(work)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_invalid_state_directory_is_reported_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    host = Host(tmp_path / "file", now)
    with pytest.raises(StateError, match="make it writable, free disk space, or"):
        await create_run(host.file("default", "hello"), manifest("true"), now())


@pytest.mark.parametrize(("namespace", "name"), [("../there", "hello"), ("default", "../hello")])
def test_no_name_refers_outside_the_state_directory(
    tmp_path: Path, namespace: str, name: str
) -> None:
    host = Host(tmp_path / "state", now)
    with pytest.raises(InvalidRun, match="lower-case letters"):
        asyncio.run(create_run(host.file(namespace, name), manifest("true"), now()))
    assert list(tmp_path.iterdir()) == []


async def test_a_patch_with_another_uid_is_not_applied(tmp_path: Path) -> None:
    file = Host(tmp_path, now).file("default", "hello")
    run = await create_run(file, manifest("true"), now())
    assert await patch_run(file, {"spec": {"cancel": True}}, "another") is None
    assert (await file.read()).run == run
    changed = await patch_run(file, {"spec": {"cancel": True}}, run["metadata"]["uid"])
    assert changed is not None
    assert changed["spec"]["cancel"] is True
