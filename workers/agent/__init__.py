"""The node agent: what a machine is doing, as metrics, and the machine itself, by heartbeat."""
