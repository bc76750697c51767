"""How much of what could be had each order gets, on the shipped scenarios."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from streams import scenario_files
from workers.scheduling.orders.names import DEFAULT, OWN
from workers.simulation import drawing
from workers.simulation.optimum import Optimum, relaxed, solve
from workers.simulation.scenario import Scenario
from workers.simulation.simulator import PLAIN, simulate

ORDERS = (PLAIN, *OWN)
BASELINES = ("priority-edf", "fifo")
PEER, TIGHT, LONG = "peer", "detector", "classifier"
"""The shipped scenario that others have published, and its two services."""
GOAL_OF_BOUND, GOAL_AGAINST = 0.95, -0.01
TITLES = ("scenario", *ORDERS, "bound", "solved", "default of bound")
Say = Callable[[str], None]


def measure(
    names: Iterable[str], seconds: float, threads: int, seeds: int, say: Say
) -> dict[str, Any]:
    """Return shares per scenario and order, the optimum of each, and what they say of the default.

    Each scenario is taken with its own seed and with `seeds - 1` further ones. `seconds` is how
    long each part of a scenario is searched. Without OR-Tools the bounds are None.
    """
    overload = {}
    for name in names:
        own = scenario_files.read(name)
        for more in range(seeds):
            scenario = own.model_copy(update={"seed": own.seed + 1_000 * more})
            told = f"{name}+{more}" if more else name
            overload[told] = _measured(scenario, seconds, threads)
            say(f"{told}: {_line(overload[told])}")
    return {
        "overload": overload,
        "mean_of_bound": _mean(_of_default(overload)),
        "worst_against_baselines": min(map(_against, overload.values()), default=None),
        "peer": peer(),
    }


def drawn(count: int, say: Say) -> dict[str, Any]:
    """Return how the default fares against the baselines on so many scenarios drawn by chance."""
    against, shares = {}, []
    for seed in range(1, count + 1):
        scenario = drawing.drawn(seed)
        own = simulate(scenario, DEFAULT).total.value_share
        best = max(simulate(scenario, name).total.value_share for name in BASELINES)
        against[scenario.name] = own - best
        shares.append(own)
    below = {name: gap for name, gap in against.items() if gap < GOAL_AGAINST}
    say(f"{len(below)} of {count} drawn scenarios below the baselines by more than {-GOAL_AGAINST}")
    return {
        "scenarios": count,
        "mean_value_share": sum(shares) / count,
        "worst_against_baselines": min(against.values()),
        "below": below,
    }


def peer() -> dict[str, Any]:
    """Return the published case: plain FIFO and the default, times in ms."""
    scenario = scenario_files.read(PEER)
    plain, own = (simulate(scenario, name).services for name in (PLAIN, DEFAULT))
    tight, long = own[TIGHT].summary(), own[LONG].summary()
    return {
        "fifo_p95_ms": plain[TIGHT].summary()["end_to_end_ms"]["p95"],
        "default_p95_ms": tight["end_to_end_ms"]["p95"],
        "default_lost": tight["arrived"] - tight["executed"],
        "other_in_time": long["in_time"],
        "other_reasons": long["reasons"],
    }


def missed(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is below its goal, in words."""
    mean, worst = found["mean_of_bound"], found["worst_against_baselines"]
    if mean is not None and mean < GOAL_OF_BOUND:
        yield f"{mean:.4f} of the bound on average, {GOAL_OF_BOUND} is the goal"
    if worst is not None and worst < GOAL_AGAINST:
        yield f"{worst:+.4f} against priority-EDF and FIFO at worst, {GOAL_AGAINST} is the goal"
    case = found["peer"]
    if case["default_p95_ms"] > 20.0 or case["default_lost"]:
        yield f"the tight task of the published case: {case['default_p95_ms']} ms at p95"


def rows(found: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the cells of a table for people, as TITLES says."""
    for name, told in found["overload"].items():
        shares = [f"{told['orders'][order]['value_share']:.4f}" for order in ORDERS]
        best = told["optimum"]
        bound = "" if best is None else f"{best['bound_share']:.4f}"
        solved = "" if best is None else "yes" if best["solved"] else "no"
        ratio = told["orders"][DEFAULT]["bound_share"]
        yield [name, *shares, bound, solved, "" if ratio is None else f"{ratio:.4f}"]


def _measured(scenario: Scenario, seconds: float, threads: int) -> dict[str, Any]:
    shares = {order: simulate(scenario, order).total.value_share for order in ORDERS}
    optimum = _optimum(scenario, seconds, threads)
    bound = None if optimum is None else optimum.bound_share
    return {
        "orders": {
            order: {"value_share": share, "bound_share": _ratio(share, bound)}
            for order, share in shares.items()
        },
        "optimum": None if optimum is None else _told(scenario, optimum, max(shares.values())),
    }


def _optimum(scenario: Scenario, seconds: float, threads: int) -> Optimum | None:
    try:
        return solve(scenario, seconds, threads)
    except ModuleNotFoundError:
        return None


def _told(scenario: Scenario, optimum: Optimum, reached: float) -> dict[str, Any]:
    """Return an optimum as a record; what an order reached was found, too."""
    best = Optimum(max(optimum.found_share, reached), optimum.bound_share)
    return {
        "found_share": best.found_share,
        "bound_share": best.bound_share,
        "solved": best.solved,
        "relaxed": relaxed(scenario),
    }


def _ratio(share: float, bound: float | None) -> float | None:
    if bound is None:
        return None
    return share / bound if bound else 1.0


def _of_default(overload: Mapping[str, Any]) -> list[float | None]:
    return [told["orders"][DEFAULT]["bound_share"] for told in overload.values()]


def _mean(ratios: list[float | None]) -> float | None:
    known = [ratio for ratio in ratios if ratio is not None]
    return sum(known) / len(known) if known and len(known) == len(ratios) else None


def _against(told: Mapping[str, Any]) -> float:
    orders = told["orders"]
    best = max(orders[name]["value_share"] for name in BASELINES)
    return float(orders[DEFAULT]["value_share"] - best)


def _line(told: Mapping[str, Any]) -> str:
    ratio = told["orders"][DEFAULT]["bound_share"]
    of_bound = "" if ratio is None else f", {ratio:.4f} of the bound"
    return f"{told['orders'][DEFAULT]['value_share']:.4f}{of_bound}; {_against(told):+.4f}"
