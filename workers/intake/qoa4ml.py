"""Reports of QoA4ML as ROHE's probes write them, read into one shape. Pure.

Three forms are taken: of an ensemble (`inference_report` and `execution_graph`), of one model
(`service`, `data`, `security`, `ml_inference`) and of an application (a flat list `metrics`), each
with `metadata`; also with the names that versions before 0.3 had for some fields.
Source: the report models of qoa4ml 0.1 to 0.3.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workers.intake.translated import MAX_S

Json = dict[str, Any]
QUALITIES = ("service", "data", "security")


class Malformed(Exception):
    """A body is no report; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Records of one metric at one instance of a stage."""

    stage: str
    instance: str
    service: str
    name: str
    unit: str
    records: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Inferred:
    """One inference of an instance: what was predicted, and what was measured of it."""

    inference: str
    stage: str
    service: str
    instance: str
    functionality: str
    prediction: Any
    metrics: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A report: who sent it, when (seconds since the epoch, None if not told), and on what."""

    app: str
    request_id: str
    timestamp: float | None
    measured: tuple[Measured, ...]
    inferred: tuple[Inferred, ...]


def read(body: bytes) -> Report:
    """Return the report in a JSON body. Raises Malformed."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is no JSON: {error}") from error
    report = _object(found, "the report")
    metadata = _object(report.get("metadata") or {}, "metadata")
    client = _object(metadata.get("client_config") or {}, "metadata.client_config")
    inside = _object(report.get("inference_report") or {}, "inference_report")
    reader = _Reader(client, _object(report.get("execution_graph") or {}, "execution_graph"))
    forms = {"inference_report", "ml_inference", "metrics", *QUALITIES}
    if not forms & report.keys():
        raise Malformed(
            "neither inference_report, nor ml_inference, service, data, security, nor metrics: "
            "this is no report of QoA4ML"
        )
    measured = [*reader.stages(inside, "inference_report."), *reader.stages(report, "")]
    return Report(
        app=_text(client.get("application_name"), "metadata.client_config.application_name"),
        request_id=_text(metadata.get("corr_id"), "metadata.corr_id"),
        timestamp=_seconds(metadata.get("timestamp")),
        measured=(*measured, *reader.flat(report)),
        inferred=(*reader.ensemble(inside), *reader.single(report)),
    )


def _object(value: Any, where: str) -> Json:
    if not isinstance(value, dict):
        raise Malformed(f"{where} is no object")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed(f"{where} is no list")
    return value


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"{where} is no string")
    return value


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < MAX_S:
        raise Malformed("metadata.timestamp is no time in seconds since the epoch")
    return float(value)


class _Reader:
    """Reads the parts of a report, with the names of its instances."""

    def __init__(self, client: Json, graph: Json) -> None:
        own = _text(client.get("instance_id"), "metadata.client_config.instance_id")
        self._services = {own: _text(client.get("name"), "metadata.client_config.name")}
        self._stages = {own: _text(client.get("stage_id"), "metadata.client_config.stage_id")}
        linked = _object(graph.get("linked_list") or {}, "execution_graph.linked_list")
        for key, link in linked.items():
            where = f"execution_graph.linked_list.{key}"
            instance = _object(_object(link, where).get("instance"), f"{where}.instance")
            self._services[key] = _text(instance.get("name"), f"{where}.instance.name")
            self._stages[key] = _text(instance.get("stage"), f"{where}.instance.stage")

    def stages(self, holder: Json, before: str) -> Iterator[Measured]:
        """Yield what stands as quality → stage → metric → instance."""
        for quality in QUALITIES:
            where = f"{before}{quality}"
            for stage, found in _object(holder.get(quality) or {}, where).items():
                report = _object(found, f"{where}.{stage}")
                metrics = report.get("metrics", report.get("metric", {}))
                for name, by_instance in _object(metrics, f"{where}.{stage}.metrics").items():
                    place = f"{where}.{stage}.metrics.{name}"
                    for instance, metric in _object(by_instance, place).items():
                        yield self._measured(metric, f"{place}.{instance}", stage, instance)

    def _measured(self, metric: Any, where: str, stage: str, instance: str) -> Measured:
        found = _object(metric, where)
        name = _text(found.get("metric_name"), f"{where}.metric_name")
        if not name:
            raise Malformed(f"{where} has no metric_name")
        records = found.get("records", [])
        whole = records if isinstance(records, list) else [records]
        service = self._services.get(instance, "")
        unit = _text(found.get("unit"), f"{where}.unit")
        return Measured(stage, instance, service, name, unit, tuple(whole))

    def flat(self, report: Json) -> Iterator[Measured]:
        """Yield the metrics of a flat list, each with its stage and instance."""
        for number, metric in enumerate(_list(report.get("metrics", []), "metrics")):
            where = f"metrics.{number}"
            found = _object(metric, where)
            instance = _object(found.get("instance"), f"{where}.instance")
            key = str(instance.get("id", ""))
            self._services[key] = _text(instance.get("name"), f"{where}.instance.name")
            stage = _text(found.get("stage"), f"{where}.stage")
            yield self._measured(found, where, stage, key)

    def single(self, report: Json) -> Iterator[Inferred]:
        """Yield the inferences of a report of one model."""
        found = _object(report.get("ml_inference") or {}, "ml_inference")
        for key, inference in found.items():
            yield self._inferred(inference, f"ml_inference.{key}")

    def ensemble(self, inside: Json) -> Iterator[Inferred]:
        """Yield the inferences of an ensemble, each once; the end point says it best."""
        graph = _object(inside.get("ml_specific") or {}, "inference_report.ml_specific")
        where = "inference_report.ml_specific"
        linked = _object(graph.get("linked_list") or {}, f"{where}.linked_list")
        found = {}
        for key, link in linked.items():
            place = f"{where}.linked_list.{key}"
            made = self._inferred(_object(link, place).get("instance"), f"{place}.instance")
            found[made.inference] = made
        if graph.get("end_point"):
            last = self._inferred(graph["end_point"], f"{where}.end_point")
            found[last.inference] = last
        yield from found.values()

    def _inferred(self, inference: Any, where: str) -> Inferred:
        found = _object(inference, where)
        key = str(found.get("inference_id", found.get("id", "")))
        instance = str(found.get("instance_id", found.get("execution_instance_id", "")))
        if not key:
            raise Malformed(f"{where} has no inference_id")
        metrics = _list(found.get("metrics", []), f"{where}.metrics")
        stage = self._stages.get(instance, "")
        return Inferred(
            inference=key,
            stage=stage,
            service=self._services.get(instance, ""),
            instance=instance,
            functionality=_text(found.get("functionality"), f"{where}.functionality"),
            prediction=found.get("prediction"),
            metrics=tuple(
                self._measured(metric, f"{where}.metrics.{number}", stage, instance)
                for number, metric in enumerate(metrics)
            ),
        )
