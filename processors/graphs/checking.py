"""All that can be told of a graph before the first request."""

from collections.abc import Collection, Iterator, Mapping

from processors.graphs.kinds import kind_problems
from processors.graphs.problems import Problem
from processors.graphs.shape import shape_problems
from processors.graphs.tensors import model_problems, tensor_problems
from schemas.registrations import ApplicationRegistered, ModelPublished, ServiceRegistered


def problems(
    app: ApplicationRegistered,
    services: Mapping[str, ServiceRegistered] | None = None,
    models: Mapping[str, ModelPublished] | None = None,
    combiners: Collection[str] = (),
) -> tuple[Problem, ...]:
    """Return what is wrong with an application's graph, in the order of its stages.

    With `services`, those that it names should be among them, now or later; with `models`, tensors
    are compared with what these say; with `combiners`, those that it names must be among them.
    """
    found = [*shape_problems(app.stages), *_whole(app, combiners)]
    found += kind_problems(app.stages, app.classes, combiners)
    found += tensor_problems(app.stages)
    if services is not None:
        found += _services(app, services)
        found += model_problems(app.stages, services, models or {})
    return tuple(found)


def _whole(app: ApplicationRegistered, combiners: Collection[str]) -> Iterator[Problem]:
    if app.combine and combiners and app.combine not in combiners:
        what = f"there is no combiner {app.combine!r}"
        yield Problem("combine", what, f"name one of {', '.join(sorted(combiners))}")
    if app.quorum < 0:
        yield Problem("quorum", f"{app.quorum} members cannot answer", "give 0 or more")
    if len(set(app.classes)) != len(app.classes):
        yield Problem("classes", "a class stands twice", "name each once")
    if app.stages and all(stage.optional for stage in app.stages):
        yield Problem("stages", "all are optional", "let one be needed for an answer")


def _services(
    app: ApplicationRegistered, services: Mapping[str, ServiceRegistered]
) -> Iterator[Problem]:
    for number, stage in enumerate(app.stages):
        where = f"stages[{number}].services"
        if not stage.services:
            what = f"nobody serves {stage.stage!r}"
            yield Problem(where, what, "name services, or report its metrics alone", mild=True)
        for place, name in enumerate(stage.services):
            service = services.get(name)
            if service is None:
                what = f"no service {name!r} is registered"
                remedy = "register it with `weir services register`"
                yield Problem(f"{where}[{place}]", what, remedy, mild=True)
            elif service.app != app.app:
                what = f"{name!r} is a service of application {service.app}"
                yield Problem(f"{where}[{place}]", what, f"register it for {app.app}")
            elif service.stage != stage.stage:
                what = f"{name!r} is registered for stage {service.stage!r}"
                yield Problem(f"{where}[{place}]", what, "name it there", mild=True)
