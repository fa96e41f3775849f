"""Writes the fixture of Tests/SafetensorsTests with the reference implementation, the library `safetensors`.

    pip install safetensors==0.8.0 numpy
    python scripts/safetensors_fixture.py Tests/SafetensorsTests/Fixtures/reference.safetensors
"""

import sys

import numpy
from safetensors.numpy import save_file

save_file(
    {
        "matrix": numpy.arange(6, dtype=numpy.float32).reshape(2, 3) / 4,
        "half": numpy.array([0, -0.0, 1, -2.5, 65504, 6e-8, 6.1e-5, numpy.inf, -numpy.inf], dtype=numpy.float16),
        "doubles": numpy.array([0.1], dtype=numpy.float64),
        "labels": numpy.array([1, -1, 1 << 40], dtype=numpy.int64),
        "flags": numpy.array([True, False, True]),
        "scalar": numpy.array(3.5, dtype=numpy.float32),
        "empty": numpy.zeros((0, 4), dtype=numpy.float32),
    },
    sys.argv[1],
    metadata={"format": "np", "objective": "infonce"},
)
