"""The one door to Kafka, room by room."""
