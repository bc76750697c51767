"""The actuator: decisions of placement become deeds."""
