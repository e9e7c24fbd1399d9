"""Strict JAX in every test: a reused key, a silent promotion of types or of ranks is an error."""

import jax

jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
