from __future__ import annotations

import numpy as np
import pytest

from zooter_core.router.neighbours import principal

# A rectangle of 4 by 2 around (1, 1, 5): the first axis is the long side, the second the short one.
CORNERS = np.array([[-1.0, 0.0, 5.0], [-1.0, 2.0, 5.0], [3.0, 0.0, 5.0], [3.0, 2.0, 5.0]])


def test_the_axes_are_the_directions_of_most_difference():
    projection = principal(CORNERS)
    assert projection.mean.tolist() == [1.0, 1.0, 5.0]
    np.testing.assert_allclose(projection.axes, [[1, 0], [0, 1], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(projection(CORNERS), [[-2, -1], [-2, 1], [2, -1], [2, 1]], atol=1e-6)


def test_a_new_vector_is_placed_by_its_part_in_the_plane():
    projection = principal(CORNERS)
    np.testing.assert_allclose(projection(np.array([2.0, 1.5, 99.0])), [1.0, 0.5], atol=1e-6)


def test_axes_are_unit_orthogonal_and_always_the_same():
    vectors = np.random.default_rng(0).normal(size=(50, 8))
    first, again = principal(vectors), principal(vectors[::-1])
    np.testing.assert_allclose(first.axes.T @ first.axes, np.eye(2), atol=1e-6)
    np.testing.assert_allclose(first.axes, again.axes, atol=1e-5)
    assert (np.take_along_axis(first.axes, np.abs(first.axes).argmax(axis=0)[None], axis=0) > 0).all()
    spread = first(vectors).var(axis=0)
    assert spread[0] > spread[1] > vectors.var(axis=0).mean()


@pytest.mark.parametrize("vectors", [np.ones((1, 3)), np.ones((4, 3)), np.ones((4, 1))])
def test_vectors_that_do_not_differ_lie_at_one_place(vectors):
    assert principal(vectors)(vectors).tolist() == [[0.0, 0.0]] * len(vectors)
