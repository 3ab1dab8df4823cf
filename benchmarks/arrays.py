"""Array types of simulators and benchmarks; simulators import nothing of the engine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ImageArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
