"""Table of DockerOperator's parameters, with the handling of each."""

from taskruns_airflow.compat.parameters import kept, needless, refused, translated

_ON_THE_DAEMON = "set it for all containers in the daemon's configuration, as `{}`"

PARAMETERS = (
    kept("image"),
    needless("api_version", "negotiated with the daemon", harmless="auto"),
    translated(
        "command", "`arguments`; a string is split as a shell does, a file name is a template"
    ),
    refused(
        "container_name",
        "remove it: the container's name is derived from the attempt, which prevents duplicates; "
        "use its labels to find it",
        harmless="",
    ),
    translated(
        "cpus", "a CPU request, with the same weight; use `container_resources` for a limit"
    ),
    translated("docker_url", "the daemon's address; exactly one, and not `ssh://`"),
    translated("environment", "`env`; None is refused: set a value, or remove the variable"),
    translated("private_environment", "`env`, without templates; stored in the run's record"),
    translated("env_file", "`env`, read by python-dotenv; each variable needs a value"),
    translated("force_pull", "`image_pull_policy`: Always if True, else IfNotPresent"),
    translated("mem_limit", "a memory limit without additional swap; in bytes, or as 512m or 2g"),
    refused(
        "host_tmp_dir",
        "remove it: the temporary folder is a volume; use `mounts` for a folder of the host",
        harmless="",
    ),
    translated("network_mode", "the name of a Docker network, `bridge`, `host` or `none`"),
    translated("tls_ca_cert", "the same; enables TLS"),
    translated("tls_client_cert", "the same"),
    translated("tls_client_key", "the same"),
    translated("tls_verify", "only True; set `tls_ca_cert` to the CA of the daemon's certificate"),
    translated("tls_hostname", "False if the certificate is for another host name"),
    needless("tls_ssl_version", "the newest common version is used"),
    translated("mount_tmp_dir", "a volume with the lifetime of the container, and AIRFLOW_TMP_DIR"),
    translated("tmp_dir", "mount path of that volume"),
    translated("user", "`security_context`; only numbers, as 1000 or 1000:1000"),
    translated(
        "mounts",
        "folders of the host, named volumes, and tmpfs; an empty volume with no_copy=True and no "
        "source",
    ),
    translated("entrypoint", "`command`; an empty one removes the image's entrypoint"),
    kept("working_dir"),
    translated("xcom_all", "True: the XCom is a list of all lines of the log"),
    refused(
        "docker_conn_id",
        "log in with `docker login` on workers and triggerers",
        harmless="",
    ),
    translated("dns", "the Pod's `dnsConfig`"),
    translated("dns_search", "the Pod's `dnsConfig`"),
    translated(
        "auto_remove",
        "`pod_gc`: never or False is `Never`, success or True is `OnPodSuccess`, force is "
        "`OnPodCompletion`; all are deleted with the TaskRun",
    ),
    translated("shm_size", "an in-memory volume at /dev/shm; in bytes, or as 512m or 2g"),
    translated("tty", "the container's `tty`"),
    translated("hostname", "the Pod's `hostname`"),
    translated("privileged", "`security_context`"),
    translated("cap_add", "`security_context`"),
    translated("extra_hosts", "the Pod's `hostAliases`; a dict, or a list of name:address"),
    translated(
        "retrieve_output", "the result, as JSON and never unpickled; needs `retrieve_output_path`"
    ),
    translated("retrieve_output_path", "the TaskRun's `resultPath`"),
    needless("timeout", "requests have time limits of their own, and are retried", harmless=60),
    refused(
        "device_requests",
        "use a cluster and `container_resources={'limits': {'nvidia.com/gpu': 1}}`",
        harmless=[],
    ),
    refused("log_opts_max_size", _ON_THE_DAEMON.format("log-opts")),
    refused("log_opts_max_file", _ON_THE_DAEMON.format("log-opts")),
    translated("ipc_mode", "only `private` or `host`"),
    kept("skip_on_exit_code", "the same; 0 skips a task that succeeds"),
    refused("port_bindings", "use network_mode='host'", harmless={}),
    refused(
        "ulimits",
        "set it in the command (`ulimit -n 4096; exec ...`), or for all containers in the daemon's "
        "configuration, as `default-ulimits`",
        harmless=[],
    ),
    translated(
        "labels",
        "the same, without templates; values are strings; a list gives labels without values; the "
        "labels of the try are refused",
    ),
)
"""Parameters of version 4.6 of the provider, in its order."""

EARLIER = (
    translated("skip_exit_code", "`skip_on_exit_code`"),
    translated("xcom_push", "`do_xcom_push`"),
)
"""Present names of renamed parameters, by the former names, which DAGs may still use."""

EARLIER_NAMES = {"skip_exit_code": "skip_on_exit_code", "xcom_push": "do_xcom_push"}

ALL = PARAMETERS + EARLIER
