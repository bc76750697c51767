"""What the detectors of drift find, and how fast drift is against River's bare update loop.

Generated: the errors of a Hoeffding tree that learned 2,000 examples of one concept of a generator
of River and then no more, on 5,000 further ones, and on 2,000 of another concept. Delay is counted
in events to the confirmed drift; a drift told before the change is a false alarm. F1 takes each
change as found when the first drift after it comes within TOLERANCE events, and any other drift as
wrong.

Annotated: the seven series of River that people have marked, each variable brought to its range
and judged by itself, scored as the Turing benchmark scores (van den Burg and Williams, "An
evaluation of change point detection algorithms", 2020): F1 with a margin of MARGIN observations,
where the first observation counts as a change for all. `f1_silent` is that of saying nothing.

No parameter was chosen on the annotated series.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from river.datasets import synth
from river.drift import ADWIN
from river.drift import datasets as annotated
from river.tree import HoeffdingTreeClassifier

from processors.drifting.changes import CONFIRMED
from processors.drifting.detectors import PARAMETERS
from processors.drifting.drift import DriftParams, spec
from schemas.columns import metrics
from schemas.observing import DriftDetected, MetricReport
from schemas.processing import Columns
from streams.bench.quality_hosted import rates

Floats = npt.NDArray[np.float64]
LEARNED, STEADY, CHANGED = 2_000, 5_000, 2_000
TOLERANCE, MARGIN = 500, 5
SERIES, EVENTS, BATCH, ROUNDS = 1_000, 400_000, 2_000, 3
START_MS = 1_700_000_000_000
_CONCEPTS: Mapping[str, tuple[Callable[[int, int], Any], int, int]] = {
    "SEA 0 to 1": (lambda f, seed: synth.SEA(variant=f, seed=seed), 0, 1),
    "SEA 0 to 3": (lambda f, seed: synth.SEA(variant=f, seed=seed), 0, 3),
    "Agrawal": (lambda f, seed: synth.Agrawal(classification_function=f, seed=seed), 0, 2),
    "STAGGER": (lambda f, seed: synth.STAGGER(classification_function=f, seed=seed), 0, 1),
    "Sine": (lambda f, seed: synth.Sine(classification_function=f, seed=seed), 0, 2),
    "Mixed": (lambda f, seed: synth.Mixed(classification_function=f, seed=seed), 0, 1),
    "LED": (lambda f, seed: synth.LED(noise_percentage=f / 100, seed=seed), 10, 20),
}


def measure(seeds: int, say: Callable[[str], None], *, hosted: bool) -> dict[str, Any]:
    """Return `drift`, the ratios to River's loop, and the rate of drift; null without seeds."""
    if not seeds:
        return dict.fromkeys(("drift", "adwin_ratio", "adwin_hosted_ratio", "adwin_read_ratio"))
    errors, marked = generated(seeds), list(_marked())
    found: dict[str, Any] = {"drift": {name: scored(name, errors, marked) for name in PARAMETERS}}
    say(f"drift: {found['drift']}")
    found |= speed(hosted=hosted)
    say(f"drift: {found['adwin_ratio']} of River's bare loop")
    return found


def scored(
    name: str, errors: Sequence[Floats], marked: Sequence[tuple[Floats, Sequence[Sequence[int]]]]
) -> dict[str, float | None]:
    """Return what one detector finds on generated and on annotated series."""
    told = [[place for place, _ in each] for each in found_by(name, errors)]
    right = wrong = early = 0
    delays = []
    for places in told:
        after = [place for place in places if place >= STEADY]
        early += len(places) - len(after)
        hit = bool(after) and after[0] - STEADY <= TOLERANCE
        delays += [after[0] - STEADY] if hit else []
        right += hit
        wrong += len(places) - hit
    starts = [{place for _, place in each} for each in found_by(name, [one for one, _ in marked])]
    pairs = list(zip(marked, _merged(starts, marked), strict=True))
    return {
        "delay": round(float(np.mean(delays)), 1) if delays else None,
        "found": round(right / len(errors), 3),
        "false_alarms_per_100k": round(100_000 * early / (STEADY * len(errors)), 2),
        "f1": _f1(right / max(1, right + wrong), right / len(errors)),
        "tolerance": TOLERANCE,
        "f1_annotated": round(float(np.mean([turing(p, told_[1]) for told_, p in pairs])), 3),
        "f1_silent": round(float(np.mean([turing(set(), each[1]) for each in marked])), 3),
        "margin": MARGIN,
    }


def _merged(starts: Sequence[set[int]], marked: Sequence[Any]) -> list[set[int]]:
    """Return the same; a series of several variables stands once per variable in both."""
    whole: dict[int, set[int]] = {}
    for places, (_, marks) in zip(starts, marked, strict=True):
        whole.setdefault(id(marks), set()).update(places)
    return [whole[id(marks)] for _, marks in marked]


def found_by(name: str, series: Sequence[Floats]) -> list[list[tuple[int, int]]]:
    """Return the drifts of each series: where they were confirmed, and where they began."""
    processor: Any = spec(DriftParams(detector=name, max_series=len(series))).build(0)
    found: list[list[tuple[int, int]]] = [[] for _ in series]
    offset = 0
    for number, values in enumerate(series):
        frame = _frame(values.tolist(), [f"{number}"] * len(values), range(len(values)), offset)
        lean, named = metrics(frame)
        for event in processor.process(Columns(lean, "weir.metrics", 0, 0, series=named)):
            if isinstance(event, DriftDetected) and event.status == CONFIRMED:
                found[number].append((event.detected_at, event.since))
        offset += len(values)
    return found


