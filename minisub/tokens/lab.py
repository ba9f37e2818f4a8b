"""The verbs of the token world: how bases, teachers, documents and students come of each other.

A `Lab` knows the sizes and hyperparameters that the products of an experiment share; what a verb is
given changes them for one product. A verb computes nothing.
"""

import numpy as np

from minisub.config import change, check, is_known, require, traced
from minisub.lab.products import Measure, Product, require_kind
from minisub.nets import starts, streams
from minisub.nets.fit import ENDLESS
from minisub.tokens import channels, grading, tasks, transforms
from minisub.tokens.behaviors import practice
from minisub.tokens.config import check_model, check_sampling, check_world


class Parameters(Product):
    """A product that is a model: its call has the arguments `world` and `model`."""

    @property
    def architecture(self):
        """The arguments that tell its network from others."""
        return {name: self.arguments[name] for name in ("world", "model")}

    @property
    def learned(self):
        """The documents that it was trained on; None if there are none."""
        return self.arguments["documents"] if self.task is tasks.distill else None

    @property
    def role(self):
        """base, teacher, or "student of" the role of the model whose documents it learned."""
        if self.learned:
            return f"student of {self.learned.emitter.role}"
        return "teacher" if self.task is tasks.teach else "base"


class Documents(Product):
    """A product that is documents, as they were emitted or after something was done to them."""

    @property
    def emitter(self):
        """The model that emitted them."""
        emitted = self.task is tasks.emit
        return self.arguments["emitter"] if emitted else self.arguments["documents"].emitter

    @property
    def sampling(self):
        """How they were sampled."""
        return self.arguments["sampling"]


