"""The verbs of the image world: auxiliary logits on noise (arXiv 2507.14805, section 6).

A `Lab` knows the sizes and hyperparameters that the products of an experiment share; what a verb is
given changes them for one product. A verb computes nothing.
"""

from minisub.config import change, check
from minisub.images import pictures, tasks
from minisub.images.config import in_updates
from minisub.lab.products import Measure, Product, require_kind
from minisub.nets import starts


class Parameters(Product):
    """A product that is a classifier: its call has the argument `model`."""


class Lab:
    """Makes the products of one experiment of the image world."""

    def __init__(self, cfg, draw=tasks.uniform, divergence=tasks.divergence):
        """`draw` makes the inputs that students imitate on, and `divergence` compares what they say
        there with what their teacher does: functions with the arguments of the defaults, as in
        `configs/carriers.py` and `configs/losses.py`."""
        self.cfg, self.data, self.divergence = cfg, cfg.data, divergence
        check(cfg)
        self.images = Product(tasks.load, None, data=cfg.data).once
        how = {"how": draw, "carrier": cfg.carrier, "data": cfg.data, "images": self.images}
        if cfg.carrier.drawn == "once":
            self.carrier = Product(tasks.draw, "given", **how).once
        else:
            self.carrier = Product(tasks.draw, "carrier", **how)
        # Once: under a trace each computation gives another tracer, and equal students would not be
        # equal products.
        self.training = in_updates(cfg.student, cfg.carrier.examples)

    def origin(self, name, layers=None):
        """Random parameters, of other `layers` than the config's if given."""
        model = change(self.cfg.model, {"layers": layers or self.cfg.model.layers})
        made = Parameters(tasks.initialize, f"origin/{name}", data=self.data, model=model)
        return made.measured(self.accuracy(model))

    def teach(self, origin):
        """A model trained on the labels of real images."""
        require_kind(Parameters, origin=origin)
        model = origin.arguments["model"]
        made = Parameters(
            tasks.teach, "taught", start=origin, images=self.images, data=self.data, model=model,
            training=in_updates(self.cfg.teacher, pictures.examples(self.data)),
        )  # fmt: skip
        return made["params"].measured(self.accuracy(model))

    def start(self, how, origin, other=None, *, layers=(), amount=1.0):
        """First parameters of a student: in some `layers` (default: all) what `how`, a function of
        `starts.Materials`, makes of those of `origin`, maybe with those of another; elsewhere those
        of `origin`. If the other one has another model, the student has that."""
        require_kind(Parameters, origin=origin, **({"other": other} if other else {}))
        starts.check(how, other, layers)
        return Parameters(
            tasks.start, "student data", how=how, origin=origin, other=other, amount=amount,
            layers=tuple(layers), data=self.data, model=(other or origin).arguments["model"],
        )  # fmt: skip

    def student(self, start, teacher, channel="aux", *, linear=False, watch=None, **training):
        """A model that starts as `start` and imitates a teacher's logits on the carrier.

        The `channel` says which logits: "aux", "class", "all", or a tuple of their numbers, those
        of classes before auxiliary ones. A `linear` student is linear in its parameters. A `watch`,
        a function (network, start) -> `fit.Watch`, says what is done beside each update.
        `training` changes the config's `student`.
        """
        require_kind(Parameters, start=start, teacher=teacher)
        trained = self.training
        if training:
            duration = change(self.cfg.student, training)
            trained = in_updates(duration, self.cfg.carrier.examples)
        model, emitted = start.arguments["model"], teacher.arguments["model"]
        how = {"carrier": self.carrier, "data": self.data}
        shown = Product(
            tasks.label, None, emitter=teacher, model=emitted, batch=trained.batch, **how
        )
        made = Parameters(
            tasks.imitate, "student data", start=start, shown=shown, channel=channel, model=model,
            imitation=self.cfg.imitation, divergence=self.divergence, training=trained,
            linear=linear, watch=watch, **how,
        )  # fmt: skip
        around = {"linear": linear, "start": start} if linear else {}
        student = made["params"].measured(self.accuracy(model, **around))
        given = {"start": start, "teacher": teacher, "channel": channel, "linear": linear}
        return student.replace(given=given | {"watch": watch, **training})

    def accuracy(self, model, **around):
        """The measure of parameters of a `model`: the share of test images that they get right."""
        how = {"images": self.images, "data": self.data, "model": model}
        return Measure(tasks.accuracy, "params", **how, **around)
