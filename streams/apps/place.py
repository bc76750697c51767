"""place: on which nodes services run. A singleton; a second worker is its standby."""

from placement import controller
from streams.faust_app import App, on_demand, run
from streams.faust_host import build_app
from workers.settings import Settings


def build(settings: Settings) -> App:
    """Return the app."""
    return build_app("place", settings, [controller.spec()])


def main(settings: Settings, health_port: int = 0) -> None:
    """Run it as this process until SIGTERM or SIGINT; raises SystemExit at the end."""
    run(build(settings), health_port)


__getattr__ = on_demand(build)