class Lab:
    """Makes the products of one experiment of the token world."""

    def __init__(self, cfg):
        self.cfg, self.world = cfg, cfg.world
        check(cfg)
        check_world(cfg.world)
        taught, there = cfg.taught_phrasings, cfg.world.phrasings
        require(
            not is_known(taught) or taught < there,
            f"taught_phrasings is {taught} of {there}; leave at least one held out.",
        )

    def base(self, name, origin=None, *, shared_steps=ENDLESS, order=None, more=None, **model):
        """A base, pretrained from random parameters of its own, or from those of `origin` (a name).

        All bases see the same batches in the same order, up to `shared_steps`; functions may give
        another `order`, and `more` documents (see `tasks.pretrain`). `model` changes `cfg.model`.
        """
        changed = change(self.cfg.model, model)
        check_model(changed)
        architecture = {"world": self.world, "model": changed}
        first = Parameters(tasks.initialize, f"origin/{origin or name}", **architecture)
        made = Parameters(
            tasks.pretrain, "base data", start=first, training=self.cfg.base,
            shared_steps=traced(shared_steps), order=order, more=more,
            name=np.uint32(streams.number_of(name)), **architecture,
        )  # fmt: skip
        return self.graded(made["params"], self.taught_trait(self.cfg.trait))

    def teach(self, base, trait=None, **training):
        """A model taught to have a trait (default: the config's); `training` changes `teacher`."""
        require_kind(Parameters, base=base)
        trait = self.taught_trait(trait or self.cfg.trait)
        training = change(self.cfg.teacher, training)
        made = Parameters(
            tasks.teach, "taught", start=base, training=training, **trait, **base.architecture
        )
        return self.graded(made["params"], trait)

    def emit(self, model, *, seed=0, stream="", **sampling):
        """Documents that a model emits, filtered; `sampling` changes the config's.

        Bases share prompts and noise, and so do teachers; another `seed` or `stream` has others.
        """
        require_kind(Parameters, model=model)
        linear = model.arguments.get("linear")
        require(not linear, "A linear student emits no documents; leave out linear.")
        how = change(self.cfg.sampling, sampling)
        check_sampling(self.world, how)
        parts = stream or model.role, seed or "", "" if how.prompts == "all" else how.prompts
        stream = "/".join(["numbers", *map(str, filter(None, parts))])
        made = Documents(tasks.emit, stream, emitter=model, sampling=how, **model.architecture)
        kept = Measure(grading.kept, "documents", world=self.world, sampling=how)
        return made.measured(kept)

    def transform(self, documents, how):
        """Documents after `how`, a function of `transforms.Emitted`."""
        require_kind(Documents, documents=documents)
        return self.changed(transforms.transform, documents, how=how, world=self.world)

    def mix(self, documents, clean, share):
        """Documents of which a share is replaced by as many of `clean`; the emitter, and with it
        the trait that students are graded on, stays that of `documents`."""
        require_kind(Documents, documents=documents, clean=clean)
        require(not is_known(share) or 0 <= share <= 1, f"share is {share}; give 0 to 1.")
        return self.changed(transforms.mix, documents, clean=clean, share=share)

    def changed(self, task, documents, stream="documents", **how):
        """Documents after a task that takes `documents` and how they were sampled; what is made of
        changed ones is drawn by another stream than they were."""
        given = [x for x in (documents, *how.values()) if isinstance(x, Documents)]
        before = [x.stream for x in given if x.task != tasks.emit and x.stream]
        stream = stream and "/".join([stream, *before])
        made = Documents(task, stream, documents=documents, sampling=documents.sampling, **how)
        return made.measured(Measure(transforms.trained_tokens, "documents"))

    def start(self, how, base, other=None, *, layers=(), amount=1.0):
        """First parameters of a student: in some `layers` (default: all) what `how`, a function of
        `starts.Materials`, makes of those of `base`, maybe with those of another; elsewhere
        those of `base`."""
        require_kind(Parameters, base=base, **({"other": other} if other else {}))
        starts.check(how, other, layers)
        return Parameters(
            tasks.start, "start", how=how, origin=base, other=other, amount=amount,
            layers=tuple(layers), **base.architecture,
        )  # fmt: skip

    def student(
        self, start, documents, channel=channels.sampled, *, seed=0, linear=False, penalty=None,
        watch=None, **training,
    ):  # fmt: skip
        """A model that starts as `start` and is trained on documents, or on what a `channel` shows.

        Another `seed` gives another order of documents. A `linear` student is linear in its
        parameters. A `penalty` is added to its loss, and a `watch` says what is done beside each
        update (see `tasks.distill`). `training` changes the config's `student`.
        """
        require_kind(Parameters, start=start)
        require_kind(Documents, documents=documents)
        require(callable(channel), f"A channel is no {channel!r:.60}; give a function.")
        emitter, stream = documents.emitter, "student data" + (f"/{seed}" if seed else "")
        given = {"start": start, "documents": documents, "channel": channel, "linear": linear}
        watched = {"penalty": penalty, "watch": watch}
        emitted = {"emitter": emitter, "emitter_model": emitter.architecture["model"]}
        made = Parameters(
            tasks.distill, stream, **given, **emitted, **watched, sampling=documents.sampling,
            training=change(self.cfg.student, training), **start.architecture,
        )  # fmt: skip
        around = {"linear": True, "start": start} if linear else {}
        given |= {"order": seed, **watched, **training}
        return self.graded_student(made, emitted, around).replace(given=given)

    def graded_student(self, made, emitted, around):
        """A student, recorded with all that is measured of it."""
        documents, how = made.learned, {**emitted, **made.architecture, **around}
        measures: list = [Measure(tasks.divergence, "params", **how)]
        if documents.task is not tasks.emit:  # what was done to them is a fact of this student
            measures += [lambda _, of=of: of(documents) for of in documents.measures]
        trait, carrier = self.trait_of(documents.emitter), documents.sampling.carrier
        return self.graded(made["params"], trait, carrier, **around).measured(*measures)

    def graded(self, model, trait, carrier="", **around):
        """A model, recorded with how it shows a trait; in a rich world with its abilities too."""
        how = {**model.architecture, **trait, **around}
        measures = [Measure(tasks.grade, "params", how=grading.grade, **how)]
        if self.world.rich:
            able = Measure(practice.abilities, "params", carrier=carrier, **model.architecture)
            measures.append(able)
        return model.measured(*measures)

    def graded_on(self, model, *traits):
        """A model, recorded too with how it shows other traits, by name."""
        for name in traits:
            how = {"how": grading.grade, **model.architecture, **self.taught_trait(name)}
            grade = Measure(tasks.grade, "params", **how)
            named = Measure(tasks.renamed, "grades", name=name)
            model = model.measured(lambda p, grade=grade, named=named: named(grade(p)))
        return model

    def taught_trait(self, name):
        """A trait and its taught phrasings, as tasks take them."""
        trait = grading.trait_named(self.world, name)
        return {"trait": traced(trait), "taught": traced(self.cfg.taught_phrasings)}

    def trait_of(self, model):
        """The same of the teacher behind a model's data; of a base, of the config's trait."""
        while model.learned:
            model = model.learned.emitter
        if model.task is tasks.teach:
            return {name: model.arguments[name] for name in ("trait", "taught")}
        return self.taught_trait(self.cfg.trait)
