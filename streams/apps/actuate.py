"""actuate: carries placements out on the nodes that this machine plays."""

from streams.faust_app import App, on_demand, run
from streams.faust_host import build_app
from workers.settings import Settings


def build(settings: Settings) -> App:
    """Return the app."""
    return build_app("actuate", settings, [], actuates=True)


def main(settings: Settings, health_port: int = 0) -> None:
    """Run it as this process until SIGTERM or SIGINT; raises SystemExit at the end."""
    run(build(settings), health_port)


__getattr__ = on_demand(build)
