"""Columns to try things on, of which those that they were made of notice nothing. Pure."""

from copy import copy

import numpy as np

from placement.cluster.columns import Columns


def trial_of(columns: Columns) -> Columns:
    """Return columns as these are now; what is taken of them is taken of nothing else."""
    made = copy(columns)
    for name, value in vars(columns).items():
        if isinstance(value, np.ndarray | dict | list):
            setattr(made, name, value.copy())
    return made
