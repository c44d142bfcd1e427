"""PNG files hold the picture they were made of."""

import io

import numpy as np
import pytest
from PIL import Image

from drivesim.render.png import encode_png


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 3), (64, 3, 3), (1, 1, 4), (9, 4, 4)])
def test_another_library_reads_what_was_written(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with Image.open(io.BytesIO(encode_png(picture))) as image:
        image.load()
        assert image.format == "PNG"
        assert np.array_equal(np.asarray(image), picture)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8), np.zeros((0, 2, 3), np.uint8), np.zeros((2, 2, 3))],
)
def test_anything_else_is_refused(picture):
    with pytest.raises(ValueError, match=r"picture must be uint8 \(height, width, 3 or 4\)"):
        encode_png(picture)
