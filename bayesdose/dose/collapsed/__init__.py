"""The collapsed engine: coefficients and patient effects integrated out exactly, in JAX."""
