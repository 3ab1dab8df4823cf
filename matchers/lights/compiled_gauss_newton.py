"""Compiled derivatives of a rendered image by the pose parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from matchers.compiled import array, compile_for

f4, f8, i8 = types.float32, types.float64, types.int64


@compile_for(
    types.void(array(f4, 2), array(f4, 2), array(f8, 4), array(f8, 1), f4[:, :, ::1], f4[:, :, ::1])
)
def fill_design(
    view: Any, weight: Any, motion: Any, scale: Any, design: Any, weighted: Any
) -> None:
    """Compute derivatives of an image by offset, gain and pose, and the same times the weight.

    Parameters
    ----------
    motion : ndarray of float64, shape (n_y, n_x, 2, p)
        Pixel motion per unit of each parameter, on a lattice from corner to corner.
    scale : ndarray of float64, shape (p,)
        Units of the parameters.
    design, weighted : ndarray of float32, shape (2 + p, h, w)
    """
    height, width = view.shape
    nodes_y, nodes_x, _, parameters = motion.shape
    along_x, along_y = np.empty(nodes_x), np.empty(nodes_x)
    step_x = (width - 1.0) / (nodes_x - 1.0)
    step_y = (height - 1.0) / (nodes_y - 1.0)
    across, down = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(height):
        before, after = max(i - 1, 0), min(i + 1, height - 1)
        apart = np.float32(1.0 / max(after - before, 1))
        for j in range(width):
            down[j] = (view[after, j] - view[before, j]) * apart
        for j in range(1, width - 1):
            across[j] = (view[i, j + 1] - view[i, j - 1]) * np.float32(0.5)
        across[0] = view[i, min(1, width - 1)] - view[i, 0]
        across[width - 1] = view[i, width - 1] - view[i, max(width - 2, 0)]
        for j in range(width):
            design[0, i, j] = np.float32(1.0)
            design[1, i, j] = view[i, j]
            weighted[0, i, j] = weight[i, j]
            weighted[1, i, j] = weight[i, j] * view[i, j]
        node = min(int(i / step_y), nodes_y - 2) if height > 1 else 0
        share = i / step_y - node if height > 1 else 0.0
        for k in range(parameters):
            for n in range(nodes_x):
                first, second = motion[node, n, 0, k], motion[node + 1, n, 0, k]
                along_x[n] = -scale[k] * (first + share * (second - first))
                first, second = motion[node, n, 1, k], motion[node + 1, n, 1, k]
                along_y[n] = -scale[k] * (first + share * (second - first))
            start = 0
            for n in range(nodes_x - 1):
                end = width if n == nodes_x - 2 else min(int((n + 1) * step_x) + 1, width)
                slope_x = np.float32((along_x[n + 1] - along_x[n]) / max(step_x, 1e-9))
                slope_y = np.float32((along_y[n + 1] - along_y[n]) / max(step_x, 1e-9))
                base_x = np.float32(along_x[n] - n * step_x * slope_x)
                base_y = np.float32(along_y[n] - n * step_x * slope_y)
                for j in range(start, end):
                    at = np.float32(j)
                    change = across[j] * (base_x + slope_x * at)
                    change += down[j] * (base_y + slope_y * at)
                    design[k + 2, i, j] = change
                    weighted[k + 2, i, j] = weight[i, j] * change
                start = end
