"""The inputs of one request as people give them: JSON, numbers, arrays and pictures in files."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from schemas.records import Tensor
from schemas.registrations import ApplicationRegistered
from streams.errors import RegistrationError
from workers.client import tensors
from workers.gateway import plain
from workers.gateway.asked import check_inputs
from workers.gateway.refusals import Refusal
from workers.sources.errors import UnusableSource
from workers.sources.forms import Form
from workers.sources.frames import SUFFIXES, source_of


def read(texts: Sequence[str], app: ApplicationRegistered, form: Form) -> tuple[Tensor, ...]:
    """Return the inputs that texts such as `x=[0, 5, 0]`, `x=frame.png` or `body.json` give.

    Without a name an input is called as `form` says. Numbers get the type that the application
    says it takes. Raises RegistrationError, naming the text.
    """
    found: list[Tensor] = []
    for text in texts:
        name, equals, value = text.partition("=")
        given = (name, value) if equals and name.isidentifier() else (form.tensor, text)
        try:
            found += _inputs(*given, app, form)
        except Refusal as refusal:
            told = f"{refusal.where}: {refusal.what}; {refusal.remedy}"
            raise RegistrationError(told) from refusal
        except (UnusableSource, OSError) as error:
            raise RegistrationError(str(error)) from error
    try:
        check_inputs(app, tuple(found))
    except Refusal as refusal:
        told = f"{refusal.where}: {refusal.what}; {refusal.remedy}"
        raise RegistrationError(told) from refusal
    return tuple(found)


def _inputs(name: str, value: str, app: ApplicationRegistered, form: Form) -> Sequence[Tensor]:
    path = Path(value)
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        frame = source_of(path, form=replace(form, tensor=name)).frame(0)
        return frame.inputs if frame is not None else ()
    if suffix == ".npz":
        return tensors(_arrays(path))
    body = _parsed(path.read_text("utf-8") if suffix == ".json" else value, value)
    whole = isinstance(body, dict) and "inputs" in body
    content = body if whole else {"inputs": {name: body}}
    return plain.read(json.dumps(content).encode(), app).inputs


def _arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of a file of numpy's, by their own names."""
    try:
        with np.load(path, allow_pickle=False) as found:
            return {key: found[key] for key in found.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise RegistrationError(f"{path} is no npz of numpy's: {error}") from error


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RegistrationError(
            f"{where!r:.80} is neither JSON nor a file (.json, .npz, {', '.join(SUFFIXES)})"
        ) from error
