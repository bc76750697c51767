"""Bodies of the type multipart/form-data: fields and files, binary as they are. Pure."""

from dataclasses import dataclass
from email.message import Message

from streams.embedded.packing import Unreadable


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form; a file has a file name."""

    name: str
    data: bytes
    filename: str | None = None


def fields_of(content_type: str, body: bytes) -> list[Field] | None:
    """Return the fields of a form, or None when a body is no form.

    Raises Unreadable when it cannot be read as the form that it claims to be.
    """
    header = _message("Content-Type", content_type)
    if header.get_content_type() != "multipart/form-data":
        return None
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise Unreadable(400, "the form has no boundary")
    mark = b"\r\n--" + boundary.encode()
    pieces = (b"\r\n" + body).split(mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise Unreadable(400, "the form ends before its last boundary")
    return [_field(piece) for piece in pieces[1:-1]]


def _field(piece: bytes) -> Field:
    head, found, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    for line in head.split(b"\r\n") if found else ():
        name, _, value = line.decode("utf-8", "replace").partition(":")
        if name.strip().lower() == "content-disposition":
            header = _message("Content-Disposition", value.strip())
            named = header.get_param("name", header="Content-Disposition")
            if isinstance(named, str):
                return Field(named, data, header.get_filename())
    raise Unreadable(400, "a field of the form has no name")


def _message(name: str, value: str) -> Message:
    message = Message()
    message[name] = value.replace("\r", " ").replace("\n", " ")
    return message
