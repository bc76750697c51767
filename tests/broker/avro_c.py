"""Avro's C library, with which kcat decodes, through ctypes: a schema and bytes to JSON."""

import ctypes
import json
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_void_p
from typing import Any

LIBRARY = "libavro.so.23"


class _Value(ctypes.Structure):
    _fields_ = (("iface", c_void_p), ("self", c_void_p))


class AvroC:
    """The library. Raises OSError when it is not installed (Debian: libavro23)."""

    def __init__(self) -> None:
        library = ctypes.CDLL(LIBRARY)
        library.avro_schema_from_json_length.argtypes = [c_char_p, c_size_t, POINTER(c_void_p)]
        library.avro_generic_class_from_schema.argtypes = [c_void_p]
        library.avro_generic_class_from_schema.restype = c_void_p
        library.avro_generic_value_new.argtypes = [c_void_p, POINTER(_Value)]
        library.avro_reader_memory.argtypes = [c_char_p, c_int64]
        library.avro_reader_memory.restype = c_void_p
        library.avro_value_read.argtypes = [c_void_p, POINTER(_Value)]
        library.avro_value_to_json.argtypes = [POINTER(_Value), c_int, POINTER(c_char_p)]
        library.avro_strerror.restype = c_char_p
        self._library = library

    def decode(self, schema: str, body: bytes) -> Any:
        """Return the record in a body, as the library's JSON says it."""
        text, value, out = schema.encode(), _Value(), c_char_p()
        parsed = c_void_p()
        self._check(self._library.avro_schema_from_json_length(text, len(text), byref(parsed)))
        kind = self._library.avro_generic_class_from_schema(parsed)
        self._check(self._library.avro_generic_value_new(kind, byref(value)))
        reader = self._library.avro_reader_memory(body, len(body))
        self._check(self._library.avro_value_read(reader, byref(value)))
        self._check(self._library.avro_value_to_json(byref(value), 1, byref(out)))
        return json.loads((out.value or b"").decode("latin-1"))

    def _check(self, code: int) -> None:
        if code:
            raise ValueError(self._library.avro_strerror().decode())
