"""Specifications for the partitions that the cluster has, where those are not the topic table's.

State is kept per partition: which keys it is about depends on how many there are. So the count is
part of the parameters that a snapshot was taken under, and topics that grew behind the back of
their readers are noticed, not misread.
"""

from collections.abc import Mapping
from dataclasses import replace

from schemas.processing import Spec
from schemas.topics import topic_named
from workers.errors import HostStopped

_MARK = "@"


def sized(spec: Spec, counts: Mapping[str, int]) -> Spec:
    """Return the specification for the partitions that its inputs have; absent ones count for none.

    Raises HostStopped when topics that are joined have different counts.
    """
    if spec.singleton:
        return spec
    found = {topic: counts[topic] for topic in spec.inputs if topic in counts}
    if len(set(found.values())) > 1:
        told = ", ".join(f"{topic} has {count}" for topic, count in found.items())
        raise HostStopped(
            f"{spec.name} joins topics that must have equally many partitions, but {told}: "
            f"`weir topics grow {spec.inputs[0]} --partitions {max(found.values())}`"
        )
    declared = topic_named(spec.inputs[0]).partitions
    count = next(iter(found.values()), declared)
    if count == declared:
        return spec
    fitted = spec.sized(count) if spec.sized is not None else spec
    return replace(fitted, parameters=marked(fitted.parameters, count, spec))


def marked(parameters: str, count: int, spec: Spec) -> str:
    """Return parameters as they are named for so many partitions."""
    bare = parameters_of(parameters)
    declared = topic_named(spec.inputs[0]).partitions
    return bare if count == declared else f"{bare}{_MARK}{count}"


def parameters_of(mark: str) -> str:
    """Return the hash alone of parameters that a specification or a snapshot names."""
    return mark.partition(_MARK)[0]


def partitions_of(mark: str, spec: Spec) -> int:
    """Return the partition count under which parameters were named."""
    _, _, count = mark.partition(_MARK)
    return int(count) if count.isdecimal() else topic_named(spec.inputs[0]).partitions
