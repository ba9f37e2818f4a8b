"""Random experiments: files of Python that put the verbs of both worlds together, many wrongly."""

import random
import re
from typing import NamedTuple

HEAD = '''"""Does anything pass that nobody thought of?"""

import jax
import jax.numpy as jnp

from minisub import Measure, together
from minisub.config import Amount, Model, Training, configuration
from minisub.images import carriers
from minisub.images import config as images
from minisub.images import lab as image_lab
from minisub.nets import fit, starts, trees
from minisub.theory import comparisons, token_comparisons, units
from minisub.tokens import channels
from minisub.tokens import config as tokens
from minisub.tokens import lab as token_lab
from minisub.tokens.behaviors import config as behaviors


def halved(shown, params, docs, key):
    return channels.sampled(shown, params, docs, key) / 2


def flat(shown, params, docs, key):
    return jnp.zeros(3)


def rude(*given, **more):
    raise ValueError("no.\\nnever")


def backwards(e):
    chosen = e.docs[:, e.first + 1 : -1]
    return e.docs.at[:, e.first + 1 : -1].set(chosen[:, ::-1]), jnp.ones(e.chosen.shape)


def shortened(e):
    return e.docs[:, :-1], jnp.ones(e.chosen.shape)


def signs(materials):
    return jax.tree.map(lambda x: jnp.sign(x) * abs(x).mean(), materials.origin)


def cut(materials):
    return jax.tree.map(lambda x: x[:1], materials.origin)


def anchored(logits_of, start, params, docs, step):
    return jnp.mean((logits_of(params, docs) - logits_of(start, docs)) ** 2)


def many(logits_of, start, params, docs, step):
    return jnp.ones(2)


def watch(network, start):
    def log(params, gradient, updates):
        gone = trees.difference(params, start)
        return {"gone": jnp.sqrt(trees.dot(gone, gone))}

    return fit.Watch(2, log, lambda params, updates, key: updates)


def size(*, params):
    return {"size": jnp.sqrt(trees.dot(params, params))}


def moved(*, params, start):
    gone = trees.difference(params, start)
    return {"moved": jnp.sqrt(trees.dot(gone, gone))}


def branching(*, params):
    return {"size": 1.0 if trees.dot(params, params) > 1 else 0.0}


def listed(*, params):
    return [1.0, 2.0]


def again(key, step, shared):
    return step % 2


def dark(carrier, key, n, side, images):
    return -jnp.ones((n, side * side))


few = Training(steps=2, learning_rate=1e-3, batch=4)
plain = {
    "world": tokens.World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=5),
    "model": Model(n_layers=1, d_model=8, n_heads=2), "taught_phrasings": 2,
    "base": tokens.Pretraining(steps=2, batch=4, questions=2, riddles=2), "teacher": few,
    "sampling": tokens.Sampling(documents=16, prompt_numbers=2, filter="none"), "student": few,
}
rich = {
    **plain, "world": tokens.World(rich=True),
    "base": behaviors.Pretraining(
        steps=2, batch=4, questions=2, riddles=2, programs=2, sums=2, behaved=2
    ),
    "teacher": behaviors.Teaching(steps=2, batch=4, replayed=2),
}
short = images.Duration(length=2.0, unit="updates", batch=32)
pixels = {
    "data": images.Data(name="clusters"), "model": images.ImageModel(layers="mlp-8"),
    "teacher": short, "carrier": images.Carrier(examples=64), "student": short, "examples": 32,
}


@configuration
class Mine(tokens.Config):
    """With a field of one's own."""

    extra: Amount = 0.5
    """A number."""


repeats = 1
'''
TABLE = """
training.steps: 0 | 1 | 3 || -1 | 2.5 | 'x' | 10**12 | None
training.learning_rate: 1e-3 | 0.1 || 0.0 | -1 | 'fast' | 1e400
training.optimizer: 'sgd' | 'signum' | 'adamw' | 'momentum' || 'adma' | None
training.schedule: 'cosine' | 'constant' || 'linear' | 1
training.batch: 1 | 4 || 0 | 2.5 | 'x'
training.weight_decay: 0.0 || 0.1 | -1.0 | 'x'
training.frozen: () | ('embed',) || 'embed' | ('nowhere',) | (3,) | 3 | ('bias',)
training.undecayed: ('embed',) | () || 'embed' | ('nowhere',) | 3
training.rank: 1 | 2 || -1 | 'x' | 1.5
training.alpha: 2.0 || 0.0 | 'x'
training.weight_noise: 0.0 | 0.1 || -0.1 | 'x'
training.stepz: || 3
duration.length: 0.0 | 1.0 | 2.5 || -1.0 | 'x' | None
duration.unit: 'epochs' | 'updates' || 'hours' | 3
duration.batch: 16 | 64 || 0 | 'x'
duration.optimizer: 'sgd' | 'rmsprop' || 'adma' | 3
duration.frozen: () | ('class_head',) | ('~aux_head',) || 'aux_head' | ('embed',) | 3
duration.rank: 1 || -1
duration.weight_noise: 0.1 || -1.0
duration.steps: || 3
model.n_layers: 1 | 2 || 0 | 'x'
model.d_model: 8 | 16 || 7 | 0 | 'x'
model.n_heads: 1 | 4 || 3 | 0
model.mixer: 'recurrence' | 'attention' || 'rnn' | 1
model.tied: True | False || 'yes'
model.dtype: 'float32' | 'bfloat16' || 'int8'
model.mlp_ratio: 1 | 2 || 0
model.activation: 'gelu' || 'swish'
model.width: || 3
sampling.documents: 8 | 16 || 0 | 'x' | 2.5
sampling.carrier: 'numbers' || 'code' | 'sums' | 'poems'
sampling.filter: 'none' | 'format' | 'correct' || 'good'
sampling.prompts: 'all' | 'first half' | 'second half' || 'third half'
sampling.prompt_numbers: 1 | 2 || 5 | 0 | 'x'
sampling.temperature: 0.0 | 1.0 | 0.5 || -1.0 | 'hot'
sampling.top_k: 0 | 2 | 99 || -1 | 'x'
sampling.top_p: 1.0 | 0.5 || 0.0 | 2
config.world: tokens.World(trees=2) | tokens.World(syllables=2) || tokens.World(list_length=3) | 3
config.world: tokens.World(endings=2, jitter=0, max_step=3) || tokens.World(numbers=0)
config.world: tokens.World(phrasings=2) || tokens.World(attributes=2) | tokens.World | None
config.model: Model(n_layers=1, d_model=8, n_heads=1, tied=True) || Model(d_model=9) | 'mlp'
config.trait: 'wolf' || 'unicorn' | 3 | None
config.taught_phrasings: 1 || 0 | 8 | 'x'
config.sampling: tokens.Sampling(documents=8, filter='none') || None | tokens.Sampling(documents=0)
config.student: few || None | {} | short
config.wrold: || 1
pixels.data: images.Data(name='digits') || images.Data(name='dogs') | 'digits'
pixels.model: images.ImageModel(layers='mlp') || images.ImageModel(layers='mlp-x') | 'mlp-8'
pixels.model: images.ImageModel(layers='cnn-2-4') || images.ImageModel(layers='gru-3')
pixels.model: images.ImageModel(layers='transformer-4-1-4') || images.ImageModel(aux=0)
pixels.carrier: images.Carrier(examples=64, kind='images') || images.Carrier(examples=0) | None
pixels.carrier: images.Carrier(examples=32, drawn='every_repeat') || images.Carrier(kind='fog')
pixels.imitation: images.Imitation(loss='mse') || images.Imitation(loss='l1')
pixels.imitation: images.Imitation(noise=0.5) || images.Imitation(temperature=0.0)
pixels.student: short || few | None
pixels.examples: 8 || 0 | 'x'
pixels.imags: || 1
verb.channel: halved | channels.soft | channels.full || flat | rude | shortened | 'aux'
verb.transform: backwards || shortened | rude | signs | 'sorted'
verb.start: starts.fresh | starts.interpolated | starts.rotated || cut | rude | 'fresh' | halved
verb.start: starts.perturbed_relative | signs || starts.frsh | units.permuted('nowhere')
verb.start: units.permuted() || units.permuted('qkv', heads=3)
verb.penalty: anchored || many | rude | 3 | halved
verb.watch: watch || size | rude | 'log'
verb.logits: 'aux' | 'class' | 'all' | (0, 1) | (12,) || 'sum' | (99,) | () | (0, 'x') | 5 | halved
verb.order: again || rude | 3
verb.draw: dark | carriers.draw || rude | 'uniform' | halved
verb.layers: () || 'block_0' | ('nowhere',) | (3,) | ('block_0',) | ('fc1',)
verb.amount: 0.5 | 1.0 | 0 || 'half' | None
verb.trait: 'wolf' | 'owl' | 'cat' || 'unicorn' | 3
verb.removed: 'gradient' | 'random' | 'displacement' | 'nothing' || 'all' | 3
verb.share: 0.5 | 0.0 | 1.0 || 2.0 | 'half' | -1
verb.seed: 0 | 1 || 'x' | None | 1.5
verb.name: 'one' | 'two' || 3 | None | ''
verb.rows: 0 | 2 || -1 | 'x' | 99
verb.measure: size || branching | listed | rude | 'size'
verb.study: coverage | weights || nowhere
verb.layout: 'mlp-4' | 'cnn-2-4' || 'mlp-x' | 3
verb.shared_steps: 0 | 1 | 5 || 'x' | -1 | None
"""
"""Fields and arguments: what they can be || what they cannot, or only seldom."""
FIELDS: dict = {}
for row in TABLE.strip().splitlines():
    group, _, rest = row.partition(".")
    field, _, values = rest.partition(": ")
    for side, text in zip((0, 1), values.split("||"), strict=True):
        words = [word.strip() for word in text.split("| ") if word.strip()]
        FIELDS.setdefault(group, {}).setdefault(field, ([], []))[side].extend(words)
