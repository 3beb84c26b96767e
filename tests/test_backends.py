"""TensorFlow and JAX agree, and each agrees with finite differences."""

import numpy as np
import pytest

from tests.backend_case import CASES, check_derivatives, results_of_this_backend
from tests.conftest import on_jax


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each backend computes; on JAX that fails where it splits, refuses or differentiates otherwise than TensorFlow."""
    out = tmp_path_factory.mktemp("backends") / "jax.npz"
    on_jax("import runpy; runpy.run_module('tests.backend_case', run_name='__main__')", out)
    return {"tensorflow": results_of_this_backend(), "jax": dict(np.load(out))}


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("term", ["pal", "total"])
@pytest.mark.parametrize("case", CASES)
def test_gradient_with_respect_to_the_weights_equals_finite_differences(results, backend, term, case):
    """PAL alone, and the whole loss of a training step."""
    for direction in ("steepest", "mixed"):
        slope, difference = (results[backend][f"{case}/{term}/{direction}/{name}"] for name in ("slope", "difference"))
        assert slope > 1e-3
        assert difference == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("quantity", ["logits", "map", "pal/value", "pal/gradient", "total/value", "total/gradient"])
def test_backends_agree(results, case, quantity):
    tensorflow, jax = (results[backend][f"{case}/{quantity}"] for backend in ("tensorflow", "jax"))
    np.testing.assert_allclose(tensorflow, jax, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("name", ["heatmap", "grad_cam", "integrated"])
def test_backends_draw_the_same_maps(results, name):
    np.testing.assert_allclose(results["tensorflow"][name], results["jax"][name], rtol=1e-3, atol=1e-5)


def test_the_chapters_derivatives_are_those_of_the_tests():
    check_derivatives()
