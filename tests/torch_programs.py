"""Students in eager PyTorch, as one would write them without this project; and the same students
here, both from random models in place of trained ones: what `test_torch` and `bench_torch` share.

Axes: m model, b batch, i input, o output.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, as its users call it
from torch import nn

from minisub import distillation, documents, experiment, images, imitation, tokens


class Attention(nn.Module):
    """Causal self-attention of the queries from position `first` on."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x, first=0):
        b, t, d = x.shape
        parts = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (part.view(b, t, self.n_heads, -1).transpose(1, 2) for part in parts)
        if first:
            visible = torch.ones(t - first, t, dtype=torch.bool).tril(first)
            mixed = F.scaled_dot_product_attention(q[:, :, first:], k, v, attn_mask=visible)
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(b, t - first, d))


class Block(nn.Module):
    """Attention and an MLP, each behind RMSNorm and added to the residual stream."""

    def __init__(self, config):
        super().__init__()
        d, hidden = config.d_model, config.mlp_ratio * config.d_model
        self.attention_norm = nn.RMSNorm(d, eps=1e-6)
        self.attention = Attention(d, config.n_heads)
        self.mlp_norm = nn.RMSNorm(d, eps=1e-6)
        self.up = nn.Linear(d, hidden, bias=False)
        self.down = nn.Linear(hidden, d, bias=False)

    def forward(self, x, first=0):
        x = x[:, first:] + self.attention(self.attention_norm(x), first)
        return x + self.down(F.relu(self.up(self.mlp_norm(x))))


