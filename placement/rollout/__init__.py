"""canary: the processor that brings new versions in by steps."""
