"""diagnose: why quality fell, as ranked root causes. Scales with its partitions."""

from streams import topology
from streams.faust.app import App, on_demand, run
from streams.faust.host import build_app
from workers.settings import Settings


def build(settings: Settings) -> App:
    """Return the app."""
    return build_app("diagnose", settings, [topology.spec_named("diagnose")])


def main(settings: Settings, app: App | None = None) -> None:
    """Run the app, or one that was built already, until SIGTERM; raises SystemExit at the end."""
    run(app or build(settings))


__getattr__ = on_demand(build)
