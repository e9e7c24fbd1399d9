"""Eight simulated devices give one device's numbers, to float tolerance (sums are made in another order)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import jax
import numpy as np
from jax.sharding import Mesh
from small import leaves, rows, train
from nelbo.data import Split, source

assert len(jax.devices()) == 8
one = train(keep="last")
for count, on_host in ((2, True), (8, False)):
    mesh = Mesh(np.array(jax.devices()[:count]), ("data",))
    many = train(keep="last", mesh=mesh, data=source(Split(rows(33)), "real", on_host=on_host))
    for a, b in zip(leaves(one.model), leaves(many.model), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for a, b in zip(one.history, many.history, strict=True):
        np.testing.assert_allclose(a["train_bound"], b["train_bound"], rtol=1e-4)
        np.testing.assert_allclose(a["valid_bound"], b["valid_bound"], rtol=1e-4)
try:
    train(batch_size=6, mesh=mesh)
except ValueError as error:
    assert "multiple of the 8 devices" in str(error)
else:
    raise SystemExit("a batch that does not divide was taken")
print("equal")
"""


@pytest.mark.slow
def test_a_mesh_of_devices_equals_one_device():
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": path,
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.stdout.strip() == "equal", done.stderr[-3000:]