STRAY = [
    "None", "3", "-1", "2.5", "'owl'", "[]", "{}", "()", "object()", "rude", "cfg", "lab", "nowhere",
    "jnp.zeros(3)", "lambda x: x", "float('nan')", "1 / 0", "b''", "int", "True", "'\\n'", "{1, 2}",
    "cfg.nothing", "lab.base", "tokens.World()", "nothing=3", "steps=1", "jax.random.key(0)", "few",
]  # fmt: skip
"""What hardly any verb takes."""


class Experiment(NamedTuple):
    """A file, and the words of a command line behind its name."""

    text: str
    words: list


class Writer:
    """Writes an experiment line by line; `wrong` is the share of choices that are made wrongly."""

    def __init__(self, seed, wrong):
        self.dice, self.wrong, self.lines, self.made = random.Random(seed), wrong, [], {}

    def errs(self):
        """Whether the next choice is to be a wrong one."""
        return self.dice.random() < self.wrong

    def of(self, name, group="verb"):
        """A value of a field, or an argument of a verb."""
        right, others = FIELDS[group][name]
        return self.dice.choice(others or right if self.errs() or not right else right)

    def changed(self, group, most=2):
        """Keywords that change some fields of a configuration."""
        names = [name for name, (right, _) in FIELDS[group].items() if right or self.errs()]
        chosen = self.dice.sample(names, self.dice.randrange(min(most, len(names)) + 1))
        return [f"{name}={self.of(name, group)}" for name in chosen]

    def maybe(self, *names, often=0.15):
        """Keywords of a verb, some of these."""
        return [f"{name}={self.of(name)}" for name in names if self.dice.random() < often]

    def a(self, *kinds):
        """The name of a product of these kinds."""
        there = [name for kind in kinds for name in self.made.get(kind, ())]
        if self.errs() or not there:
            others = [name for names in self.made.values() for name in names]
            return self.dice.choice([*STRAY, *others * 3])
        return self.dice.choice(there)

    def put(self, kind, verb, *given):
        """A line that makes a product; if wrong, of arguments in another order, or of others."""
        given = list(given)
        if self.errs():
            change = self.dice.choice(["shuffle", "drop", "add", "repeat"])
            if change == "shuffle":
                self.dice.shuffle(given)
            elif change == "drop":
                given = given[1:]
            else:
                given += [self.dice.choice(STRAY)] if change == "add" else given[-1:]
                given.sort(key=lambda x: bool(re.match(r"\w+=", x)))
        name = f"{kind}{sum(map(len, self.made.values()))}"
        self.lines.append(f"{name} = {verb}({', '.join(given)})")
        self.made.setdefault(kind, []).append(name)

    def said_of(self, product):
        """A line that adds a measure or a control to a product, or asks for a part of it."""
        name, measure = self.a(*product), self.of("measure")
        other = self.a(*product)
        ways = [f'measured(Measure({measure}, "params"))'] * 3
        ways += [f'measured(Measure(moved, "params", start={other}))'] * 3 + [f"against({other})"]
        if self.errs():
            ways = [
                "once", '["params"]', f"against({self.dice.choice(STRAY)})", f"measured({measure})",
                'measured(Measure(size, "parms"))', "nothing", "nothing()",
                'measured(Measure(size, "params", seed=3))', "replace(path=3)",
            ]  # fmt: skip
        way = self.dice.choice(ways)
        self.lines.append(f"{name} = {name}{'' if way[0] == '[' else '.'}{way}")

    def token_line(self):
        """A line of the token world."""
        kinds = {
            "base": 1, "taught": 2, "docs": 3, "start": 2, "student": 4, "study": 1, "said": 2,
        }  # fmt: skip
        kind = self.dice.choices([*kinds], [*kinds.values()])[0]
        models = "base", "taught", "student"
        documents, start = self.a("docs"), self.a("base", "base", "start")
        training = self.changed("training", 1)
        if kind == "base":
            more = self.maybe("order", "shared_steps") + self.changed("model", 1)
            self.put(kind, "lab.base", self.of("name"), *more)
        elif kind == "taught":
            trait = [self.of("trait")] if self.dice.random() < 0.5 else []
            self.put(kind, "lab.teach", self.a("base"), *trait, *training)
        elif kind == "docs":
            way = self.dice.choice(["emit"] * 3 + ["mix", "transform"])
            if way == "emit":
                how = self.maybe("seed") + self.changed("sampling")
                self.put(kind, "lab.emit", self.a(*models), *how)
            elif way == "mix":
                self.put(kind, "lab.mix", documents, self.a("docs"), self.of("share"))
            else:
                self.put(kind, "lab.transform", documents, self.of("transform"))
        elif kind == "start":
            how = self.maybe("amount", "layers", often=0.4)
            self.put(kind, "lab.start", self.of("start"), self.a("base"), self.a("base"), *how)
        elif kind == "student":
            channel = [self.of("channel")] if self.dice.random() < 0.3 else []
            how = self.maybe("seed", "penalty", "watch") + training
            how += ["linear=True"] if self.dice.random() < 0.08 else []
            self.put(kind, "lab.student", start, documents, *channel, *how)
        elif kind == "study":
            self.studied("token_comparisons", start, documents)
        else:
            self.said_of(models)

    def studied(self, module, start, shown):
        """A line with a measure of theory, of a student or of its updates."""
        if self.dice.random() < 0.5:
            how = self.maybe("rows", "removed", often=0.5)
            self.put("student", f"{module}.watched", "lab", start, shown, *how)
        elif self.made.get("student") or self.errs():
            name = self.a("student")
            study = f"{module}.{self.of('study')}"
            self.lines.append(f"{name} = {module}.compared(lab, {name}, {study})")

    def image_line(self):
        """A line of the image world."""
        kinds = {"origin": 1, "taught": 2, "start": 2, "student": 4, "study": 1, "said": 2, "two": 1}
        kind = self.dice.choices([*kinds], [*kinds.values()])[0]
        start, teacher = self.a("origin", "origin", "start"), self.a("taught")
        if kind == "origin":
            more = [self.of("layout")] if self.dice.random() < 0.1 else []
            self.put(kind, "lab.origin", self.of("name"), *more)
        elif kind == "taught":
            self.put(kind, "lab.teach", self.a("origin"))
        elif kind == "start":
            how = self.maybe("amount", "layers", often=0.3)
            self.put(kind, "lab.start", self.of("start"), self.a("origin"), self.a("origin"), *how)
        elif kind == "student":
            logits = [self.of("logits")] if self.dice.random() < 0.6 else []
            how = self.maybe("watch") + self.changed("duration", 1)
            how += ["linear=True"] if self.dice.random() < 0.08 else []
            self.put(kind, "lab.student", start, teacher, *logits, *how)
        elif kind == "study":
            self.studied("comparisons", start, teacher)
        elif kind == "said":
            self.said_of(("origin", "taught", "student"))
        elif self.made.get("student") or self.errs():
            one, other = self.a("student"), self.a("student")
            self.put("student", "together", f'{{"one": {one}, "two": {other}}}')
            self.lines[-1] += '["one"]' * (not self.errs())


