"""Ways in which a camera goes wrong, on 8x8 images with values from 0 to 1.

Every function takes images (N, 64), float32, and returns the same shape and type. What hurts one
model family need not hurt another: that is what the demonstration is about.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Images = npt.NDArray[np.float32]
SIDE = 8


def rotation(images: Images, rng: np.random.Generator) -> Images:
    """Tilt by 20 to 32 degrees, to one side per image."""
    angles = rng.uniform(20, 32, len(images)) * rng.choice([-1, 1], len(images))
    return _each(images, lambda image, i: ndimage.rotate(image, angles[i], reshape=False, order=1))


def blur(images: Images, rng: np.random.Generator) -> Images:
    """Defocus: a Gaussian of 0.9 to 1.2 pixels."""
    widths = rng.uniform(0.9, 1.2, len(images))
    return _each(images, lambda image, i: ndimage.gaussian_filter(image, widths[i]))


def occlusion(images: Images, rng: np.random.Generator) -> Images:
    """Cover a square of three by three pixels."""
    corners = rng.integers(0, SIDE - 2, (len(images), 2))

    def cover(image: Images, i: int) -> Images:
        row, column = corners[i]
        image[row : row + 3, column : column + 3] = 0
        return image

    return _each(images, cover)


def noise(images: Images, rng: np.random.Generator) -> Images:
    """Add Gaussian noise of standard deviation 0.35, clipped to 0 and 1."""
    noisy = images + rng.normal(0, 0.35, images.shape)
    return np.clip(noisy, 0, 1).astype(np.float32)


CORRUPTIONS: dict[str, Callable[[Images, np.random.Generator], Images]] = {
    "rotation": rotation,
    "blur": blur,
    "occlusion": occlusion,
    "noise": noise,
}


def _each(images: Images, change: Callable[[Images, int], Images]) -> Images:
    square = images.reshape(-1, SIDE, SIDE)
    changed = [change(square[i].copy(), i) for i in range(len(square))]
    return np.stack(changed).reshape(len(images), -1).astype(np.float32)
