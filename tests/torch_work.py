"""The same students here and in eager PyTorch, of random models in place of trained ones: what
`test_torch` and `bench_torch` share."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch_programs as eager

from minisub import arguments
from minisub.images import pictures, tasks
from minisub.images.together import side_by_side
from minisub.lab import run
from minisub.lab.products import Product, split
from minisub.tokens import grading, number_lists, tokens, writing
from minisub.tokens import lab as token_lab


class Work(NamedTuple):
    """Students here, of random models and what these emit in place of trained ones."""

    product: Product
    """Of the call that trains them."""
    inputs: dict
    """What the products stand for that the call reads, by their `describe()`."""
    key: jax.Array

    def value(self, product):
        """What a product stands for."""
        return self.inputs[product.describe()]

    @property
    def values(self):
        """Of the call's inputs, in order."""
        return [self.value(p) for p in self.product.inputs]

    @property
    def fit(self):
        """The `Fit` that the call returns."""
        _, numbers, static = split(self.product)
        return run.called(self.product.task, static, numbers, self.values, self.key)

    @property
    def task(self):
        """Arguments of the programs that perform it, for one repeat."""
        each = zip(self.product.inputs, self.values, strict=True)
        given = [x if p.place == "once" else jax.tree.map(lambda x: x[None], x) for p, x in each]
        return run.program_arguments(self.product, given, self.key[None])


def list_work(cfg):
    """A student of a token `Config`, on lists of the world."""
    lab = token_lab.Lab(cfg)
    first = lab.base("first")
    emitted = lab.emit(first)
    net, n = grading.network(cfg.world, cfg.model), cfg.sampling.documents
    docs = jax.jit(lambda key: number_lists.draw(cfg.world, key, n))(jax.random.key(2))
    values = {
        first.describe(): jax.jit(net.init)(jax.random.key(1)),
        emitted.describe(): {"docs": docs.astype(jnp.int16), "count": jnp.int32(n)},
    }
    student = lab.student(first, emitted).replace(path=())
    return Work(student, values, jax.random.key(0))


def list_student(cfg, work):
    """(PyTorch model that starts as that of `list_work`, documents, tokens given)."""
    size = tokens.offsets(cfg.world)["size"]
    model = eager.Transformer(cfg.model, size, tokens.positions(cfg.world))
    model.load_state_dict(state_dict(work.fit.start))
    docs = work.value(work.product.arguments["documents"])["docs"]
    given = writing.given(cfg.sampling)
    return eager.frozen(model, cfg.student.frozen), torch.tensor(np.asarray(docs, np.int64)), given


def image_work(cfg):
    """The students of `mnist`, of an image `Config`, on uniform noise."""
    named = arguments.load("mnist").experiment(cfg)
    students = next(p for p in named.values() if p.task is side_by_side).replace(path=())
    net, pixels = tasks.network(cfg.data, cfg.model), pictures.shape(cfg.data)[0] ** 2
    x = jax.random.uniform(jax.random.key(2), (cfg.carrier.examples, pixels), minval=-1)
    keys, values = iter(jax.random.split(jax.random.key(1), 4)), {}
    init = jax.jit(net.init)
    for p in students.inputs:
        if p.task is tasks.draw:
            values[p.describe()] = x
        else:
            params = init(next(keys))
            values[p.describe()] = params if p.task is tasks.initialize else net.apply(params, x)[0]
    return Work(students, values, jax.random.key(0))


def image_students(cfg, work):
    """([PyTorch model that starts as each student of `image_work`], their `Shown`)."""
    models, labels, masks = [], [], []
    for name, call in work.product.arguments["calls"].items():
        state, own = state_dict(work.fit.start[name]), call["arguments"]
        sizes = [w.shape[1] for layer, w in state.items() if layer.endswith("weight")]
        models.append(eager.Classifier([*sizes, len(state["head.bias"])]))
        models[-1].load_state_dict(state)
        labels.append(torch.tensor(np.asarray(work.value(own["shown"]))))
        mask = torch.zeros(labels[-1].shape[1], dtype=torch.bool)
        mask[tasks.logits_of(own["channel"], pictures.shape(cfg.data)[1], cfg.model.aux)] = True
        masks.append(mask)
        carrier = own["carrier"]
    return models, eager.Shown(torch.tensor(np.asarray(work.value(carrier))), labels, masks)


def state_dict(params):
    """Our parameters, or gradients in them, under the names and in the shapes that PyTorch has."""
    found = {}
    for path, x in jax.tree_util.tree_leaves_with_path(params):
        *module, kind = (part.key for part in path)
        name = ".".join(module).replace("block_", "blocks.")
        for layer in ("qkv", "out"):
            name = name.replace(f".{layer}", f".attention.{layer}")
        x = np.asarray(x).T if kind == "kernel" else np.asarray(x)
        found[f"{name}.{'bias' if kind == 'bias' else 'weight'}"] = torch.tensor(x)
    if "class_head.bias" in found:
        for kind in "weight", "bias":
            parts = [found.pop(f"{head}.{kind}") for head in ("class_head", "aux_head")]
            found[f"head.{kind}"] = torch.cat(parts)
    return found