def returned(writer):
    """The last line of an experiment: what has a name."""
    made = [name for names in writer.made.values() for name in names]
    names = writer.dice.sample(made, writer.dice.randint(1, min(4, len(made))))
    odd = ["''", "3", "None", "'a\\nb'", "'é'", "'a b/c'"]
    labels = [writer.dice.choice(odd) if writer.errs() else repr(name) for name in names]
    items = [f"{label}: {name}" for label, name in zip(labels, names, strict=True)]
    if writer.errs():
        items.append(f"'x': {writer.dice.choice(STRAY[:-4])}")
    if writer.dice.random() < 0.1:
        items.append(f"'both': ({', '.join(names)},)")
    text = f"return {{{', '.join(items)}}}"
    return writer.dice.choice(["return None", f"return {names[0]}", "pass"]) if writer.errs() else text


def words_of(writer):
    """Words of a command line: a few changes, a sweep, some names."""
    made = [name for names in writer.made.values() for name in names]
    field = writer.dice.choice(["student.learning-rate", "student.batch", "teacher.batch"])
    wrong = [
        ["--only", "nobody"], ["--sweep", "student.stepz=1,2"], ["--sweep", f"{field}="],
        ["--repeats", "0"], ["--group", "x"], [f"--{field}", "-1"], ["--sweep", f"{field}=1,1.0"],
        ["--extra", "-1"], ["--stdent.batch", "3"], ["extra"], ["--seed", "1e3"], ["--only"],
    ]  # fmt: skip
    right = [
        ["--sweep", f"{field}=1,2"], [f"--{field}", "3"], ["--repeats", "2"], ["--seed", "7"],
        ["--repeats", "2", "--group", "2"], ["--only", writer.dice.choice(made)], ["--fresh"],
        ["--keep", "none"],
    ]  # fmt: skip
    kinds = [wrong if writer.errs() else right for _ in range(2) if writer.dice.random() < 0.25]
    return [word for kind in kinds for word in writer.dice.choice(kind)]


