"""A registry of one remote worker, and a request for it."""

SEEN = 1_779_235_200_000.0
"""2026-05-20T00:00:00Z"""
WORKER = {
    "worker_id": "edge-1",
    "status": "online",
    "endpoint_type": "http_request",
    "capabilities": {"workers": ["onnxruntime"], "devices": ["cpu"], "priority_capacity": 4},
    "health": {"state": "healthy", "last_seen_at": "2026-05-20T00:00:00Z"},
    "metadata": {"endpoint_url": "http://10.0.0.7:8765"},
}
REGISTRY = {"schema_version": "inferedge-remote-worker-registry-v1", "workers": [WORKER]}
REQUEST = {
    "schema_version": "inferedge-remote-task-request-v1",
    "task_id": "t7",
    "agent_id": "gate_watch",
    "agent_type": "camera",
    "required_backend": "onnxruntime",
    "device_target": "cpu",
    "priority": 8,
    "latency_budget_ms": 50.0,
    "input_ref": {"type": "image", "path": "frame.ppm"},
    "retry_policy": {"max_attempts": 2, "fallback_on": ["timeout"]},
}
