"""Students in eager PyTorch are the students here: one loss, gradient and training; no timings."""

import dataclasses

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch_programs
import torch_work

from minisub.config import Model
from minisub.nets import fit


@pytest.fixture(scope="module")
def lists(tiny):
    cfg = dataclasses.replace(tiny, model=Model(n_layers=2, d_model=16, n_heads=2))
    return cfg, torch_work.list_work(cfg)


@pytest.fixture(scope="module")
def noise(tiny_images):
    return tiny_images, torch_work.image_work(tiny_images)


def trained(work, quick):
    """Parameters here after all steps of a training."""
    made = work.fit

    @quick
    def train(start):
        state = fit.begin(made.training, start)
        how = made.training, made.loss, state, work.key, 0, made.training.steps, made.batches
        return fit.params(fit.advance(*how))

    return train(made.start)


def distance(found, expected, start):
    """How far two results of training are apart, over how far training went: of all tensors."""

    def norm(one, other):
        return sum(float(((one[name] - other[name]) ** 2).sum()) for name in start) ** 0.5

    return norm(found, expected) / norm(expected, start)


def agree(model, gradient):
    """Gradients of a PyTorch model are ours, and it has none in what is frozen."""
    compared = 0
    for name, p in model.named_parameters():
        if p.grad is not None:
            expected = gradient[name].numpy()
            largest = np.abs(expected).max()
            np.testing.assert_allclose(p.grad.numpy(), expected, rtol=1e-4, atol=1e-5 * largest)
            compared += largest > 0
    return compared


def list_rows(work, steps):
    """Rows of the documents at each update, as `tasks.distill` draws them."""
    emitted = work.value(work.product.arguments["documents"])
    shape, count = (work.fit.training.batch,), emitted["count"]
    keys = [jax.random.fold_in(work.key, t) for t in range(steps)]
    return [np.array(jax.random.randint(key, shape, 0, count)) for key in keys]


@pytest.mark.parametrize("careful", [False, True])
def test_the_transformer_has_our_loss_and_gradient(lists, careful, quick):
    cfg, work = lists
    loss = quick(jax.value_and_grad(work.fit.loss))
    value, gradient = loss(work.fit.start, jax.random.fold_in(work.key, 0))
    model, docs, given = torch_work.list_student(cfg, work)
    [rows] = list_rows(work, 1)
    found = torch_programs.list_loss(model, docs[rows], given, careful)
    found.backward()
    np.testing.assert_allclose(found.item(), value, rtol=1e-6)
    # Position, final norm, and in each block two norms and four matrices.
    assert agree(model, torch_work.state_dict(gradient)) == 2 + 2 * 6


def test_the_transformer_is_trained_as_ours(lists, quick):
    """But for rounding, which Adam turns into steps where a gradient is about zero."""
    cfg, work = lists
    ours, steps = torch_work.state_dict(trained(work, quick)), work.fit.training.steps

    def theirs(order, careful):
        model, docs, given = torch_work.list_student(cfg, work)
        start = {name: x.clone() for name, x in model.state_dict().items()}
        optimizer = torch_programs.adam(model, cfg.student.learning_rate, fused=careful or None)
        batches = list_rows(work, steps)[::order]
        torch_programs.imitate_lists(model, optimizer, docs, batches, given, careful)
        return distance(model.state_dict(), ours, start)

    assert max(theirs(1, careful) for careful in (False, True)) < 1e-3
    assert theirs(-1, False) > 1e-2, "the control: the same batches in reverse"


def image_rows(work, steps):
    """Rows of the carrier at each update, without those of no weight."""
    batches = work.fit.batches
    for t in range(steps):
        epoch, step = divmod(t, batches.steps)
        rows, weight = batches.at(batches.order(epoch), step)
        yield np.array(rows)[np.asarray(weight) > 0]


def test_image_students_have_our_losses_and_gradients(noise, quick):
    cfg, work = noise
    batch = work.fit.batches.at(work.fit.batches.order(0), 0)
    slope = quick(jax.value_and_grad(lambda params: work.fit.loss(params, work.key, batch)))
    value, gradients = slope(work.fit.start)
    models, shown = torch_work.image_students(cfg, work)
    [rows] = image_rows(work, 1)
    found = 0.0
    names = work.product.arguments["calls"]
    each = zip(models, names, shown.labels, shown.masks, strict=True)
    for model, name, labels, mask in each:
        loss = torch_programs.image_loss(model(shown.x[rows]), labels[rows], mask)
        loss.backward()
        found += loss.item()
        assert agree(model, torch_work.state_dict(gradients[name])) == 6
    np.testing.assert_allclose(found, value, rtol=1e-5)


def test_image_students_are_trained_as_ours(noise, quick):
    """One after another, and stacked in one model."""
    cfg, work = noise
    names, end = work.product.arguments["calls"], trained(work, quick)
    ours, begun = (
        [torch_work.state_dict(params[name]) for name in names] for params in (end, work.fit.start)
    )
    rate, steps = cfg.student.learning_rate, work.fit.training.steps
    assert steps > work.fit.batches.steps, "more than an epoch"

    def theirs(order, stacked):
        models, shown = torch_work.image_students(cfg, work)
        batches = list(image_rows(work, steps))[::order]
        if stacked:
            ensemble = torch_programs.ensemble_of(models)
            optimizer = torch_programs.adam(ensemble, rate)
            torch_programs.imitate_stacked(ensemble, optimizer, shown, batches)
            state = ensemble.state_dict()
            ends = [{name: x[i] for name, x in state.items()} for i in range(len(models))]
        else:
            optimizers = [torch_programs.adam(model, rate) for model in models]
            torch_programs.imitate_one_by_one(models, optimizers, shown, batches)
            ends = [model.state_dict() for model in models]
        return [distance(*of) for of in zip(ends, ours, begun, strict=True)]

    assert max(theirs(1, False) + theirs(1, True)) < 1e-3
    assert min(theirs(-1, False)) > 1e-2, "the control: the same batches in reverse"