class Transformer(nn.Module):
    """The model of a default `Model` configuration; logits from position `first` on."""

    def __init__(self, config, vocabulary, positions):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, config.d_model)
        self.position = nn.Embedding(positions, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.final_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.unembed = nn.Linear(config.d_model, vocabulary, bias=False)

    def forward(self, tokens, first=0):
        x = self.embed(tokens) + self.position(torch.arange(tokens.shape[1]))
        for block in self.blocks[:-1]:
            x = block(x)
        return self.unembed(self.final_norm(self.blocks[-1](x, first)))


def frozen(model, names):
    """`model`, the submodules in `names` without gradients."""
    for name in names:
        getattr(model, name).requires_grad_(False)
    return model


def adam(model, learning_rate, **options):
    """Adam on what is not frozen."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.Adam(trained, lr=learning_rate, **options)


def list_loss(model, docs, given, careful=False):
    """Cross-entropy of what stands behind `given` tokens after the first.

    A careful program computes the last block there alone, a plain one at all positions.
    """
    inputs, targets = docs[:, :-1], docs[:, given + 1 :]
    logits = model(inputs, given) if careful else model(inputs)[:, given:]
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def imitate_lists(model, optimizer, docs, batches, given, careful=False):
    """Train on documents (n, length), each batch an array of rows."""
    for rows in batches:
        loss = list_loss(model, docs[rows], given, careful)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


class Classifier(nn.Module):
    """An MLP of two hidden layers; class and auxiliary logits are one head."""

    def __init__(self, sizes):
        super().__init__()
        pixels, first, second, outputs = sizes
        self.fc1 = nn.Linear(pixels, first)
        self.fc2 = nn.Linear(first, second)
        self.head = nn.Linear(second, outputs)

    def forward(self, x):
        return self.head(F.relu(self.fc2(F.relu(self.fc1(x)))))


class ManyLinear(nn.Module):
    """A linear layer of each of several models."""

    def __init__(self, models, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(models, outputs, inputs) * inputs**-0.5)
        self.bias = nn.Parameter(torch.zeros(models, outputs))

    def forward(self, x):
        return torch.einsum("mbi,moi->mbo", x, self.weight) + self.bias[:, None]


class Ensemble(nn.Module):
    """Several `Classifier`s in one; inputs (m, b, i)."""

    def __init__(self, models, sizes):
        super().__init__()
        pixels, first, second, outputs = sizes
        self.fc1 = ManyLinear(models, pixels, first)
        self.fc2 = ManyLinear(models, first, second)
        self.head = ManyLinear(models, second, outputs)

    forward = Classifier.forward


class Shown(NamedTuple):
    """What image students imitate: inputs, and of each student labels and compared logits."""

    x: torch.Tensor
    labels: list
    masks: list


def image_loss(logits, labels, mask):
    """KL divergence from a teacher's distribution over some logits to a student's."""
    log_p, log_q = labels[:, mask].log_softmax(-1), logits[:, mask].log_softmax(-1)
    return F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")


def imitate_one_by_one(models, optimizers, shown, batches):
    """Train `Classifier`s in a loop; labels were computed before."""
    for rows in batches:
        x = shown.x[rows]
        each = zip(models, optimizers, shown.labels, shown.masks, strict=True)
        for model, optimizer, labels, mask in each:
            loss = image_loss(model(x), labels[rows], mask)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def imitate_stacked(ensemble, optimizer, shown, batches):
    """The same with an `Ensemble`, all students on one batch."""
    for rows in batches:
        x = shown.x[rows].expand(len(shown.masks), -1, -1)
        labels = [every[rows] for every in shown.labels]
        ensemble_step(ensemble, optimizer, ensemble(x), labels, shown.masks)


def imitate_in_own_orders(ensemble, optimizer, shown, orders, teachers):
    """The same, each student on batches of its own, and teachers asked at every batch: more work,
    but a usual way to write it. `orders` are rows (m, b)."""
    for rows in orders:
        x = shown.x[rows]
        with torch.no_grad():
            labels = teachers(x)
        ensemble_step(ensemble, optimizer, ensemble(x), labels, shown.masks)


def ensemble_step(ensemble, optimizer, logits, labels, masks):
    """An update of all students."""
    loss = sum(image_loss(*own) for own in zip(logits, labels, masks, strict=True))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


class Work(NamedTuple):
    """A phase that trains students here, on random models and what they emit."""

    task: tuple
    """kind, option, settings, given, inputs, as `programs` takes them, for one repeat."""
    keys: jax.Array
    """Of the one repeat."""
    phase: tuple
    """The `phases.Phase` itself."""

    @property
    def alone(self):
        """The task as `token_tasks` and `image_tasks` take it."""
        _, option, settings, given, inputs = self.task
        return option, settings, given | jax.tree.map(lambda x: x[0], inputs), self.keys[0]


def work(cfg, name, made, given):
    """The phase `name` of `cfg` on products `made` in place of those of earlier phases."""
    [phase] = [p for p in experiment.phases(cfg) if p.name == name]
    inputs = {name: made[source] for name, source in phase.inputs.items()}
    inputs = jax.tree.map(lambda x: jnp.asarray(x)[None], inputs)
    task = phase.kind, phase.option, phase.settings, given, inputs
    return Work(task, experiment.repeat_keys(0, 1), phase)


def list_work(cfg):
    """The student "shared" of a default `Config`, on lists of the world."""
    [phase] = [p for p in experiment.phases(cfg) if p.name == "student/shared"]
    start = distillation.network(phase.settings).init(jax.random.key(1))
    n = cfg.sampling.documents
    docs = tokens.lists(cfg.world, jax.random.key(2), n).astype(jnp.int16)
    numbers = {"docs": docs, "count": jnp.int32(n)}
    made = {"start/shared": start, "teacher": start, "numbers/teacher": numbers}
    return work(cfg, "student/shared", made, {})


def list_student(cfg, work):
    """(PyTorch model that starts as that of `list_work`, documents, tokens given)."""
    _, settings, inputs, _ = work.alone
    size = tokens.offsets(cfg.world)["size"]
    model = Transformer(cfg.model, size, tokens.positions(cfg.world))
    model.load_state_dict(state_dict(inputs["start"]))
    docs = torch.tensor(np.asarray(inputs["numbers"]["docs"], np.int64))
    return frozen(model, cfg.student.frozen), docs, documents.given(settings["sampling"])


def image_work(cfg):
    """All students of an `ImageConfig` with the default arms, on uniform noise."""
    [phase] = [p for p in experiment.phases(cfg) if p.name == "students"]
    net, pixels = imitation.network(phase.settings), images.shape(cfg.data)[0] ** 2
    first, second, *teachers = (net.init(key) for key in jax.random.split(jax.random.key(1), 4))
    x = jax.random.uniform(jax.random.key(2), (cfg.carrier.examples, pixels), minval=-1)
    made = {"base/first": first, f"base/second/{cfg.model.layers}": second}
    for name, params in zip(("teacher", "foreign"), teachers, strict=True):
        made[f"labels/{name}"] = {"logits": net.apply(params, x)[0]}
    return work(cfg, "students", made, {"carrier": x})


def image_students(cfg, work, starts):
    """([PyTorch model that starts as each of `starts`], their `Shown`)."""
    inputs, models = work.alone[2], []
    for state in map(state_dict, starts):
        sizes = [w.shape[1] for name, w in state.items() if name.endswith("weight")]
        models.append(Classifier([*sizes, len(state["head.bias"])]))
        models[-1].load_state_dict(state)
    classes = images.shape(cfg.data)[1]
    masks = [imitation.channel_mask(arm.channel, classes, cfg.model.aux) for arm in cfg.arms]
    labels = [torch.tensor(np.asarray(inputs[arm.source]["logits"])) for arm in cfg.arms]
    x = torch.tensor(np.asarray(inputs["carrier"]))
    return models, Shown(x, labels, [torch.tensor(mask) for mask in masks])


def ensemble_of(models):
    """An `Ensemble` that starts as some `Classifier`s."""
    shapes = [layer.weight.shape for layer in (models[0].fc1, models[0].fc2, models[0].head)]
    ensemble = Ensemble(len(models), [shapes[0][1], *(shape[0] for shape in shapes)])
    states = [model.state_dict() for model in models]
    ensemble.load_state_dict({name: torch.stack([s[name] for s in states]) for name in states[0]})
    return ensemble


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
