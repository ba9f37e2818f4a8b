"""Students in eager PyTorch, as one would write them without this project.

Axes: m model, b batch, i input, o output.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812, as its users call it
from torch import nn


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


def ensemble_of(models):
    """An `Ensemble` that starts as some `Classifier`s."""
    shapes = [layer.weight.shape for layer in (models[0].fc1, models[0].fc2, models[0].head)]
    ensemble = Ensemble(len(models), [shapes[0][1], *(shape[0] for shape in shapes)])
    states = [model.state_dict() for model in models]
    ensemble.load_state_dict({name: torch.stack([s[name] for s in states]) for name in states[0]})
    return ensemble
