"""Losses: pure functions of logits and targets, averaged over the positions given."""

import jax
import jax.numpy as jnp


def cross_entropy(logits, targets):
    """Negative log-likelihood of each integer target, in nats; logits (..., v), targets (...)."""
    log_probs = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_probs, targets[..., None], axis=-1)[..., 0]


def kl_divergence(target_logits, logits):
    """KL(softmax(target_logits) || softmax(logits)) over the last axis, in nats."""
    target = jax.nn.log_softmax(target_logits)
    return jnp.sum(jnp.exp(target) * (target - jax.nn.log_softmax(logits)), axis=-1)
