"""Hypothesis strategies for arguments of DockerOperator, in every accepted form."""

import string
from collections.abc import Callable, Mapping
from typing import Any

from docker.types import DeviceRequest, Mount, Ulimit
from hypothesis import strategies as st

PARAMS = {"text": "from a template", "number": 7}
"""Params of the DAG run, for templates."""

_ALPHABET = string.ascii_letters + string.digits + " $(){}'\"\\/.=-_:@%,é\t"
_TEXT = st.text(_ALPHABET, max_size=12).filter(lambda text: "{" not in text)
_WORD = _TEXT.filter(lambda text: not text.endswith((".sh", ".bash", ".env")))
_NAME = st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=8)
_PATH = _NAME.map(lambda name: f"/{name.strip('.') or 'p'}")
_TEMPLATE = st.sampled_from(["{{ params.text }}", "x {{ params.number }}"])
_BOOL = st.sampled_from([True, False, None])
_TEXTS = st.lists(_NAME, max_size=3)
_SIZE = st.one_of(
    st.sampled_from(
        [None, 0, "", "0", "512m", "2g", "1.5g", "64MB", "64mB", "10kb", "1e3k", "12b"]
    ),
    st.sampled_from(["much", "2t", "1 m", "m", "512Mi", "-1m", -1, 67108864.0]),
    st.integers(1, 2**40),
    st.builds("{}{}".format, st.integers(0, 9999), st.sampled_from(["", *"bkmgBKMG", "kb", "Gb"])),
)
_VALUE = st.one_of(_WORD, st.integers(), st.booleans(), st.floats(), st.just(b"bytes"), _TEMPLATE)
_LINES = st.sampled_from(
    [
        "A=1",
        "B='x y' # comment",
        "URL=postgres://${A}/x",
        r'SAID="say \"hi\""',
        r'TWO="a\nb"',
        'KEY="-----BEGIN-----\nabc\n-----END-----"',
        "export F=1",
        "  # comment",
        "",
        "EMPTY=",
        "SPACED = 2 # comment",
        "HASH=a#b",
        "QUOTE=it's",
        "DEFAULT=${NONE_SUCH_:-d}",
        "no line!",
        "UNSET",
        "T={{ params.number }}",
        "DOLLAR='$HOME $(X)'",
    ]
)


def _environment(**further: Any) -> st.SearchStrategy[Any]:
    names = st.one_of(_NAME, st.sampled_from(["AIRFLOW_TMP_DIR", "A", "B", *further.values()]))
    values = st.one_of(_VALUE, _VALUE, st.none())
    return st.one_of(st.none(), st.dictionaries(names, values, max_size=3))


def _mount_arguments() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "target": st.one_of(_PATH, _TEMPLATE.map(lambda text: f"/{text}")),
            "source": st.one_of(st.none(), st.just(""), _NAME, _PATH),
        },
        optional={
            "type": st.sampled_from(["bind", "volume", "tmpfs"]),
            "read_only": st.booleans(),
            "no_copy": st.booleans(),
            "tmpfs_size": _SIZE,
            "tmpfs_mode": st.sampled_from([None, 0, 0o700]),
            "consistency": st.sampled_from([None, "", "default"]),
            "propagation": st.sampled_from([None, "rslave"]),
            "labels": st.sampled_from([None, {}, {"a": "b"}]),
            "subpath": st.sampled_from([None, "", "inner"]),
        },
    )


def _as_mount(arguments: Mapping[str, Any]) -> Any:
    try:
        return Mount(**arguments)
    except Exception:  # noqa: BLE001  # the operator must then refuse the arguments
        return dict(arguments)


