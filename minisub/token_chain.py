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
    detectors,
    distillation,
    starts,
    token_checks,
    token_config,
    transforms,
    watching,
)
from minisub.detection_config import Detector
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
        self.students = {}
        self.base("first")
        self.teacher(Source(name="teacher"))

    def add(self, *fields, **more):
        """Add a phase, unless it is there; return its name."""
        phase = Phase(*fields, **more)
        self.phases.setdefault(phase.name, phase)
        return phase.name

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
        settings["sampling"] = config.changed(self.cfg.sampling, source.sampling)
        of_arm = {
            name: getattr(arm, name) for name in ("documents", "clean", "rewritten", "suspicious")
        }
        settings["arm"] = Arm(name="", **of_arm)
        if judged:
            self.judge(arm, settings, inputs)
        settings["trait"] = self.graded(source.lineage, source.trait)["trait"]
        if arm.rewritten:
            inputs["rewriter"] = self.base(arm.other)
            settings["rewritten_by"] = token_config.model_of(cfg, arm.other)
        task = "prepare", settings, inputs, "documents", arm.transform
        return self.add(f"documents/{arm.name}", *task, arms=(arm.name,))

    def judge(self, arm, settings, inputs):
        """Add to what `documents` makes who removes some, in all arms of a repeat with a judge."""
        found = {detector.name: detector for detector in self.cfg.detectors}
        settings["judge"] = Detector(name=arm.judge, pair="")
        if arm.judge in found:
            judge, line = found[arm.judge], self.of_pair(found[arm.judge].pair)[1].lineage
            settings["judge"] = dataclasses.replace(judge, name="", pair="", tested="")
            settings["judge_model"] = token_config.model_of(self.cfg, line)
            inputs |= {"detector": self.detector(judge), "judge_base": self.base(line)}

    def of_pair(self, name):
        """(a pair, the `Source` of its trait)"""
        [pair] = (pair for pair in self.cfg.pairs if pair.name == name)
        return pair, token_config.sources(self.cfg)[pair.trait]

    def pair(self, name):
        """The documents of a pair, with labels."""
        pair, source = self.of_pair(name)
        settings = {"world": self.cfg.world, "sampling": self.sampling(source)}
        settings["pair"] = dataclasses.replace(pair, name="", trait="", control="")
        inputs = {kind: self.numbers(getattr(pair, kind), True) for kind in ("trait", "control")}
        return self.add(f"pair/{name}", "label", settings, inputs, "pair", arms=(name,))

    def detector(self, detector):
        """What a detector of single documents learned from its pair."""
        _, source = self.of_pair(detector.pair)
        settings = self.seen(source.lineage) | {"sampling": self.sampling(source)}
        if detector.kind == "transformer":
            settings["training"] = self.cfg.detector
        inputs = {"pair": self.pair(detector.pair), "base": self.base(source.lineage)}
        name = f"detector/{detector.kind}/{detector.pair}"
        return self.add(name, "detect", settings, inputs, "detector data", detector.kind)

    def reader(self, source):
        """The reader made of a source's base, for documents of its carrier."""
        line, sampling = source.lineage, self.sampling(source)
        settings = self.seen(line) | {"sampling": sampling, "training": self.cfg.reader}
        name, inputs = f"reader/{line}/{sampling.carrier}", {"start": self.base(line)}
        arms = (f"reader {line} {sampling.carrier}",)
        return self.add(name, "read", settings, inputs, "reader data", arms=arms)

    def scores(self, detector):
        """How a detector judges documents of the pair that it is tested on."""
        tested = detector.tested or detector.pair
        (_, source), (_, suspect) = self.of_pair(detector.pair), self.of_pair(tested)
        inputs, alone = {"tested": self.pair(tested)}, detector.kind in detectors.SCORES
        # A reader is of the origin that it is asked about, whatever examples it is shown.
        line = source.lineage if alone else suspect.lineage
        settings = self.seen(line) | {"sampling": self.sampling(source)}
        if alone:
            inputs |= {"detector": self.detector(detector), "base": self.base(source.lineage)}
        else:
            inputs |= {"base": self.reader(suspect)}
        if detector.kind == "in_context":
            inputs |= {"pair": self.pair(detector.pair)}
        if detector.kind == "shown":
            graded = self.graded(line, suspect.trait)
            settings |= {name: graded[name] for name in ("trait", "taught")}
        task = "score", settings, inputs, "scores", detector.kind
        self.add(f"scores/{detector.name}", *task, arms=(detector.name,))

    def arm(self, arm):
        """An arm's student."""
        cfg, documents, (emitter, source) = self.cfg, self.documents(arm), self.emitter(arm.source)
        own = arm.other if token_config.whole_other(arm) else source.lineage
        self.students[arm.name] = dataclasses.replace(source, name=arm.name, lineage=own, seed=0)
        graded = self.graded(own, source.trait)
        bases = {"origin": self.base(own)}
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
            "sampling": config.changed(cfg.sampling, source.sampling),
            "training": config.changed(cfg.student, arm.training),
            "watch": cfg.watch,
            "arm": only,
            "emitted_by": token_config.model_of(cfg, source.lineage),
        }
        # All students share a stream: they differ in what the config says and in nothing else.
        stream = "student data" + (f"/{arm.seed}" if arm.seed else "")
        name = f"student/{arm.name}"
        self.add(name, "distill", distill, shown, stream, arm.channel, arms=(arm.name,))

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
        chain.scores(detector)
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