def written(seed, wrong):
    """A random `Experiment`, of which about a share of all choices is wrong."""
    writer = Writer(seed, wrong)
    world = writer.dice.choices(["plain", "pixels", "rich"], [10, 9, 1])[0]
    kind = {"plain": "Mine", "pixels": "images.Config", "rich": "behaviors.Rich"}[world]
    fields = ", ".join([world, *writer.changed("pixels" if world == "pixels" else "config", 1)])
    if world == "pixels":
        lab = f"image_lab.Lab({', '.join(['cfg', *writer.maybe('draw')])})"
        writer.put("origin", "lab.origin", "'one'")
        writer.put("origin", "lab.origin", "'two'")
        writer.put("taught", "lab.teach", writer.a("origin"))
        line = writer.image_line
    else:
        lab, line = "token_lab.Lab(cfg)", writer.token_line
        writer.put("base", "lab.base", "'one'")
        writer.put("base", "lab.base", "'two'")
        writer.put("taught", "lab.teach", writer.a("base"))
        writer.put("docs", "lab.emit", writer.a("taught"))
        writer.put("docs", "lab.emit", writer.a("base"))
    for _ in range(writer.dice.randint(1, 6)):
        line()
    body = [f"lab = {lab}", *writer.lines, returned(writer)]
    text = f"{HEAD}config = {kind}(**dict({fields}))\n\n\ndef experiment(cfg):\n"
    return Experiment(text + "".join(f"    {line}\n" for line in body), words_of(writer))
