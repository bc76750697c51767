"""Whether a device can do what a worker needs: resources, runtimes, two models that contend."""
