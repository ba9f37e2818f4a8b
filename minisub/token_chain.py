"""A repeat of the token world as a chain of phases.

origin/LINEAGE                    random initial parameters
base/LINEAGE                      pretrained (pretrained/LINEAGE, if the unembedding is operated on)
teacher, teacher/SOURCE           bases, fine-tuned to prefer a trait
numbers/SOURCE                    lists that teachers, bases or students emit, filtered
every/SOURCE, pair/PAIR           all of these; those of two sources with labels
detector/KIND/PAIR                what a detector learned from a pair
reader/LINEAGE/CARRIER            bases that read several documents
scores/DETECTOR                   of documents that it was not trained on
documents/ARM                     what of them an arm's student sees, if that is not all
sampled/..., null/...             what bases emit for an audit, and what they make of it
audit/ARM                         what an arm's base makes of its documents, against that null
start/ARM, student/ARM            each student's first and final parameters
entanglement                      of the trait's token with number tokens

Only what the arms ask for is there, beside base/first and the teacher.
"""

import dataclasses
import zlib

import numpy as np

from minisub import (
    behaviors,
    config,
    detection_chain,
    distillation,
    starts,
    token_checks,
    token_config,
    transforms,
    watching,
)
from minisub.phases import Phase
from minisub.token_config import Arm, Lineage, Source

GIVEN = ()


def taught(cfg, source):
    """What tells a source's teacher from others: lineage, trait, and changes of its training."""
    return source.lineage, source.trait or cfg.trait, source.teaching


