"""Update rules: each turns gradients into steps, before the learning rate, given a decay.

The decay is a transformation that adds coefficient times parameter to what it gets: a rule's place
for it is what tells L2 regularization from decoupled decay.
"""

import jax
import jax.numpy as jnp
import optax

from minisub.nets import trees

LENGTHLESS = optax.normalize_by_update_norm()
OPTIMIZERS = {
    # Without decay (arXiv 1412.6980).
    "adam": lambda decay: optax.scale_by_adam(),
    # With decoupled decay: weights shrink by learning rate * coefficient (arXiv 1711.05101).
    "adamw": lambda decay: optax.chain(optax.scale_by_adam(), decay),
    # Of gradients with decay, whose size it normalizes with theirs (arXiv 1711.05101).
    "adam_l2": lambda decay: optax.chain(decay, optax.scale_by_adam()),
    "sgd": lambda decay: decay,
    # Sums of past gradients, each update weighing them 0.9 times as much (heavy ball).
    "momentum": lambda decay: optax.chain(decay, optax.trace(0.9)),
    # Gradients over their root mean square, past squares fading by 0.99 an update. Epsilon as Adam
    # has it: within the root it would drown gradients below 1e-4.
    "rmsprop": lambda decay: optax.chain(decay, optax.scale_by_rms(0.99, eps_in_sqrt=False)),
    # Signs of gradients, and of what momentum would apply (arXiv 1802.04434).
    "signsgd": lambda decay: optax.chain(decay, optax.scale_by_sign()),
    "signum": lambda decay: optax.chain(decay, optax.trace(0.9), optax.scale_by_sign()),
    # What either would apply over its norm: a step is as long as the learning rate (2002.03305).
    "normalized_sgd": lambda decay: optax.chain(decay, LENGTHLESS),
    "normalized": lambda decay: optax.chain(decay, optax.trace(0.9), LENGTHLESS),
    "frozen_scale": lambda decay: optax.chain(decay, first_scale(), optax.ema(0.9)),
}
"""Name -> rule, a function of the decay."""


def first_scale(updates=10, eps=1e-8):
    """Gradients over the root mean square of the first ten: Adam's scale, which stays as it is."""

    def update(grads, state, _):
        count, sums = state
        sums = jax.tree.map(lambda s, g: s + jnp.where(count < updates, g**2, 0), sums, grads)
        seen = jnp.minimum(count + 1, updates)
        scaled = jax.tree.map(lambda g, s: g / (jnp.sqrt(s / seen) + eps), grads, sums)
        return scaled, (count + 1, sums)

    return optax.GradientTransformation(
        lambda params: (jnp.int32(0), jax.tree.map(jnp.zeros_like, params)), update
    )


def make(training):
    """The Optax transformation of a `Training` configuration, whose numbers may be traced.

    Its updates need the parameters; None leaves, such as frozen ones, are left out.
    """
    undecayed = trees.named(*training.undecayed)

    def decayed(params):
        return jax.tree.map_with_path(lambda p, _: not undecayed(trees.path_name(p)), params)

    def learning_rate(step):  # Optax's own schedules take no number of steps that is traced.
        decay = 0.5 * (1 + jnp.cos(jnp.pi * step / training.steps))
        return training.learning_rate * (decay if training.schedule == "cosine" else 1.0)

    decay = optax.add_decayed_weights(training.weight_decay, decayed)
    rule = OPTIMIZERS[training.optimizer](decay)
    return optax.chain(rule, optax.scale_by_learning_rate(learning_rate))