def generated(seeds: int) -> list[Floats]:
    """Return the errors of frozen trees: STEADY of the concept they know, CHANGED of another."""
    made = []
    for seed, (make, before, after) in itertools.product(range(seeds), _CONCEPTS.values()):
        tree = HoeffdingTreeClassifier()
        known = make(before, 2 * seed).take(LEARNED + STEADY)
        for x, y in itertools.islice(known, LEARNED):
            tree.learn_one(x, y)
        rest = itertools.chain(known, make(after, 2 * seed + 1).take(CHANGED))
        made.append(np.array([float(tree.predict_one(x) != y) for x, y in rest]))
    return made


def _marked() -> Iterator[tuple[Floats, Sequence[Sequence[int]]]]:
    """Yield each variable of the annotated series within 0 and 1, with all annotations."""
    for name in annotated.__all__:
        dataset = getattr(annotated, name)()
        marks = [sorted(each) for each in dataset.annotations.values()]
        rows = [y if isinstance(y, dict) else {"": y} for _, y in dataset]
        for variable in rows[0]:
            values = np.array([float(row[variable]) for row in rows])
            low, high = values.min(), values.max()
            yield (values - low) / max(high - low, math.ulp(0.0)), marks


def turing(places: set[int], marks: Sequence[Sequence[int]]) -> float:
    """Return F1 of change points against those of several people.

    Precision against all of theirs together, recall as the mean over the people.
    """
    told = places | {0}
    people = [{0, *each} for each in marks]
    precision = _hits(set().union(*people), told) / len(told)
    recall = float(np.mean([_hits(each, told) / len(each) for each in people]))
    return _f1(precision, recall)


def _hits(true: set[int], told: set[int]) -> int:
    """Return how many true change points are near one that was told, each of which counts once."""
    left, hits = set(told), 0
    for place in sorted(true):
        near = min(left, key=lambda each: abs(each - place), default=None)
        if near is not None and abs(near - place) <= MARGIN:
            left.discard(near)
            hits += 1
    return hits


def _f1(precision: float, recall: float) -> float:
    whole = precision + recall
    return round(2 * precision * recall / whole, 3) if whole else 0.0


def speed(*, hosted: bool) -> dict[str, float | None]:
    """Return the rates of drift and of River's loop over SERIES series, in the same run.

    CPU time of this process; the better of ROUNDS rounds each, in turns. `adwin_read_ratio` is the
    rate of a consumer that drops the messages: the most that any host could reach.
    """
    values = (np.random.default_rng(1).random(EVENTS) < 0.1).astype(np.float64)
    given = batches(values, SERIES)
    ours, theirs = zip(
        *((_rate(partial(run, given)), _rate(partial(river, values))) for _ in range(ROUNDS)),
        strict=True,
    )
    alone, bare = max(ours), max(theirs)
    whole = None
    if hosted:
        whole = rates(spec(DriftParams(max_series=SERIES)), (), _reports(values))
    return {
        "adwin_ratio": round(alone / bare, 3),
        "adwin_hosted_ratio": None if whole is None else round(whole.hosted / bare, 3),
        "adwin_read_ratio": None if whole is None else round(whole.read / bare, 3),
        "drift_verdicts_per_s": round(alone),
        "river_updates_per_s": round(bare),
    }


def _rate(work: Callable[[], None]) -> float:
    begun = time.process_time()
    work()
    return EVENTS / (time.process_time() - begun)


def run(given: Sequence[Columns]) -> None:
    """Let drift take batches."""
    processor: Any = spec(DriftParams(max_series=SERIES)).build(0)
    for batch in given:
        processor.process(batch)


def river(values: Floats) -> None:
    """Update River's ADWIN of each series in turn, made within what is measured."""
    params = DriftParams()
    detectors = [
        ADWIN(delta=params.delta, clock=params.clock, grace_period=params.grace)
        for _ in range(SERIES)
    ]
    for number, value in enumerate(values.tolist()):
        detectors[number % SERIES].update(value)


def batches(values: Floats, series: int) -> list[Columns]:
    """Return errors of so many series in turn, their series numbered as decoders do it."""
    count = len(values)
    names = [f"service-{n % series}" for n in range(count)]
    frame = _frame(values.tolist(), names, [n * 100 // series for n in range(count)], 0)
    entries: dict[bytes, int] = {}
    made = []
    for start in range(0, count, BATCH):
        lean, named = metrics(frame[start : start + BATCH])
        found = [entries.setdefault(key, len(entries)) for key in named["_key"]]
        named = named.with_columns(pl.Series("_entry", found, dtype=pl.Int64))
        made.append(Columns(lean, "weir.metrics", 0, START_MS, series=named))
    return made


def _frame(
    values: Sequence[float], names: Sequence[str], times: Sequence[int], offset: int
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "event_time": pl.Series(times, dtype=pl.Int64),
            "app": "bench",
            "stage": "classify",
            "service": names,
            "instance": "",
            "node": "",
            "metric": "error",
            "value": values,
            "unit": "",
            "_offset": pl.Series(range(offset, offset + len(values)), dtype=pl.Int64),
        }
    )


def _reports(values: Floats) -> Iterator[MetricReport]:
    for number, value in enumerate(values.tolist()):
        yield MetricReport(
            event_time=START_MS + number,
            app="bench",
            stage="classify",
            service=f"service-{number % SERIES}",
            metric="error",
            value=value,
        )
