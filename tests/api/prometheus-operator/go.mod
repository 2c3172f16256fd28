// The Prometheus operator, for the schemas of its kinds that the chart makes objects of: pinned by
// hash (go.sum) and fetched, but nothing of it is built.
module taskruns.dev/tests/api/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
