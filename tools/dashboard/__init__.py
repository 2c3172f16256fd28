"""The Grafana dashboard of the chart: what it asks, as Grafana reads it, and drawn for the docs."""
