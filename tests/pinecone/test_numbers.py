"""Vectors as JSON: short, and every bit of them."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rowvec.vectors import Floats
from rowvec.vectorstores.pinecone.numbers import MOST_BYTES, as_json


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 9)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_json_gives_every_float32_back(vectors: Floats) -> None:
    """What is read as float32 is what was written, from the smallest to the largest, with its sign."""
    read = np.array([json.loads(row) for row in as_json(vectors)], np.float32)
    assert read.tobytes() == vectors.tobytes()


def test_floats_of_every_magnitude_come_back() -> None:
    """So do a hundred thousand with bits drawn by chance."""
    bits = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint32)
    drawn = bits.view(np.float32)
    vectors = drawn[np.isfinite(drawn)][None, :]
    assert np.array(json.loads(as_json(vectors)[0]), np.float32).tobytes() == vectors.tobytes()


USUAL = st.floats(width=32, min_value=-(2**29), max_value=2**29).filter(lambda x: x == 0 or abs(x) >= 1e-14)


@given(arrays(np.float32, 50, elements=USUAL))
def test_no_number_is_longer_than_it_must_be(vector: Floats) -> None:
    """A vector's JSON stays within the size by which requests are packed."""
    [row] = as_json(vector[None, :])
    assert len(row) <= MOST_BYTES * len(vector) + 1


def test_a_usual_vector_is_half_as_long_as_its_doubles() -> None:
    """1536 numbers of a unit vector take 21 KB, not 32."""
    vector = np.random.default_rng(0).standard_normal((1, 1536)).astype(np.float32)
    vector /= np.linalg.norm(vector)
    assert len(as_json(vector)[0]) < 22_000 < 30_000 < len(json.dumps(vector[0].tolist()))
