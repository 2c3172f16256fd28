"""Definitions of the dashboard's panels: rows, titles, meanings and queries."""

from tools.dashboard.panel import Kind, Panel, Query, Row

JOB = 'job=~"$job"'
REPLICAS = "job, namespace"
"""Labels that are the same for all controllers of one release. Each of them reports all objects, so
gauges of objects are the maximum by these labels, and the sum over releases."""


def _quantiles(metric: str, by: str = "", where: str = "") -> tuple[Query, ...]:
    """Return the queries for the median and the 95th percentile of a histogram."""
    rate = f"rate({metric}_bucket{{{where}{JOB}}}[$__rate_interval])"
    grouped = f"sum by ({by}le) ({rate})"
    name = "{{" + by.rstrip(", ") + "}} " if by else ""
    return tuple(
        Query(f"histogram_quantile({quantile}, {grouped})", f"{name}{word}")
        for quantile, word in ((0.5, "median"), (0.95, "95th percentile"))
    )


def _objects(metric: str, by: str = "", where: str = "") -> str:
    """Return the expression for a number of objects, each counted once."""
    each = f"max by ({REPLICAS}{by and f', {by}'}) ({metric}{{{where}{JOB}}})"
    return f"sum by ({by}) ({each})" if by else f"sum({each})"


def _per_minute(metric: str, by: str, where: str = "") -> Query:
    rate = f"rate({metric}{{{where}{JOB}}}[$__rate_interval])"
    return Query(f"sum by ({by}) ({rate}) * 60", "{{" + by + "}}")


HEALTH = Row(
    "Health",
    (
        Panel(
            "Controller",
            "Whether every controller is ready (/readyz), and one of each release leads.",
            (
                Query(
                    f"min(taskruns_ready{{{JOB}}}) * "
                    f"min(max by ({REPLICAS}) (taskruns_leader{{{JOB}}}))"
                ),
            ),
            kind=Kind.STAT,
            words={1: ("Ready", "green"), 0: ("Not ready", "red")},
        ),
        Panel(
            "Version",
            "The version of the controllers.",
            (Query(f"count by (version) (taskruns_build_info{{{JOB}}})", "{{version}}"),),
            kind=Kind.STAT,
            names_only=True,
        ),
        Panel(
            "Age of the watches",
            "Time since the older of the two watches delivered an event, or a list showed that it "
            "had missed none. Lists are made once a minute: two missing lists are a problem.",
            (Query(f"max(taskruns_watch_age_seconds{{{JOB}}})"),),
            unit="s",
            kind=Kind.STAT,
            thresholds=(130, 300),
        ),
        Panel(
            "Longest wait",
            "Time for which the longest waiting run has waited for a free worker.",
            (Query(f"max(taskruns_queue_longest_wait_seconds{{{JOB}}})"),),
            unit="s",
            kind=Kind.STAT,
            thresholds=(5, 60),
        ),
        Panel(
            "Busy workers",
            "Share of the workers of the busiest controller that are reconciling a run. If it "
            "stays at 100 %, runs wait.",
            (Query(f"max(taskruns_workers_busy{{{JOB}}} / taskruns_workers{{{JOB}}})"),),
            unit="percentunit",
            kind=Kind.STAT,
            thresholds=(0.8, 0.95),
        ),
        Panel(
            "Faults",
            "Reconciles within the time shown that failed because of an error in the controller. "
            "Please report each.",
            (
                Query(
                    "sum(increase(taskruns_reconcile_duration_seconds_count"
                    f'{{result="failed",{JOB}}}[$__range]))'
                ),
            ),
            kind=Kind.STAT,
            thresholds=(None, 1),
            decimals=0,
        ),
        Panel(
            "Memory",
            "Resident memory of the controller's process. The chart's limit is 512 MiB.",
            (Query(f"max(process_resident_memory_bytes{{{JOB}}})"),),
            unit="bytes",
            kind=Kind.STAT,
            thresholds=(4e8, 5e8),
        ),
        Panel(
            "CPU",
            "Cores that the controllers use. Each can use one core at most.",
            (Query(f"sum(rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval]))"),),
            kind=Kind.STAT,
            thresholds=(0.7, 0.9),
        ),
    ),
    height=4,
)

