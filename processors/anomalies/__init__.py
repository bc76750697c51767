"""anomaly: values that the past of their series hardly had."""
