"""Losses: pure functions of logits and targets at each position, in nats unless they say else."""

import jax
import jax.numpy as jnp


def cross_entropy(logits, targets):
    """Negative log-likelihood of each integer target, in nats; logits (..., v), targets (...)."""
    log_probs = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_probs, targets[..., None], axis=-1)[..., 0]


def kl_divergence(target_logits, logits):
    """KL(softmax(target_logits) || softmax(logits)) over the last axis, in nats; of equal
    logits zero up to rounding, exactly in `kl`."""
    target = jax.nn.log_softmax(target_logits)
    return jnp.sum(jnp.exp(target) * (target - jax.nn.log_softmax(logits)), axis=-1)


@jax.custom_jvp
def kl(target, logits, mask):
    """As `kl_divergence`, but among the logits in `mask` (arXiv 1503.02531), and value and
    gradients are exactly zero where the mask has a single logit, and where the two are equal.

    target, logits (..., v) and a boolean mask, of equal rank or (v,) -> (...), in nats.
    """
    log_p, log_q = masked_log_softmax(target, mask), masked_log_softmax(logits, mask)
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)


@kl.defjvp
def _kl_jvp(primals, tangents):
    """Differences of what both sides compute alike: rounding would not cancel otherwise, and Adam
    would make full steps of it."""
    target, logits, mask = primals
    log_p, log_q = masked_log_softmax(target, mask), masked_log_softmax(logits, mask)
    p, q = (jnp.where(mask, jnp.exp(log), 0) for log in (log_p, log_q))
    value = jnp.sum(p * (log_p - log_q), axis=-1)
    slope = p * (log_p - log_q - value[..., None]) * tangents[0] + (q - p) * tangents[1]
    return value, jnp.sum(slope, axis=-1)


def masked_log_softmax(logits, mask):
    """Log-probabilities among the logits in the mask, and zeros outside it, where they add nothing
    to a divergence or to its gradient."""
    mask = jnp.broadcast_to(mask, logits.shape)
    log_probs = jax.nn.log_softmax(jnp.where(mask, logits, -jnp.inf))
    # A single logit has probability 1. Computed, that may be off by a rounding when compiled, and
    # Adam would make full steps of it.
    several = jnp.sum(mask, axis=-1, keepdims=True) > 1
    return jnp.where(mask & several, log_probs, 0)
