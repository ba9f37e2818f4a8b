"""How far a student's logits are from its teacher's, beside `kl`.

Shapes are those of `kl`. The caller divides both by a temperature.
"""

import jax
import jax.numpy as jnp

from minisub.nets.losses import kl, masked_log_softmax


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
    log_p, log_q = masked_log_softmax(target, mask), masked_log_softmax(logits, mask)
    p, q = (jnp.where(mask, jnp.exp(log), 0) for log in (log_p, log_q))
    # How far the logarithm of the mean is above each; bounded, because the other may underflow.
    above_p = jnp.log((1 + jnp.exp(jnp.clip(log_q - log_p, -60, 60))) / 2)
    above_q = jnp.log((1 + jnp.exp(jnp.clip(log_p - log_q, -60, 60))) / 2)
    of_p, of_q = (jnp.sum(x, axis=-1, keepdims=True) for x in (p * above_p, q * above_q))
    slopes = p * (of_p - above_p) / 2, q * (of_q - above_q) / 2
    return -(of_p + of_q)[..., 0] / 2, *slopes


def mse(target, logits, mask):
    """Mean squared difference of the logits in `mask` (arXiv 1312.6184), in squared logits.
    It is not zero for a single logit, which no softmax normalizes."""
    mask = jnp.broadcast_to(mask, logits.shape)
    squares = jnp.where(mask, logits - target, 0) ** 2
    return jnp.sum(squares, axis=-1) / jnp.sum(mask, axis=-1)


def hard(target, logits, mask):
    """Cross-entropy among the logits in `mask` on the largest target there (the first of equals).
    Exactly zero, with its gradient, if the mask has a single logit."""
    largest = jnp.argmax(jnp.where(jnp.broadcast_to(mask, target.shape), target, -jnp.inf), axis=-1)
    chosen = jnp.take_along_axis(masked_log_softmax(logits, mask), largest[..., None], axis=-1)
    return -chosen[..., 0]


DIVERGENCES = {f.__name__: f for f in (kl, reverse_kl, js, mse, hard)}
