"""The contracts of Weir: Avro schemas, typed events, topics, and codecs between them and bytes."""
