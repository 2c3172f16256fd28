"""Table of DockerOperator's parameters, with the handling of each."""

from taskruns_airflow.compat.parameters import kept, needless, refused, translated

_ON_THE_DAEMON = "set it for all containers in the daemon's own configuration: `{}`"

PARAMETERS = (
    kept("image"),
    needless("api_version", "it is agreed upon with the daemon", harmless="auto"),
    translated("command", "`arguments`; a text is split as a shell does, a file is a template"),
    refused(
        "container_name",
        "leave it out: a container has its attempt's name, so that none runs twice; "
        "find it by its labels",
        harmless="",
    ),
    translated("cpus", "a CPU request: the same weight; for a limit `container_resources`"),
    translated("docker_url", "the daemon, not by `ssh://`; of several name one: a run stays there"),
    translated("environment", "`env`; None is refused: write a value, or leave it out"),
    translated("private_environment", "`env`, and no template; it is in the run's record"),
    translated("env_file", "`env`; python-dotenv reads it; every name needs a value"),
    translated("force_pull", "`image_pull_policy` Always; without it IfNotPresent"),
    translated("mem_limit", "a memory limit, without swap beyond it; bytes, or as 512m or 2g"),
    refused(
        "host_tmp_dir",
        "leave it out: the temporary folder is a volume; or mount a folder",
        harmless="",
    ),
    translated("network_mode", "a network of Docker's by its name, `bridge`, `host`, `none`"),
    translated("tls_ca_cert", "the same; naming it means TLS"),
    translated("tls_client_cert", "the same"),
    translated("tls_client_key", "the same"),
    translated("tls_verify", "True; name the authority of the daemon's certificate: tls_ca_cert"),
    translated("tls_hostname", "False where the certificate is for another name"),
    needless("tls_ssl_version", "the newest that both know is used"),
    translated("mount_tmp_dir", "a volume that goes with the container, and AIRFLOW_TMP_DIR"),
    translated("tmp_dir", "where that volume is"),
    translated("user", "`security_context`: numbers, as 1000 or 1000:1000; write these"),
    translated(
        "mounts",
        "folders of the host, volumes by name, tmpfs; without a source, with no_copy=True, an "
        "empty volume",
    ),
    translated("entrypoint", "`command`; an empty one takes the image's away"),
    kept("working_dir"),
    translated("xcom_all", "True: the XCom is a list of all lines of the log"),
    refused(
        "docker_conn_id",
        "log in with `docker login` where workers and triggerers run",
        harmless="",
    ),
    translated("dns", "the Pod's `dnsConfig`"),
    translated("dns_search", "the Pod's `dnsConfig`"),
    translated(
        "auto_remove",
        "`pod_gc`: never or False is `Never`, success or True is `OnPodSuccess`, force is "
        "`OnPodCompletion`; all go with the TaskRun",
    ),
    translated("shm_size", "a volume in memory at /dev/shm; bytes, or as 512m or 2g"),
    translated("tty", "the container's `tty`"),
    translated("hostname", "the Pod's `hostname`"),
    translated("privileged", "`security_context`"),
    translated("cap_add", "`security_context`"),
    translated("extra_hosts", "the Pod's `hostAliases`; a mapping, or a list of name:address"),
    translated("retrieve_output", "the result: JSON, nothing is unpickled; needs the path"),
    translated("retrieve_output_path", "the TaskRun's `resultPath`"),
    needless("timeout", "requests have limits of their own, and are tried again", harmless=60),
    refused(
        "device_requests",
        "on a cluster TaskRunOperator(container_resources={'limits': {'nvidia.com/gpu': 1}})",
        harmless=[],
    ),
    refused("log_opts_max_size", _ON_THE_DAEMON.format("log-opts")),
    refused("log_opts_max_file", _ON_THE_DAEMON.format("log-opts")),
    translated("ipc_mode", "`private` or `host`; write one of these"),
    kept("skip_on_exit_code", "the same; 0 skips a task that has succeeded"),
    refused("port_bindings", "use network_mode='host'", harmless={}),
    refused(
        "ulimits",
        "raise it in the command (`ulimit -n 4096; exec ...`), or for all containers in the "
        "daemon's own configuration: `default-ulimits`",
        harmless=[],
    ),
    translated(
        "labels",
        "the same, no template; a list has labels without values; texts, none of Airflow's",
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
