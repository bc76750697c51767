"""What a person is shown of a dead letter: its parts as far as they can be read, and what to do."""

from collections.abc import Mapping
from typing import Any

from schemas import files, topics
from schemas.codec import PREFIX, Codec, readable_fields, record_name, schema_id_of
from schemas.decisions import DeadLetter
from schemas.errors import ContractError
from workers.errors import Unavailable
from workers.letters import Case, keeps_whole

SHOWN_BYTES = 256
_RETRY = "then `weir deadletters retry {id}`"
_ADVICE: Mapping[str, str] = {
    "not-framed": (
        "Its producer does not speak the Confluent wire format (byte 0, schema id, Avro): give it "
        "a serializer that does. These bytes will never be an event: send it anew, and `weir "
        "deadletters discard {id}`."
    ),
    "unknown-schema": (
        "Register the producer's schema under the id that the message names, or point the producer "
        "at the same registry; " + _RETRY + "."
    ),
    "bad-schema": (
        "What the registry has under this id is no Avro record: find who registered it. Send the "
        "event anew, and `weir deadletters discard {id}`."
    ),
    "wrong-record": (
        "The event belongs on another topic, or its schema lacks a field that has no default: "
        "see `weir topics list` and `weir schemas check`. Send it anew to where it belongs, and "
        "`weir deadletters discard {id}`."
    ),
    "malformed": (
        "The bytes do not follow the schema that they name: mend the producer, send the event "
        "anew, and `weir deadletters discard {id}`."
    ),
    "trailing-bytes": (
        "More than one record stands in the value: let the producer send one each, and `weir "
        "deadletters discard {id}`."
    ),
    "too-large": (
        "It is larger than its topic takes: send large tensors by reference, and `weir "
        "deadletters discard {id}`."
    ),
    "time-ahead": (
        "Its producer's clock was ahead: set it (NTP). Once its time has come it is as good as "
        "any: `weir deadletters retry {id}`."
    ),
    "unknown-app": (
        "Register the application (`weir apps register`), " + _RETRY + "; the client was answered "
        "that it is refused, and gets no second answer."
    ),
    "key": (
        "The key of an entry must be what its fields say: register it with `weir`, and `weir "
        "deadletters discard {id}`."
    ),
}
_OTHERWISE = (
    "Its values make no sense: mend the producer, send the event anew, and `weir deadletters "
    "discard {id}`. If readers were wrong, mend them, " + _RETRY + "."
)


def advice(letter: DeadLetter) -> str:
    """Return what to do about a letter of this kind."""
    return _ADVICE.get(letter.error, _OTHERWISE).format(id=letter.event_id[:12])


def described(case: Case, codec: Codec) -> dict[str, Any]:
    """Return all that is known of a case, as JSON values; bytes as hexadecimal text."""
    letter = case.letter
    return {
        "id": case.id,
        "state": case.state,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": letter.timestamp,
        "key": None if letter.key is None else letter.key.decode("utf-8", "backslashreplace"),
        "error": letter.error,
        "field": letter.field,
        "message": letter.message,
        "refused_by": list(case.refused_by),
        "detected_at": letter.detected_at,
        "length": letter.length,
        "kept": len(letter.payload),
        "whole": keeps_whole(letter),
        "sha256": letter.sha256,
        "bytes": letter.payload[:SHOWN_BYTES].hex(" ", 4),
        "decoded": decoded(letter, codec),
        "deeds": [
            {"kind": deed.kind, "at": deed.at_ms, "for": sorted(deed.processors)}
            | {"reason": deed.reason}
            for deed in case.deeds
        ],
        "again": case.again or None,
        "mend": advice(letter),
    }


def decoded(letter: DeadLetter, codec: Codec) -> dict[str, Any]:
    """Return what can be read of a payload: schema id, record, the leading fields, or why none."""
    try:
        schema_id = schema_id_of(letter.payload)
    except ContractError:
        return _body(letter)
    found: dict[str, Any] = {"schema_id": schema_id}
    try:
        writer = codec.writer_schema(schema_id)
        fields = readable_fields(letter.payload[PREFIX.size :], writer)
    except (ContractError, Unavailable) as error:
        return found | {"unreadable": str(error)}
    return found | {"record": record_name(writer), "fields": fields}


def _body(letter: DeadLetter) -> dict[str, Any]:
    """Return the fields of a letter that holds an event's body without the wire format's prefix."""
    if letter.error == "not-framed":
        return {"text": letter.payload[:SHOWN_BYTES].decode("utf-8", "replace")}
    events = topics.topic_named(letter.topic).events
    fields = readable_fields(letter.payload, files.text(events[0].__name__))
    return {"record": events[0].__name__, "fields": fields}
