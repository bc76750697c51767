"""Two classifiers of digits, a quick one and a slow one, for the bench of the worker.

Both compare an image with those that they know: they need no training, and give a processor work
by the row. The slow one knows sixteen times as many, most of them tilted: it takes some ms per
image, as a small network does on the processor of an edge device.
"""

from pathlib import Path

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from streams.bench.worker_bed import QUICK, SLOW, Images
from streams.demo.corruption import rotation
from streams.demo.models import exported, split

_TILTED = 15


def build(folder: Path, seed: int) -> tuple[dict[str, Path], Images]:
    """Return the model files by name, and images (N, 64) that neither knows."""
    train, _, asked = split(seed)
    rng = np.random.default_rng(seed)
    tilted = [rotation(train.images, rng) for _ in range(_TILTED)]
    known = {
        QUICK: (train.images, train.labels),
        SLOW: (np.concatenate([train.images, *tilted]), np.tile(train.labels, _TILTED + 1)),
    }
    paths = {}
    for name, (images, labels) in known.items():
        paths[name] = folder / f"{name}.onnx"
        paths[name].write_bytes(exported(KNeighborsClassifier(5).fit(images, labels)))
    return paths, asked.images.astype(np.float32)
