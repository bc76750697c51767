"""The demonstration's models: seven classifiers, trained on half of the digits, exported to ONNX.

Accuracy is measured on a quarter that no model has seen, execution time on this machine; the last
quarter, unseen too, is what the requests send. Everything is kept in a folder per seed.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skl2onnx import to_onnx
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from streams.demo.corruption import Images, blur, noise, rotation
from workers.runtimes.onnx import OnnxRuntime

Labels = npt.NDArray[np.int64]
LAYOUT = 3
"""Raised when models are built differently, so that folders made before are not used."""

TIMED = 60
"""Images on which the execution time is measured, one at a time."""


@dataclass(frozen=True, slots=True)
class Model:
    """One exported classifier.

    `digest` is the SHA-256 of the file, `accuracy` a share of 1, `latency_ms` per image on this
    machine, `memory_mib` what serving it is taken to need.
    """

    service: str
    family: str
    path: str
    digest: str
    accuracy: float
    latency_ms: float
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Pool:
    """Images (N, 64) and their labels (N,)."""

    images: Images
    labels: Labels


Builder = Callable[[int], ClassifierMixin]
PLAIN: dict[str, Builder] = {
    "naive-bayes": lambda _: GaussianNB(var_smoothing=1e-2),
    "discriminant": lambda _: LinearDiscriminantAnalysis(),
    "logistic": lambda _: make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
    "perceptron": lambda seed: MLPClassifier(
        (64,), learning_rate_init=0.01, tol=1e-3, n_iter_no_change=5, random_state=seed
    ),
    "forest": lambda seed: RandomForestClassifier(50, random_state=seed),
}
AUGMENTED: dict[str, Builder] = {
    "neighbours": lambda _: KNeighborsClassifier(5),
    "extra-trees": lambda seed: ExtraTreesClassifier(50, max_leaf_nodes=250, random_state=seed),
}
"""Trained on tilted, blurred and noisy copies: a little worse on clean images, hard to upset.

What ONNX Runtime needs to load trees grows with their leaves: without a bound on these it takes
seconds.
"""


def split(seed: int) -> tuple[Pool, Pool, Pool]:
    """Return what is trained on (half), validated on and requested (a quarter each)."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    train, rest, known, left = train_test_split(
        images, labels, test_size=0.5, random_state=seed, stratify=labels
    )
    check, ask, checked, asked = train_test_split(
        rest, left, test_size=0.5, random_state=seed, stratify=left
    )
    return Pool(train, known), Pool(check, checked), Pool(ask, asked)


def build(seed: int, folder: Path, progress: Callable[[str], None]) -> tuple[list[Model], Pool]:
    """Return the models of a seed and the pool to request, building what the folder lacks.

    `progress` is told the name of every model before it is trained.
    """
    train, check, ask = split(seed)
    home = folder / f"digits-{LAYOUT}-{seed}"
    index = home / "models.json"
    if index.exists():
        return [Model(**entry) for entry in json.loads(index.read_text())], ask
    home.mkdir(parents=True, exist_ok=True)
    rich = _augment(train, np.random.default_rng(seed))
    models = []
    for pool, builders in ((train, PLAIN), (rich, AUGMENTED)):
        for service, builder in builders.items():
            progress(service)
            models.append(_build_one(service, builder(seed), pool, check, home))
    index.write_text(json.dumps([asdict(model) for model in models], indent=2))
    return models, ask


def _augment(pool: Pool, rng: np.random.Generator) -> Pool:
    copies = [rotation(pool.images, rng), rotation(pool.images, rng)]
    copies += [blur(pool.images, rng), noise(pool.images, rng)]
    return Pool(np.concatenate(copies), np.tile(pool.labels, len(copies)))


def _build_one(service: str, classifier: Any, pool: Pool, check: Pool, home: Path) -> Model:
    classifier.fit(pool.images, pool.labels)
    path = home / f"{service}.onnx"
    content = exported(classifier)
    path.write_bytes(content)
    session = OnnxRuntime().load(path)
    answers = session.run([check.images])[0]
    times = []
    for image in check.images[:TIMED]:
        started = time.perf_counter()
        session.run([image.reshape(1, -1)])
        times.append(time.perf_counter() - started)
    last = classifier[-1] if hasattr(classifier, "steps") else classifier
    return Model(
        service=service,
        family=type(last).__name__,
        path=str(path.resolve()),
        digest=hashlib.sha256(content).hexdigest(),
        accuracy=round(float(np.mean(answers == check.labels)), 4),
        latency_ms=round(float(np.median(times)) * 1000, 4),
        memory_mib=64 + len(content) // 2**20 * 4,
    )


def exported(classifier: Any) -> bytes:
    """Return a classifier of digits as an ONNX file that names its classes."""
    sample = np.zeros((1, 64), np.float32)
    options = {"zipmap": False}
    model = to_onnx(classifier, sample, options=options, target_opset=18)
    entry = model.metadata_props.add()
    entry.key, entry.value = "classes", json.dumps([str(digit) for digit in range(10)])
    content: bytes = model.SerializeToString()
    return content
