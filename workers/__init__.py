"""The processes of Weir on confluent-kafka: hosts, inference workers, sink, probe and client."""
