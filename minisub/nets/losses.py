"""Losses: pure functions of logits and targets at each position, in nats unless they say else."""

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


@jax.custom_jvp
def kl(target, logits, mask):
    """KL(softmax(target) || softmax(logits)) among the logits in `mask` (arXiv 1503.02531).

    target, logits (..., v) and a boolean mask, of equal rank or (v,) -> (...), in nats. Value and
    gradients are exactly zero where the mask has a single logit, and where the two are equal.
    """
    log_p, log_q = _log_softmax(target, mask), _log_softmax(logits, mask)
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)


@kl.defjvp
def _kl_jvp(primals, tangents):
    """Differences of what both sides compute alike: rounding would not cancel otherwise, and Adam
    would make full steps of it."""
    target, logits, mask = primals
    log_p, log_q = _log_softmax(target, mask), _log_softmax(logits, mask)
    p, q = (jnp.where(mask, jnp.exp(log), 0) for log in (log_p, log_q))
    value = jnp.sum(p * (log_p - log_q), axis=-1)
    slope = p * (log_p - log_q - value[..., None]) * tangents[0] + (q - p) * tangents[1]
    return value, jnp.sum(slope, axis=-1)


def reverse_kl(target, logits, mask):
    """KL(softmax(logits) || softmax(target)); otherwise as `kl`."""
    return kl(logits, target, mask)


@jax.custom_jvp
def js(target, logits, mask):
    """Jensen-Shannon divergence: mean KL of both from their mean, at most log 2; as `kl`."""
    return _js(target, logits, mask)[0]


@js.defjvp
def _js_jvp(primals, tangents):
    value, *slopes = _js(*primals)
    return value, sum(jnp.sum(a * b, axis=-1) for a, b in zip(slopes, tangents, strict=False))


def _js(target, logits, mask):
    """Value and slopes in both arguments; all exactly zero where these are equal."""
    log_p, log_q = _log_softmax(target, mask), _log_softmax(logits, mask)
    p, q = (jnp.where(mask, jnp.exp(log), 0) for log in (log_p, log_q))
    # How far the logarithm of the mean is above each; bounded, because the other may underflow.
    above_p = jnp.log((1 + jnp.exp(jnp.clip(log_q - log_p, -60, 60))) / 2)
    above_q = jnp.log((1 + jnp.exp(jnp.clip(log_p - log_q, -60, 60))) / 2)
    of_p, of_q = (jnp.sum(x, axis=-1, keepdims=True) for x in (p * above_p, q * above_q))
    slopes = p * (of_p - above_p) / 2, q * (of_q - above_q) / 2
    return -(of_p + of_q)[..., 0] / 2, *slopes


def mse(target, logits, mask):
    """Mean squared difference of the logits in `mask` (arXiv 1312.6184), in squared logits; shapes
    as `kl`. It is not zero for a single logit, which no softmax normalizes."""
    mask = jnp.broadcast_to(mask, logits.shape)
    squares = jnp.where(mask, logits - target, 0) ** 2
    return jnp.sum(squares, axis=-1) / jnp.sum(mask, axis=-1)


def hard(target, logits, mask):
    """Cross-entropy among the logits in `mask` on the largest target there (the first of equals);
    shapes as `kl`. Exactly zero, with its gradient, if the mask has a single logit."""
    largest = jnp.argmax(jnp.where(jnp.broadcast_to(mask, target.shape), target, -jnp.inf), axis=-1)
    chosen = jnp.take_along_axis(_log_softmax(logits, mask), largest[..., None], axis=-1)
    return -chosen[..., 0]


def _log_softmax(logits, mask):
    """Log-probabilities among the logits in the mask, and zeros outside it, where they add nothing
    to a divergence or to its gradient."""
    mask = jnp.broadcast_to(mask, logits.shape)
    log_probs = jax.nn.log_softmax(jnp.where(mask, logits, -jnp.inf))
    # A single logit has probability 1. Computed, that may be off by a rounding when compiled, and
    # Adam would make full steps of it.
    several = jnp.sum(mask, axis=-1, keepdims=True) > 1
    return jnp.where(mask & several, log_probs, 0)


IMITATED = {f.__name__: f for f in (kl, reverse_kl, js, mse, hard)}
"""Losses between a teacher's logits and a student's; the caller divides both by a temperature."""
