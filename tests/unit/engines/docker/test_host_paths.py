"""Types of hostPath volumes: checked, or created, on the daemon's machine."""

from typing import Any, cast

import pytest

from taskruns.engines.docker.container import container_of
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.fields import Unsupported
from taskruns.engines.docker.runtime import create_files, find_mismatch, with_path_advice

DIRECTORY, DEVICE, CHARACTERS, SOCKET, LINK = (1 << bit for bit in (31, 26, 21, 24, 27))


class FakeDaemon:
    """Daemon that reports the same file mode for every path."""

    def __init__(self, mode: int | None = 0) -> None:
        self.mode = mode
        self.files: list[tuple[str, str, str]] = []

    async def mode_of(self, name: str, path: str) -> int | None:
        assert (name, path) == ("hello-1", "/out")
        return self.mode

    async def ensure_file(self, name: str, image: str, path: str) -> None:
        self.files.append((name, image, path))


def a_pod(kind: str | None, **mount: Any) -> dict[str, Any]:
    path = {"path": "/srv/x", **({} if kind is None else {"type": kind})}
    mounts = [{"name": "x", "mountPath": "/out/", **mount}]
    main = {"name": "main", "image": "i", "volumeMounts": mounts}
    spec = {"containers": [main], "volumes": [{"name": "x", "hostPath": path}]}
    return {"metadata": {"name": "hello-1", "uid": "u"}, "spec": spec}


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("File", 0o644),
        ("FileOrCreate", 0o644),
        ("Directory", DIRECTORY | 0o755),
        ("DirectoryOrCreate", DIRECTORY | 0o755),
        ("Socket", SOCKET),
        ("CharDevice", DEVICE | CHARACTERS),
        ("BlockDevice", DEVICE),
        ("", None),
        (None, None),
    ],
)
async def test_a_host_path_of_its_type_is_mounted(kind: str | None, mode: int | None) -> None:
    assert await find_mismatch(cast(Daemon, FakeDaemon(mode)), a_pod(kind)) == ""


@pytest.mark.parametrize(
    ("kind", "mode", "words"),
    [
        ("File", DIRECTORY | 0o755, "is a directory"),
        ("Directory", 0o644, "is a file"),
        ("DirectoryOrCreate", SOCKET, "is a socket"),
        ("Socket", LINK, "is a symbolic link"),
        ("CharDevice", DEVICE, "is a block device"),
        ("File", None, "cannot be checked"),
    ],
)
async def test_a_host_path_of_another_type_is_reported(
    kind: str, mode: int | None, words: str
) -> None:
    sentence = await find_mismatch(cast(Daemon, FakeDaemon(mode)), a_pod(kind))
    assert sentence.startswith(f"hostPath /srv/x of type {kind} {words}")


async def test_a_missing_file_is_created_for_file_or_create() -> None:
    for kind in ("File", "FileOrCreate", "DirectoryOrCreate"):
        daemon = FakeDaemon()
        await create_files(cast(Daemon, daemon), a_pod(kind))
        assert daemon.files == ([("hello-1", "i", "/srv/x")] if kind == "FileOrCreate" else [])


@pytest.mark.parametrize("kind", ["", "DirectoryOrCreate"])
def test_a_missing_folder_is_created_for_directory_or_create(kind: str) -> None:
    body = container_of(a_pod(kind, readOnly=True, mountPropagation="HostToContainer"))
    assert body["HostConfig"]["Binds"] == ["/srv/x:/out/:ro,rslave"]
    assert body["HostConfig"]["Mounts"] == []
    assert container_of(a_pod(kind))["HostConfig"]["Binds"] == ["/srv/x:/out/:rw"]


@pytest.mark.parametrize("kind", [None, "Directory"])
def test_a_host_path_of_any_other_type_must_exist(kind: str | None) -> None:
    host_config = container_of(a_pod(kind))["HostConfig"]
    assert host_config["Binds"] == []
    assert [mount["Type"] for mount in host_config["Mounts"]] == ["bind"]


def test_a_path_with_a_colon_is_refused() -> None:
    pod = a_pod("DirectoryOrCreate")
    pod["spec"]["volumes"][0]["hostPath"]["path"] = "/srv:etc"
    with pytest.raises(Unsupported, match="colon"):
        container_of(pod)


def test_a_missing_path_is_reported_with_advice() -> None:
    missing = "bind source path does not exist: /srv/x"
    assert with_path_advice(missing).startswith(f"{missing}: create it, or ")
    assert with_path_advice("no space left") == "no space left"