_MOUNT = st.one_of(_mount_arguments(), _mount_arguments().map(_as_mount))
_CASES: Mapping[str, st.SearchStrategy[Any]] = {
    "image": st.one_of(_NAME, st.just("registry:5000/a/b:1"), _TEMPLATE),
    "api_version": st.sampled_from([None, "auto", "1.37"]),
    "command": st.one_of(
        st.none(),
        _WORD,
        st.lists(_WORD, max_size=3),
        st.lists(_WORD, max_size=3).map(repr),
        st.lists(_WORD, max_size=2).map(tuple),
        st.lists(_TEMPLATE, max_size=2),
        st.sampled_from(["", "echo 'a b' $HOME", "  ['a', 'b c']", "echo 'open", "[1"]),
        _TEMPLATE,
    ),
    "container_name": st.sampled_from([None, "", "c"]),
    "cpus": st.one_of(st.integers(0, 64), st.floats(0, 64), st.sampled_from([True, -1.0])),
    "docker_url": st.sampled_from(
        [None, "", [], "unix://var/run/docker.sock", ["tcp://host:1"], "host:1", ["a:1", "b:1"]]
    ),
    "environment": _environment(),
    "private_environment": _environment(),
    "env_file": st.one_of(st.none(), st.lists(_LINES, max_size=6).map("\n".join)),
    "force_pull": _BOOL,
    "mem_limit": _SIZE,
    "host_tmp_dir": st.sampled_from([None, "/tmp"]),
    "network_mode": st.sampled_from(
        [None, "", "default", "bridge", "host", "none", "shop_default", "container:db"]
    ),
    "tls_ca_cert": st.sampled_from([None, "", "/ca.pem"]),
    "tls_verify": _BOOL,
    "tls_hostname": st.sampled_from([None, "", True, False, "host"]),
    "mount_tmp_dir": st.sampled_from([True, False, None, 0, 1]),
    "tmp_dir": st.sampled_from(["/tmp/airflow", "/scratch"]),
    "user": st.sampled_from([None, "", 0, 1000, "1000", "10:20", "airflow", "root", "1:g", True]),
    "mounts": st.one_of(st.none(), st.lists(_MOUNT, max_size=2)),
    "entrypoint": st.one_of(
        st.sampled_from([None, "", [], [""], "sh -c", "['sh', '-c']", ()]),
        st.lists(_WORD, max_size=2),
        _TEMPLATE,
    ),
    "working_dir": st.sampled_from([None, "", "/w", "/opt/app.env", "/{{ params.text }}"]),
    "xcom_all": _BOOL,
    "docker_conn_id": st.sampled_from([None, "", "d"]),
    "dns": st.one_of(st.none(), _TEXTS, st.just("1.1.1.1"), st.just(("1.1.1.1",))),
    "dns_search": st.one_of(st.none(), _TEXTS, st.just("a.example")),
    "auto_remove": st.sampled_from(["never", "success", "force"]),
    "shm_size": _SIZE,
    "tty": _BOOL,
    "hostname": st.sampled_from([None, "", "h", "Host.example", "{{ params.text }}"]),
    "privileged": _BOOL,
    "cap_add": st.sampled_from([None, [], ["NET_ADMIN"], ("CAP_A", "b"), ["ALL"], "SYS_ADMIN"]),
    "extra_hosts": st.sampled_from(
        [None, {}, [], {"b": "1.2.3.4", "a": "::1"}, {"h": "host-gateway"}, ["x:1.2.3.4"], ["x"]]
    ),
    "retrieve_output": _BOOL,
    "retrieve_output_path": st.sampled_from([None, "/o/r"]),
    "timeout": st.sampled_from([None, 60, 5]),
    "device_requests": st.sampled_from(
        [None, [], [DeviceRequest(count=1, capabilities=[["gpu"]])]]
    ),
    "log_opts_max_size": st.sampled_from([None, "1m"]),
    "log_opts_max_file": st.sampled_from([None, "3"]),
    "ipc_mode": st.sampled_from([None, "", "private", "host", "shareable"]),
    "skip_on_exit_code": st.sampled_from([None, 0, 99, [1, 2], (3,), {4}, range(5, 7), True]),
    "port_bindings": st.sampled_from([None, {}, {80: 8080}]),
    "ulimits": st.sampled_from([None, [], [Ulimit(name="nofile", soft=1, hard=2)]]),
    "labels": st.one_of(
        st.none(),
        st.dictionaries(_NAME, st.one_of(_TEXT, st.none(), _TEMPLATE), max_size=2),
        _TEXTS,
        st.sampled_from(
            [{"by": "deploy.sh"}, {"dag_id": "d"}, {"a": 1}, {"text with spaces": "v"}]
        ),
    ),
}

LEFT_OUT = {"tls_client_cert", "tls_client_key", "tls_ssl_version"}
"""Parameters that concern only the connection, so the create request does not contain them."""


def parameters() -> set[str]:
    """Return the parameters for which there is a strategy."""
    return set(_CASES)


@st.composite
def arguments(draw: Callable[[st.SearchStrategy[Any]], Any]) -> dict[str, Any]:
    """Draw an image and up to six further parameters."""
    names = draw(st.lists(st.sampled_from(sorted(_CASES)), max_size=6, unique=True))
    return {"image": "a", **{name: draw(_CASES[name]) for name in names}}
