"""The sink: every topic in ClickHouse."""
