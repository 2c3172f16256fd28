import base64
import json
from pathlib import Path

import pytest

from taskruns.engines.docker.credentials import credentials_for, explained

AUTH = base64.b64encode(b"me:s3cret").decode()
ME = {"username": "me", "password": "s3cret"}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def write(config: Path, content: str) -> None:
    config.write_text(content)


@pytest.mark.parametrize(
    ("image", "whole"),
    [
        ("busybox:1", "docker.io/library/busybox:1"),
        ("me/app", "docker.io/me/app"),
        ("registry.example/me/app:2", "registry.example/me/app:2"),
        ("localhost/app", "localhost/app"),
        ("host:5000/app", "host:5000/app"),
    ],
)
@pytest.mark.usefixtures("config")
async def test_an_image_is_named_with_its_registry(image: str, whole: str) -> None:
    found = await credentials_for(image)
    assert (found.image, found.auth) == (whole, None)


async def test_credentials_are_those_of_the_docker_command(config: Path) -> None:
    hub = "https://index.docker.io/v1/"
    write(config, json.dumps({"auths": {"registry.example": {"auth": AUTH}, hub: {}}}))
    assert (await credentials_for("registry.example/app")).auth == ME
    assert (await credentials_for("busybox")).auth is None
    assert (await credentials_for("other.example/app")).auth is None


async def test_a_credential_helper_is_asked(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text(
        '#!/bin/sh\nread key\n[ "$key" = registry.example ] || exit 1\n'
        'echo \'{"Username": "me", "Secret": "s3cret"}\'\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    write(config, json.dumps({"credsStore": "test"}))
    assert (await credentials_for("registry.example/app")).auth == ME
    assert (await credentials_for("other.example/app")).auth is None


@pytest.mark.parametrize("content", ["{", "[]", '{"auths": 1}', '{"credsStore": "nobody"}'])
async def test_a_broken_configuration_hands_out_nothing(config: Path, content: str) -> None:
    write(config, content)
    assert (await credentials_for("registry.example/app")).auth is None


@pytest.mark.parametrize(
    ("image", "said", "login"),
    [
        ("host:5000/app", "unauthorized", "docker login host:5000"),
        ("me/app", "pull access denied for me/app", "docker login"),
    ],
)
def test_who_may_not_pull_is_told_where_to_log_in(image: str, said: str, login: str) -> None:
    advice = f"log in with `{login}`, as the user who runs this"
    assert explained(image, said) == f"{image} may not be pulled ({said}): {advice}"


@pytest.mark.parametrize("said", ["connection refused", "open /data: permission denied"])
def test_what_no_login_mends_is_told_as_it_is(said: str) -> None:
    assert explained("busybox:1", said) == said
