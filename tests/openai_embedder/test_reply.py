"""How a reply may be written, and still be read: base64 is cut out before the parser sees the rest."""

from __future__ import annotations

import json

import numpy as np
import pybase64
import pytest

from rowvec.embedders.openai.reply import read
from rowvec.errors import Unusable

VECTORS = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [-1, 0.5, 0, 9]], "<f4")


def body(**more: object) -> bytes:
    """A reply whose vectors come in another order than the texts."""
    items = [
        {"object": "embedding", "index": index, "embedding": pybase64.b64encode(VECTORS[index]).decode()}
        for index in (2, 0, 1)
    ]
    return json.dumps({"data": items, "usage": {"prompt_tokens": 7}, **more}).encode()


@pytest.mark.parametrize(
    "written",
    [
        body(),
        body().replace(b" ", b""),
        body().replace(b'"embedding": ', b'"embedding":\n    '),
        body().replace(b'"embedding": ', b'"embedding" : '),
        body().replace(b"/", rb"\/"),
        body(note={"embedding": "of no text"}),
        body(note='"embedding":"AAAA'),
        json.dumps(json.loads(body()), indent=2).encode(),
    ],
)
def test_however_it_is_written_every_text_gets_its_vector(written: bytes) -> None:
    reply = read(written, 3, 4, "somebody")
    assert np.array_equal(reply.vectors, VECTORS)
    assert reply.tokens == 7


def ordered(*embeddings: str) -> bytes:
    """A reply of so many texts, in their order."""
    items = [{"index": index, "embedding": embedding} for index, embedding in enumerate(embeddings)]
    return json.dumps({"data": items}).encode()


THREE = np.array([[1, 2, 3], [-4, 0.5, 6], [7, 8, 9]], "<f4")
"""Twelve bytes are sixteen characters: no base64 is padded, and all of it is decoded in one go."""
WHOLE = [pybase64.b64encode(vector).decode() for vector in THREE]


def test_vectors_in_order_are_decoded_in_one_go() -> None:
    vectors = read(ordered(*WHOLE), 3, 3, "somebody").vectors
    assert np.array_equal(vectors, THREE) and vectors.flags.writeable


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("!" * 16, "no base64"),
        (WHOLE[1][:14] + "==", "vector 1 has 2.5 dimensions, not 3"),
        (WHOLE[1][:12], "vector 1 has 2.25 dimensions, not 3"),
        (WHOLE[1] * 2, "vector 1 has 6 dimensions, not 3"),
        (WHOLE[1][:12] + "AAB/" + "fw==", "vector 1 has"),
    ],
)
def test_of_many_in_order_the_wrong_one_is_told(second: str, words: str) -> None:
    with pytest.raises(Unusable, match=words):
        read(ordered(WHOLE[0], second, WHOLE[2]), 3, 3, "somebody")


def test_two_wrong_ones_do_not_make_up_for_each_other() -> None:
    """Together they are as long as they should be."""
    with pytest.raises(Unusable, match="vector 0 has"):
        read(ordered(WHOLE[0] + WHOLE[1][:4], WHOLE[1][4:], WHOLE[2]), 3, 3, "somebody")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (body().replace(b"=", b"!"), "no base64"),
        (body().replace(b'"index": 2', b'"index": 0'), "doubled"),
        (body().replace(b'"embedding": "', b'"embedding": "", "other": "'), "0 dimensions"),
        (body() + b"}", "no embeddings"),
    ],
)
def test_what_is_wrong_is_told(written: bytes, words: str) -> None:
    with pytest.raises(Unusable, match=words):
        read(written, 3, 4, "somebody")
