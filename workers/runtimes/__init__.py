"""What executes models: one Protocol, one module per runtime."""