LOAD = Row(
    "Runs",
    (
        Panel(
            "Active runs, by phase",
            "TaskRuns that have not ended, by the phase of their status.",
            (
                Query(
                    _objects("taskruns_runs", "phase", 'phase!~"Succeeded|Failed|Cancelled",'),
                    "{{phase}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Finished runs per minute, by phase",
            "TaskRuns that ended, in any final phase.",
            (_per_minute("taskruns_finished_total", "phase"),),
            stacked=True,
        ),
        Panel(
            "Queued runs, by reason",
            "TaskRuns that wait for something outside of the controller: a quota, a scheduling "
            "gate such as Kueue's, a service account.",
            (Query(_objects("taskruns_runs_queued", "reason"), "{{reason}}"),),
            stacked=True,
        ),
        Panel(
            "Existing TaskRuns and Pods",
            "Existing TaskRuns, including ended ones until their TTL is over, and their Pods.",
            (
                Query(f"sum({_objects('taskruns_runs', 'phase')})", "TaskRuns"),
                Query(_objects("taskruns_pods"), "Pods"),
            ),
        ),
    ),
)

SPEED = Row(
    "Latency",
    (
        Panel(
            "Creation to first Pod",
            "Time from the creation of a TaskRun to that of its first Pod, unless a quota or a "
            "suspension delayed it. The creation time has a resolution of one second.",
            _quantiles("taskruns_create_to_pod_seconds"),
            unit="s",
        ),
        Panel(
            "End of main container to status",
            "Time from the end of the main container, by its node's clock and with a resolution of "
            "one second, to the status with its outcome: the delay that clients observe.",
            _quantiles("taskruns_main_end_to_status_seconds"),
            unit="s",
        ),
        Panel(
            "Pod event to status",
            "Time from the watch event of the Pod's end to the status write.",
            _quantiles("taskruns_pod_end_to_status_seconds"),
            unit="s",
        ),
        Panel(
            "Queue wait and reconcile, 95th percentile",
            "95th percentile of the time that a run waited in the work queue for a free worker, "
            "and of the duration of a reconcile, including its requests.",
            (
                Query(_quantiles("taskruns_queue_wait_seconds")[1].expression, "queue wait"),
                Query(_quantiles("taskruns_reconcile_duration_seconds")[1].expression, "reconcile"),
            ),
            unit="s",
        ),
    ),
)

FAILURES = Row(
    "Failures",
    (
        Panel(
            "Unsuccessful runs per minute, by reason",
            "TaskRuns that failed or were cancelled, by reason; docs/reasons.md explains each.",
            (
                Query(
                    "sum by (reason) (rate(taskruns_finished_total"
                    f'{{phase!="Succeeded",{JOB}}}[$__rate_interval])) * 60 > 0',
                    "{{reason}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Unsuccessful runs, by failure kind",
            "TaskRuns within the time shown that did not succeed, by failure kind.",
            (
                Query(
                    "sum by (failure_kind) (increase(taskruns_finished_total"
                    f'{{phase!="Succeeded",{JOB}}}[$__range]))',
                    "{{failure_kind}}",
                ),
            ),
            kind=Kind.BARS,
            decimals=0,
        ),
        Panel(
            "Retries per minute",
            "Attempts that are followed by another: application failures by backoffLimit, "
            "disruptions by disruptionLimit, attempts replaced before they started, "
            "attempts requeued by Kueue, failures ignored by podFailurePolicy.",
            (_per_minute("taskruns_retries_total", "kind"),),
            stacked=True,
        ),
        Panel(
            "Unsuccessful reconciles per minute",
            "put_off: the apiserver did not respond, or the run changed faster than it could be "
            "reconciled. failed: an error in the controller. Both are retried.",
            (
                _per_minute(
                    "taskruns_reconcile_duration_seconds_count", "result", 'result!="done",'
                ),
            ),
            thresholds=(None, 1),
        ),
    ),
)

COST = Row(
    "API requests and open files",
    (
        Panel(
            "Requests per second",
            "Requests of the controllers to the apiserver.",
            (
                Query(
                    "sum by (verb, resource) "
                    f"(rate(taskruns_api_requests_total{{{JOB}}}[$__rate_interval])) > 0",
                    "{{verb}} {{resource}}",
                ),
            ),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Failed requests per minute, by code",
            "Requests by code. 409: a conflicting write, which is retried. 403 on create: a quota, "
            "or admission. 429 and 5xx: the apiserver is overloaded. <error>: no response.",
            (
                Query(
                    "sum by (verb, resource, code) (rate(taskruns_api_requests_total"
                    f'{{code!~"2..",{JOB}}}[$__rate_interval])) * 60 > 0',
                    "{{code}} {{verb}} {{resource}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Request duration, 95th percentile",
            "95th percentile of the time until the apiserver responded.",
            (
                Query(
                    _quantiles("taskruns_api_request_duration_seconds", "verb, ", 'verb!="watch",')[
                        1
                    ].expression,
                    "{{verb}}",
                ),
            ),
            unit="s",
            thresholds=(None, 1),
        ),
        Panel(
            "Open files",
            "Open files and connections of the controller's process.",
            (Query(f"max(process_open_fds{{{JOB}}})", "open"),),
        ),
    ),
)

ROWS = (HEALTH, LOAD, SPEED, FAILURES, COST)
