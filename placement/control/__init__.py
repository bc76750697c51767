"""place: the processor that decides where the copies of services run."""
