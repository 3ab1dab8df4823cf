"""Array types that simulators and benchmarks share, beside `detectors.types.FloatArray`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ImageArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
