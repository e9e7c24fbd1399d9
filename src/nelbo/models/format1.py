"""Models as format 1 wrote them: other places for the data's moments, and options left out of digests.

In format 1 the networks of a recognition model held `centre` and `spread` themselves, flattened for perceptrons and
with the mask's share behind them, and the recognition model a copy of the centre as `fill`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from nelbo.models.spec import ModelSpec

Arrays = dict[str, np.ndarray]
_MOMENT = re.compile(r"\.recognition\.layers\[(\d+)\]\.net\.(centre|spread)\.value")
_NEW = {name: f".recognition.inputs.{name}.value" for name in ("centre", "spread")}
_MASK_SHARE = {"centre": 0.0, "spread": 1.0}
_SHARED = {"activation": "tanh", "centre": False, "init": "glorot"}
_BELIEF = {**_SHARED, "layers": [200], "likelihood": "bernoulli", "recognition": "factorial", "recognition_hidden": []}
_LATENT = {"likelihood": "bernoulli", "missing": "zero", "posterior": "diagonal", "rank": 5, "spread": False}
_DEEP = {**_SHARED, **_LATENT, "hidden": [200], "recognition_hidden": None}
# defaults at the time of format 1, which its digests leave out
_DEFAULTS: dict[str, dict[str, Any]] = {
    "vae": {**_SHARED, **_LATENT, "latents": 20, "hidden": [500], "architecture": "mlp", "channels": [32, 64]},
    "linear": {
        "latents": 2, "scale": 1.0, "learn_scale": True, "per_unit": False, "posterior": "diagonal", "init": "glorot",
        "centre": False,
    },
    "dlgm": {**_DEEP, "layers": [200], "covariance": "diagonal", "between": "identity", "activation": "relu"},
    "hvae": {**_DEEP, "layers": [50, 20]},
    "sbn": _BELIEF,
    "darn": _BELIEF,
    "fdarn": _BELIEF,
    "nade": {"hidden": [500], "order": "raster", "init": "glorot", "centre": False},
    "mixture": {"components": 500, "init": 0.1, "centre": False},
}  # fmt: skip
_LATER = {"vae": {"context"}, "linear": {"spread"}}  # options that format 1 did not have


def digest_text(spec: ModelSpec) -> str:
    """What a digest of format 1 says of a model's options: those that are not at their defaults."""
    usual = _DEFAULTS.get(spec.name, {})
    later = _LATER.get(spec.name, set())
    told = {k: v for k, v in spec.arguments.items() if k not in later and (k not in usual or usual[k] != v)}
    return json.dumps({"name": spec.name, "arguments": told}, sort_keys=True)


def written(arrays: Mapping[str, np.ndarray], spec: ModelSpec) -> Arrays:
    """A model's arrays by the names, and in the shapes, of format 1."""
    found = {name: value for name, value in arrays.items() if name not in _NEW.values()}
    options = spec.arguments
    masked = options.get("missing") == "mask"
    # every recognition network of a deep latent Gaussian model sees the data, of other models the first
    count = len(options["layers"]) if spec.name == "dlgm" else 1
    for name, place in _NEW.items():
        if place not in arrays:
            continue
        value = arrays[place]
        if name == "centre" and options.get("missing") in {"mean", "mask"}:
            found[".recognition.fill.value"] = value
        if masked:
            value = np.concatenate([value, np.full_like(value, _MASK_SHARE[name])], axis=-1)
        if options.get("architecture") != "conv":
            value = np.ravel(value)
        found |= {f".recognition.layers[{i}].net.{name}.value": value for i in range(count)}
    return found


def read(arrays: Mapping[str, np.ndarray], spec: ModelSpec) -> Arrays:
    """The arrays of a file of format 1 by today's names; what is out of place stays, and is refused later."""
    found: Arrays = {}
    shape, masked = spec.shape, spec.arguments.get("missing") == "mask"
    seen = (*shape[:-1], 2 * shape[-1]) if masked else shape
    for name, value in arrays.items():
        moment = _MOMENT.fullmatch(name)
        if moment is not None and value.size == np.prod(seen):
            found[_NEW[moment[2]]] = np.ascontiguousarray(value.reshape(seen)[..., : shape[-1]])
        elif name != ".recognition.fill.value":
            found[name] = value
    return found