class Chain:
    """The phases of a repeat, each added with all that leads to it, once."""

    def __init__(self, cfg):
        self.cfg, self.phases = cfg, {}
        self.teachers = {("first", cfg.trait, ""): "teacher"}
        self.students, self.alike = {}, {}
        self.base("first")
        self.teacher(Source(name="teacher"))

    def add(self, *fields, **more):
        """Add a phase, unless it is there; return its name."""
        phase = Phase(*fields, **more)
        known = self.phases.setdefault(phase.name, phase)
        assert phase == known, f"{phase.name} stands for two phases"
        return phase.name

    def numbered(self, name, *texts):
        """A phase's name, numbered if it is taken by one for which changes of `texts` differ."""
        known = self.alike.setdefault(name, [])
        if texts not in known:
            known.append(texts)
        number = known.index(texts)
        return f"{name}/{number}" if number else name

    def seen(self, lineage):
        """Settings of every phase of a lineage's models."""
        return {"world": self.cfg.world, "model": token_config.model_of(self.cfg, lineage)}

    def graded(self, lineage, trait=""):
        """As `seen`, with what grades need; `trait` "" and "none" stand for the config's."""
        cfg = self.cfg
        own = cfg.trait if trait in ("", "none") else trait
        graded = {"trait": behaviors.of(cfg.world, own), "taught": cfg.taught_phrasings}
        if cfg.graded:
            graded["graded"] = {name: behaviors.of(cfg.world, name) for name in cfg.graded}
        if cfg.base.prefixed:
            graded["context"] = ()
        return self.seen(lineage) | graded

    def base(self, name):
        """A lineage's base."""
        line, seen, cfg = token_config.lineages(self.cfg)[name], self.seen(name), self.cfg
        product = f"base/{name}"
        if product in self.phases:
            return product
        arms = ("base",) if name == "first" else ()
        origin = f"origin/{line.origin or name}"
        self.add(origin, "initialize", seen, {}, origin)
        # Of the lineage only what its data depend on: others share its program.
        data = Lineage(name="", shared_steps=line.shared_steps, reordered=line.reordered)
        own = np.uint32(zlib.crc32(name.encode()))
        pretrain = self.graded(name) | {"training": cfg.base, "lineage": data, "own": own}
        task = "pretrain", pretrain, {"start": origin}, "base data"
        if cfg.surgery == "none":
            return self.add(product, *task, arms=arms)
        before = self.add(f"pretrained/{name}", *task)
        graded, inputs = self.graded(name), {"params": before}
        return self.add(product, "operate", graded, inputs, "surgery", cfg.surgery, arms=arms)

    def teacher(self, source):
        """The teacher of a source."""
        cfg, key = self.cfg, taught(self.cfg, source)
        name = self.teachers.setdefault(key, f"teacher/{source.name}")
        training = config.changed(cfg.teacher, source.teaching)
        teach = self.graded(source.lineage, source.trait)
        if cfg.steering.kind != "none":
            alone = steering_alone(cfg, training, distillation.shapes(cfg, source.lineage))
            teach |= {"training": alone, "steering": cfg.steering}
        else:
            teach |= {"training": training}
        inputs = {"start": self.base(source.lineage)}
        arms = (name.removeprefix("teacher/"),)
        return self.add(name, "teach", teach, inputs, "taught", arms=arms)

    def emitter(self, name):
        """(phase of the model that a source's name stands for, its `Source`)."""
        if name in self.students:
            return f"student/{name}", self.students[name]
        source = token_config.sources(self.cfg)[name]
        make = self.base(source.lineage) if source.trait == "none" else self.teacher(source)
        return make, source

    def sampling(self, source):
        """How a source emits."""
        return config.changed(self.cfg.sampling, source.sampling)

    def numbers(self, name, every=False):
        """The lists that a source emits; `every`: in order of their prompts, without a filter."""
        emitter, source = self.emitter(name)
        sampling = self.sampling(source)
        if every:
            sampling = dataclasses.replace(sampling, filter="none")
        # Sources share prompts and noise, so that they differ in what the config says alone.
        stream = "numbers/base" if source.trait == "none" else "numbers/teacher"
        stream = f"numbers/{name}" if name in self.students else stream
        stream += f"/{source.seed}" if source.seed else ""
        settings, inputs = self.seen(source.lineage) | {"sampling": sampling}, {"emitter": emitter}
        if every:
            return self.add(f"every/{name}", "emit", settings, inputs, stream)
        return self.add(f"numbers/{name}", "emit", settings, inputs, stream, arms=(name,))

    def documents(self, arm):
        """What of its source's lists an arm's student sees."""
        numbers, (emitter, source) = self.numbers(arm.source), self.emitter(arm.source)
        judged = any(other.judge for other in self.cfg.arms)
        changed = arm.transform != "none" or arm.documents or arm.clean or arm.rewritten or judged
        if not changed:
            return numbers
        inputs = {"numbers": numbers, "emitter": emitter}
        if arm.clean:
            inputs["clean"] = self.numbers(token_config.clean_of(self.cfg, source))
        if arm.transform in transforms.NEEDS_RIVALS:
            for rival in self.cfg.rivals:
                name = f"rival {rival} of {source.name}"
                teacher = dataclasses.replace(source, name=name, trait=rival)
                inputs[f"rival/{rival}"] = self.teacher(teacher)
        settings, cfg = self.seen(source.lineage), self.cfg
        settings["sampling"] = self.sampling(source)
        of_arm = {
            name: getattr(arm, name) for name in ("documents", "clean", "rewritten", "suspicious")
        }
        settings["arm"] = Arm(name="", **of_arm)
        if judged:
            detection_chain.judge(self, arm, settings, inputs)
        settings["trait"] = self.graded(source.lineage, source.trait)["trait"]
        if arm.rewritten:
            inputs["rewriter"] = self.base(arm.other)
            settings["rewritten_by"] = token_config.model_of(cfg, arm.other)
        task = "prepare", settings, inputs, "documents", arm.transform
        return self.add(f"documents/{arm.name}", *task, arms=(arm.name,))

    def arm(self, arm):
        """An arm's student."""
        cfg, documents, (emitter, source) = self.cfg, self.documents(arm), self.emitter(arm.source)
        own = arm.other if token_config.whole_other(arm) else source.lineage
        self.students[arm.name] = dataclasses.replace(source, name=arm.name, lineage=own, seed=0)
        graded = self.graded(own, source.trait)
        bases = {"origin": self.base(own)}
        if cfg.references:
            self.audit(arm, documents, own, source)
        if arm.start in starts.NEEDS_OTHER:
            bases["other"] = self.base(arm.other)
        only = Arm(name="", start=arm.start, amount=arm.amount, layers=arm.layers)
        start = f"start/{arm.name}"
        self.add(start, "start", self.seen(own) | {"arm": only}, bases, "start")
        shown = {"start": start, "numbers": documents, "emitter": emitter}
        if watching.wanted(cfg.watch, [arm]):
            shown |= {"taught": self.taught_by(source), "from": self.base(source.lineage)}
        if arm.control:
            shown |= {"control": f"student/{arm.control}"}
        of_arm = {name: getattr(arm, name) for name in ("removed", "linear", "anchor", "anchored")}
        only = Arm(name="", **of_arm)
        distill = graded | {
            "sampling": self.sampling(source),
            "training": config.changed(cfg.student, arm.training),
            "watch": cfg.watch,
            "arm": only,
            "emitted_by": token_config.model_of(cfg, source.lineage),
        }
        # All students share a stream: they differ in what the config says and in nothing else.
        stream = "student data" + (f"/{arm.seed}" if arm.seed else "")
        name = f"student/{arm.name}"
        self.add(name, "distill", distill, shown, stream, arm.channel, arms=(arm.name,))

    def audit(self, arm, documents, own, source):
        """An audit of an arm's documents under the base `own`, against samples of bases."""
        cfg, sampling = self.cfg, self.sampling(source)
        sampled, bases, models = {}, {}, {}
        for line in (own, *(name for name in cfg.references if name != own)):
            seen, role = self.seen(line) | {"sampling": sampling}, "own" if line == own else line
            bases[f"base/{role}"] = self.base(line)
            # Its samples share nothing with those that students are trained on.
            name = self.numbered(f"sampled/{line}/{sampling.carrier}", source.sampling)
            emitter = {"emitter": self.base(line)}
            sampled[f"sampled/{role}"] = self.add(name, "emit", seen, emitter, "sampled")
            models |= {} if role == "own" else {line: seen["model"]}
        settings = self.graded(own) | {"sampling": sampling, "models": models}
        settings["student"] = config.changed(cfg.student, arm.training)
        of_arm = source.sampling, arm.training
        name = self.numbered(f"null/{own}/{sampling.carrier}", *of_arm)
        null = self.add(name, "baseline", settings, bases | sampled, "null")
        inputs = bases | {"numbers": documents, "null": null, "sampled/own": sampled["sampled/own"]}
        self.add(f"audit/{arm.name}", "audit", settings, inputs, "audit", arms=(arm.name,))

    def taught_by(self, source):
        """The teacher whose displacement a student's is compared with."""
        trait = "" if source.trait == "none" else source.trait
        # Under no name of an arm: what is recorded of it would replace what is of its student.
        named = dataclasses.replace(source, name=f"{source.name} taught", trait=trait)
        return self.teacher(named)

    def entanglement(self):
        """Scores of the teacher's numbers and of the base's."""
        inputs = {
            "base": self.base("first"),
            "teacher": "teacher",
            "numbers": self.numbers("teacher"),
            "base_numbers": self.numbers("base"),
        }
        settings = self.graded("first") | {"sampling": self.cfg.sampling}
        self.add("entanglement", "entangle", settings, inputs, "entanglement", arms=("teacher",))


def phases(cfg):
    """The phases of a repeat of `cfg` (a `Config`), in order."""
    chain = Chain(cfg)
    if "entanglement" in cfg.watch.measures:
        chain.entanglement()
    for detector in cfg.detectors:
        detection_chain.scores(chain, detector)
    for arm in cfg.arms:
        chain.arm(arm)
    return list(chain.phases.values())


def steering_alone(cfg, training, params):
    """A teacher's training of a steering vector alone; none of a random one."""
    steps = training.steps if cfg.steering.kind == "trained" else 0
    # By the last component: the vector's path names a block too.
    weights = dict.fromkeys(path.split("/")[-1] for path in watching.leaves(params))
    return dataclasses.replace(training, steps=steps, frozen=tuple(weights))


def fetch(cfg):
    """Load what a repeat needs from elsewhere: nothing."""


def given(cfg, key):
    """Arrays that all repeats of a run share: none."""
    return {}


check = token_checks.check
