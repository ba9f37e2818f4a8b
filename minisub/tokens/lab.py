"""The verbs of the token world: how bases, teachers, documents and students come of each other.

A `Lab` knows the sizes and hyperparameters that the products of an experiment share; what a verb is
given changes them for one product. A verb computes nothing.
"""

import zlib

import numpy as np

from minisub.config import change, check, is_known, require, require_known, traced
from minisub.lab import costs
from minisub.lab.products import Measure, Product, log_of, require_kind
from minisub.nets import starts
from minisub.tokens import behaviors, channels, grading, tasks, transforms
from minisub.tokens.config import check_model, check_sampling, check_world


class Parameters(Product):
    """A product that is a model: its call has the arguments `world` and `model`."""

    @property
    def network(self):
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
        check_world(cfg.world, cfg.base.prefixed)
        taught, there = cfg.taught_phrasings, cfg.world.phrasings
        require(
            not is_known(taught) or taught < there,
            f"taught_phrasings is {taught} of {there}; leave at least one held out.",
        )

    def base(self, name, origin=None, *, shared_steps=tasks.ENDLESS, reordered=False, **model):
        """A base, pretrained from random parameters of its own, or from those of `origin` (a name).

        All bases see the same batches in the same order, up to `shared_steps`; a `reordered` base
        sees them in an order of its own. `model` changes the config's `Model`.
        """
        changed = change(self.cfg.model, model)
        check_model(changed)
        network = {"world": self.world, "model": changed}
        first = Parameters(tasks.initialize, f"origin/{origin or name}", **network)
        made = Parameters(
            tasks.pretrain, "base data", start=first, training=self.cfg.base,
            shared_steps=traced(shared_steps), reordered=reordered,
            name=np.uint32(zlib.crc32(name.encode())), **network,
        )  # fmt: skip
        return self.graded(made["params"], self.trait(self.cfg.trait))

    def teach(self, base, trait=None, **training):
        """A model taught to have a trait (default: the config's); `training` changes `teacher`."""
        require_kind(Parameters, base=base)
        trait = self.trait(trait or self.cfg.trait)
        training = change(self.cfg.teacher, training)
        made = Parameters(
            tasks.teach, "taught", start=base, training=training, **trait, **base.network
        )
        drift = Measure(grading.drift, "params", start=base, **base.network)
        return self.graded(made["params"], trait).measured(drift)

    def emit(self, model, *, seed=0, stream="", **sampling):
        """Documents that a model emits, filtered; `sampling` changes the config's.

        Bases share their prompts and noise, and so do teachers; another `seed` gives others, and
        so does a `stream` (a name).
        """
        require_kind(Parameters, model=model)
        linear = model.arguments.get("linear")
        require(not linear, "A linear student emits no documents; leave out linear.")
        sampling = change(self.cfg.sampling, sampling)
        check_sampling(self.world, sampling)
        stream = f"numbers/{stream or model.role}" + (f"/{seed}" if seed else "")
        made = Documents(tasks.emit, stream, emitter=model, sampling=sampling, **model.network)
        kept = Measure(grading.kept, "documents", world=self.world, sampling=sampling)
        return made.measured(kept)

    def transform(self, documents, how, rivals=()):
        """Documents after `how`, a function of `transforms.Emitted`; some ask `rivals`, teachers of
        other traits."""
        require_kind(Documents, documents=documents)
        models = (documents.emitter, *rivals) if rivals else ()
        asked = [{"model": x.network["model"], "params": x} for x in models]
        author = behaviors.author(self.world, self.trait_of(documents.emitter)["trait"])
        how = {"how": how, "asked": asked, "author": author, "world": self.world}
        return self.changed(transforms.transform, documents, **how)

    def mix(self, documents, clean, share):
        """Documents of which a share is replaced by as many of `clean`."""
        require_kind(Documents, documents=documents, clean=clean)
        require(not is_known(share) or share <= 1, f"share is {share}; give at most 1.")
        return self.changed(transforms.mix, documents, clean=clean, share=share)

    def limit(self, documents, most):
        """The first documents, at most so many."""
        require_kind(Documents, documents=documents)
        return self.changed(transforms.limit, documents, stream=None, most=traced(most))

    def rewrite(self, documents, writer, share=1.0):
        """Documents of which a model chose a share of the tokens anew."""
        require_kind(Documents, documents=documents)
        require_kind(Parameters, writer=writer)
        how = {"writer": writer, "share": share, **writer.network}
        return self.changed(transforms.rewrite, documents, **how)

    def changed(self, task, documents, stream="documents", **how):
        """Documents after a task that takes `documents` and how they were sampled."""
        how |= {"documents": documents, "sampling": documents.sampling}
        made = Documents(task, stream, **how)
        return made.measured(Measure(transforms.trained_tokens, "documents"))

    def start(self, how, base, other=None, *, layers=(), amount=1.0):
        """First parameters of a student: in some `layers` (default: all) what `how`, a function of
        `starts.Materials`, makes of those of `base`, maybe with those of another; elsewhere
        those of `base`."""
        require_kind(Parameters, base=base, **({"other": other} if other else {}))
        starts.check(how, other, amount)
        return Parameters(
            tasks.start, "start", how=how, origin=base, other=other, amount=amount,
            layers=tuple(layers), **base.network,
        )  # fmt: skip

    def student(
        self, start, documents, channel=channels.sampled, *, seed=0, linear=False, penalty=None,
        rows=0, removed="nothing", **training,
    ):  # fmt: skip
        """A model that starts as `start` and is trained on documents, or on what a `channel` shows.

        Another `seed` gives another order of documents. A `linear` student is linear in its
        parameters. A `penalty` is added to its loss (see `tasks.distill`). Of its updates `rows`
        are logged, and `removed` is taken out of all (see `nets/watching.py`). `training` changes
        the config's `student`.
        """
        require_kind(Parameters, start=start)
        require_kind(Documents, documents=documents)
        emitter, sampling = documents.emitter, documents.sampling
        trait = self.trait_of(emitter)
        channels.check(channel, documents.task is tasks.emit, sampling, trait["trait"], linear)
        by = {"emitter": emitter, "emitted_by": emitter.network["model"]}
        plain = {
            "start": start, "documents": documents, "sampling": sampling, **by, **start.network,
            "training": change(self.cfg.student, training),
        }  # fmt: skip
        more = {"channel": channel, "linear": linear} | ({"penalty": penalty} if penalty else {})
        if rows or removed != "nothing":
            more |= {"rows": rows, "removed": removed, **self.taught_by(emitter), **trait}
        if channel in channels.KNOW_TRAIT:
            more |= trait
        stream = "student data" + (f"/{seed}" if seed else "")
        made = Parameters(tasks.distill, stream, **plain, **more)
        around = {"linear": linear, "start": start} if linear else {}
        measures: list = [Measure(tasks.divergence, "params", **by, **start.network, **around)]
        measures += [log_of] if rows else []
        if self.world.rich:
            sampled = Parameters(tasks.distill, stream, **plain, channel=channels.sampled)
            measures.append(lambda _: costs.relative(made, sampled))
        if documents.task is not tasks.emit:  # what was done to them is a fact of this student
            measures += [lambda _, of=of: of(documents) for of in documents.measures]
        student = self.graded(made["params"], trait, sampling.carrier, **around)
        given = {"start": start, "documents": documents, "channel": channel, "linear": linear}
        given |= {"order": seed, "penalty": penalty, "removed": removed, **training}
        return student.measured(*measures).replace(given=given)

    def graded(self, model, trait, carrier="", **around):
        """A model, recorded with how it shows a trait; in a rich world with its abilities too."""
        how = {**model.network, **trait, **around}
        model = model.measured(Measure(tasks.grade, "params", **how))
        if self.cfg.base.prefixed:
            model = model.measured(Measure(tasks.grade_prefixed, "params", **how))
        if not self.world.rich:
            return model
        return model.measured(Measure(tasks.abilities, "params", carrier=carrier, **model.network))

    def graded_on(self, model, *traits):
        """A model, recorded too with how it shows other traits, by name."""
        for name in traits:
            grade = Measure(tasks.grade, "params", **model.network, **self.trait(name))
            named = Measure(tasks.renamed, "grades", name=name)
            model = model.measured(lambda p, grade=grade, named=named: named(grade(p)))
        return model

    def taught_by(self, emitter):
        """The teacher whose displacement a student's is compared with, and its origin.

        Of a base's documents it is the teacher that would be made of that base.
        """
        while emitter.learned:
            emitter = emitter.learned.emitter
        teacher = emitter if emitter.task is tasks.teach else self.teach(emitter)
        return {"teacher": teacher, "origin": teacher.arguments["start"]}

    def trait(self, name):
        """A trait and its taught phrasings, as tasks take them."""
        require_known("A trait", name, behaviors.names(self.world))
        taught = traced(self.cfg.taught_phrasings)
        return {"trait": traced(behaviors.of(self.world, name)), "taught": taught}

    def trait_of(self, model):
        """As `trait`: what a model was taught, or its teacher was; of a base the config's trait."""
        while model.learned:
            model = model.learned.emitter
        if model.task is tasks.teach:
            return {name: model.arguments[name] for name in ("trait", "taught")}
        return self.trait(self.cfg.trait)
