"""What systems say that know nothing of Weir: OpenTelemetry, Prometheus, QoA4ML."""
