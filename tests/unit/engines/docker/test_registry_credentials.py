import base64
import json
from pathlib import Path

import pytest

from taskruns.engines.docker.image_pull import credentials_for, with_login_advice

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
    request = await credentials_for(image)
    assert (request.image, request.auth) == (whole, None)


async def test_credentials_are_those_of_the_docker_command(config: Path) -> None:
    hub = "https://index.docker.io/v1/"
    write(config, json.dumps({"auths": {"registry.example": {"auth": AUTH}, hub: {}}}))
    assert (await credentials_for("registry.example/app")).auth == ME
    assert (await credentials_for("busybox")).auth is None
    assert (await credentials_for("other.example/app")).auth is None


async def test_a_credential_helper_is_called(
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
async def test_a_broken_configuration_has_no_credentials(config: Path, content: str) -> None:
    write(config, content)
    assert (await credentials_for("registry.example/app")).auth is None


@pytest.mark.parametrize(
    ("image", "message", "login"),
    [
        ("host:5000/app", "unauthorized", "docker login host:5000"),
        ("me/app", "pull access denied for me/app", "docker login"),
    ],
)
def test_a_denied_pull_is_reported_with_the_login_command(
    image: str, message: str, login: str
) -> None:
    advice = f"log in with `{login}`, as the user who runs this"
    assert (
        with_login_advice(image, message) == f"no permission to pull {image} ({message}): {advice}"
    )


@pytest.mark.parametrize("message", ["connection refused", "open /data: permission denied"])
def test_other_pull_errors_are_not_changed(message: str) -> None:
    assert with_login_advice("busybox:1", message) == message


HUB = "https://index.docker.io/v1/"
TOKEN = {"auth": base64.b64encode(b"0000:").decode(), "identitytoken": "refresh-me"}


@pytest.mark.parametrize(
    ("image", "key"),
    [
        ("host:5000/app", "https://host:5000/v2/"),
        ("host:5000/app", "http://host:5000"),
        ("host:5000/app", "host:5000/"),
        ("host:5000/app", "host:5000/team"),
        ("busybox", HUB),
        ("busybox", "docker.io"),
        ("docker.io/me/app", "index.docker.io"),
        ("index.docker.io/me/app", "https://index.docker.io/v1"),
        ("me/app", "registry-1.docker.io"),
    ],
)
async def test_a_key_may_be_a_url_or_another_name_of_the_registry(
    config: Path, image: str, key: str
) -> None:
    write(config, json.dumps({"auths": {"other.example": TOKEN, key: {"auth": AUTH}}}))
    assert (await credentials_for(image)).auth == ME


async def test_the_exact_key_comes_first_and_an_empty_entry_is_ignored(config: Path) -> None:
    second_login = {"auth": base64.b64encode(b"you:x").decode()}
    write(
        config, json.dumps({"auths": {"https://a.test/": second_login, "a.test": {"auth": AUTH}}})
    )
    assert (await credentials_for("a.test/app")).auth == ME
    hub = {f"{HUB}access-token": {}, "docker.io": {"auth": AUTH}}
    write(config, json.dumps({"auths": hub}))
    assert (await credentials_for("busybox")).auth == ME


@pytest.mark.parametrize(
    ("entry", "auth"),
    [
        (TOKEN, {"username": "0000", "identitytoken": "refresh-me"}),
        ({"identitytoken": "refresh-me"}, {"identitytoken": "refresh-me"}),
        ({"registrytoken": "bearer-me"}, {"registrytoken": "bearer-me"}),
        ({"username": "me", "password": "s3cret"}, ME),
        ({"auth": "no base64 of a user"}, None),
        ({"auth": ""}, None),
        ("text", None),
    ],
)
async def test_every_form_of_credentials_is_read(config: Path, entry: object, auth: object) -> None:
    write(config, json.dumps({"auths": {"a.test": entry}}))
    credentials = (await credentials_for("a.test/app")).auth
    assert (
        credentials is None or {name: value for name, value in credentials.items() if value} == auth
    )
    assert (credentials is None) == (auth is None)


async def test_credentials_of_the_environment_come_first(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(config, json.dumps({"auths": {"a.test": TOKEN, "b.test": {"auth": AUTH}}}))
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {"a.test": {"auth": AUTH}}}))
    assert (await credentials_for("a.test/app")).auth == ME
    assert (await credentials_for("b.test/app")).auth == ME
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", "{")
    assert (await credentials_for("b.test/app")).auth == ME
    assert "DOCKER_AUTH_CONFIG is not JSON" in (await credentials_for("b.test/app")).problem


def helper(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\nread key\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


async def test_a_helper_for_one_registry_overrides_the_default_helper(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper(tmp_path, monkeypatch, 'echo \'{"Username": "<token>", "Secret": "t"}\'')
    auths = {"c.test": {"auth": AUTH}}
    helpers = {"a.test": "test", "c.test": ""}
    settings = {"credsStore": "nobody", "credHelpers": helpers, "auths": auths}
    write(config, json.dumps(settings))
    assert (await credentials_for("a.test/app")).auth == {"identitytoken": "t"}
    assert (await credentials_for("b.test/app")).auth is None
    assert (await credentials_for("c.test/app")).auth == ME


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo no JSON", "the output of docker-credential-test is not JSON"),
        ("true", "docker-credential-test returned nothing"),
        ("echo []", "the output of docker-credential-test is not a JSON object"),
        ("echo broken; exit 3", "docker-credential-test failed with exit code 3"),
        ("echo credentials not found in native keychain; exit 1", ""),
    ],
)
async def test_a_failing_helper_is_reported_by_name(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, problem: str
) -> None:
    helper(tmp_path, monkeypatch, script)
    write(config, json.dumps({"credsStore": "test"}))
    request = await credentials_for("a.test/app")
    assert request.auth is None
    assert request.problem.startswith(problem)
    assert bool(request.problem) == bool(problem)


async def test_a_missing_helper_is_reported_by_name(config: Path) -> None:
    write(config, json.dumps({"credsStore": "nobody"}))
    assert "docker-credential-nobody cannot be run" in (await credentials_for("a.test/x")).problem
