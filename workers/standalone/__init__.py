"""A worker of this device alone: models, sources and bounds by a file, without Kafka."""
