"""Students that are linear in their parameters."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minisub
from minisub import channels, distillation, image_chain, imitation, tokens
from minisub.image_config import Data, ImageArm, ImageModel
from minisub.token_config import Arm, Sampling

IMAGES = minisub.ImageConfig(data=Data(name="clusters"), model=ImageModel(layers="mlp-8-6"))
SETTINGS = {"data": IMAGES.data, "model": IMAGES.model}


def drawn(shapes, seed, scale=0.4):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: rng.normal(0, scale, x.shape).astype(np.float32), shapes)


def outputs(world, linear, tiny, start):
    """(params, ) -> what a student of a world says of some inputs: a tree."""
    if world == "tokens":
        arm = Arm(name="a", linear=linear)
        net = distillation.student({"world": tiny.world, "model": tiny.model, "arm": arm}, start)
        docs = tokens.lists(tiny.world, jax.random.key(1), 5)[:, :-1]
        return lambda p: [
            net.apply(p, docs), net.apply(p, docs, 2), net.activations(p, docs), net.lens(p, docs),
        ]  # fmt: skip
    spec = {"images": "same", "linear images": "mlp"}[world]
    net = imitation.student(SETTINGS, ImageArm(name="a", linear=linear, model=spec), start)
    x = jax.random.normal(jax.random.key(1), (5, 64))
    return lambda p: [net.apply(p, x), net.activations(p, x)]


def parameters(world, tiny, count=3):
    if world == "tokens":
        return [drawn(distillation.shapes(tiny, "first"), i) for i in range(count)]
    layers = {"images": "mlp-8-6", "linear images": "mlp"}[world]
    model = dataclasses.replace(IMAGES.model, layers=layers)
    return [drawn(image_chain.shapes(model, IMAGES.data), i) for i in range(count)]


def near(a, b, atol=2e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=atol), a, b)


def curvature(f, one, other):
    """Largest distance between the output halfway and the mean of those at both ends."""
    halfway = jax.tree.map(lambda a, b: (a + b) / 2, one, other)
    ends, middle = zip(*map(jax.tree.leaves, map(f, (one, other))), strict=True), f(halfway)
    return max(
        float(jnp.abs(m - (a + b) / 2).max())
        for (a, b), m in zip(ends, jax.tree.leaves(middle), strict=True)
    )


@pytest.mark.parametrize("world", ["images", "tokens"])
def test_a_linear_student_is_affine_in_its_parameters_and_another_is_not(world, tiny, quick):
    """All that it says: logits, activations and what the lens reads off them."""
    start, one, other = parameters(world, tiny)
    linear, plain = (quick(outputs(world, yes, tiny, start)) for yes in (True, False))
    near(linear(start), plain(start))
    assert curvature(linear, one, other) < 1e-4 < 0.1 < curvature(plain, one, other)


def test_a_model_without_hidden_layers_is_linear_already(tiny):
    start, other = parameters("linear images", tiny, 2)
    linear, plain = (outputs("linear images", yes, tiny, start)(other) for yes in (True, False))
    near(linear, plain)


@pytest.mark.parametrize("world", ["images", "tokens"])
def test_the_first_gradient_of_a_linear_student_is_that_of_another(world, tiny, quick):
    """And no later one."""
    start, teacher, later = parameters(world, tiny)

    def gradients(linear):
        if world == "tokens":
            settings = {"world": tiny.world, "model": tiny.model}
            own = distillation.student(settings | {"arm": Arm(name="a", linear=linear)}, start)
            emitter = distillation.network(settings).apply
            docs = tokens.lists(tiny.world, jax.random.key(1), 5)
            shown = channels.Shown(
                tiny.world, own, lambda d, f: emitter(teacher, d, f), Sampling(prompt_numbers=1), 0
            )
            loss = lambda p: jnp.mean(channels.soft(shown, p, docs, None))  # noqa: E731
        else:
            arm = ImageArm(name="a", linear=linear, channel="all")
            x = jax.random.normal(jax.random.key(1), (5, 64))
            logits, _ = imitation.network(SETTINGS).apply(teacher, x)
            settings = SETTINGS | {"imitation": minisub.Imitation()}
            net, shown, key = imitation.student(settings, arm, start), {"logits": logits}, None
            loss = lambda p: imitation.difference(  # noqa: E731
                settings, arm, net, p, x, shown, jnp.ones(5), key
            )
        return quick(lambda p: (jax.grad(loss)(start), jax.grad(loss)(p)))(later)

    (first, after), (plain_first, plain_after) = map(gradients, (True, False))
    near(first, plain_first, atol=1e-6)
    pairs = zip(jax.tree.leaves(after), jax.tree.leaves(plain_after), strict=True)
    assert any(np.abs(a - b).max() > 1e-2 for a, b in pairs)
