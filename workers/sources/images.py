"""Pictures in files and bodies, read by Pillow."""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from workers.sources.errors import UnusableSource
from workers.sources.forms import MOST_PIXELS, Array, Form

FORMATS = ("BMP", "JPEG", "PNG", "WEBP")


def pixels(file: Path | BinaryIO, form: Form, where: str) -> Array:
    """Return the pixels of a picture as a form wants them, else as they are stored.

    Raises UnusableSource for what is no picture, damaged or too large.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise UnusableSource(f"{where}: {width}x{height} pixels; at most {MOST_PIXELS}")
            gray = form.gray or image.mode in ("1", "L")
            read = image.convert("L" if gray else "RGB")
            if form.size and form.size != read.size:
                read = read.resize(form.size, Image.Resampling.BILINEAR)
            return np.asarray(read)
    except (
        OSError,
        ValueError,
        EOFError,
        SyntaxError,
        IndexError,
        TypeError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        raise UnusableSource(f"{where}: {getattr(error, 'strerror', None) or error}") from error
