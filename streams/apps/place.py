"""place: on which nodes services run. A singleton; a second worker is its standby."""

from streams import topology
from streams.faust.app import App, on_demand, run
from streams.faust.host import build_app
from workers.settings import Settings


def build(settings: Settings) -> App:
    """Return the app."""
    return build_app("place", settings, [topology.spec_named("place")])


def main(settings: Settings, app: App | None = None) -> None:
    """Run the app, or one that was built already, until SIGTERM; raises SystemExit at the end."""
    run(app or build(settings))


__getattr__ = on_demand(build)
