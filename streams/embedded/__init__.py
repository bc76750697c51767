"""The whole stack on one machine: broker, schema registry, ClickHouse and their supervision."""
