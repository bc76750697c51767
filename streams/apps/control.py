"""control: all processors on Faust and the actuator in one worker, for one machine."""

from streams import topology
from streams.faust.app import App, on_demand, run
from streams.faust.host import build_app
from workers.settings import Settings

PROCESSORS = ("diagnose", "select", "remedy", "scale", "canary", "place")


def build(settings: Settings) -> App:
    """Return the app."""
    return build_app(
        "control",
        settings,
        [topology.spec_named(name) for name in PROCESSORS],
        actuates=True,
    )


def main(settings: Settings, app: App | None = None) -> None:
    """Run the app, or one that was built already, until SIGTERM; raises SystemExit at the end."""
    run(app or build(settings))


__getattr__ = on_demand(build)
