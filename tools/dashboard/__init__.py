"""The chart's Grafana dashboard: its panels, its JSON, and its picture for the docs."""
