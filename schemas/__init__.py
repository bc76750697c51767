"""The contracts of Weir: Avro schemas, typed events, topics, and the codecs between them and bytes."""
