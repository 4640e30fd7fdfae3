"""JAX: jax.numpy and jax.nn, jax.value_and_grad, optax optimizers."""
