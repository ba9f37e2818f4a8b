"""Random experiments: files of Python that put the verbs of both worlds together, many wrongly."""

import random
import re
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent / "written"
HEAD = (HERE / "head.py").read_text()
TABLE = (HERE / "fields.txt").read_text()
"""Fields and arguments: what they can be || what they cannot, or only seldom."""
FIELDS: dict = {}
for row in TABLE.splitlines():
    group, _, rest = row.partition(".")
    field, _, values = rest.partition(": ")
    for side, text in zip((0, 1), values.split("||"), strict=True):
        words = [word.strip() for word in text.split("| ") if word.strip()]
        FIELDS.setdefault(group, {}).setdefault(field, ([], []))[side].extend(words)
STRAY = [
    "None", "3", "-1", "2.5", "'owl'", "[]", "{}", "()", "object()", "rude", "cfg", "lab",
    "nowhere", "jnp.zeros(3)", "lambda x: x", "float('nan')", "1 / 0", "b''", "int", "True",
    "'\\n'", "{1, 2}",
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
        kinds = {
            "origin": 1,
            "taught": 2,
            "start": 2,
            "student": 4,
            "study": 1,
            "said": 2,
            "two": 1,
        }
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
    return (
        writer.dice.choice(["return None", f"return {names[0]}", "pass"]) if writer.errs() else text
    )


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
