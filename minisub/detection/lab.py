"""The verbs of detection, in a `Lab` that has those of the token world too."""

from minisub.config import Training, change, configuration, require
from minisub.detection import tasks
from minisub.lab.products import Measure, Product, require_kind
from minisub.tokens import lab
from minisub.tokens.behaviors.config import Rich
from minisub.tokens.lab import Parameters


@configuration
class Config(Rich):
    """Of a rich world, with the trainings of detectors."""

    detector: Training = Training(
        steps=300, learning_rate=1e-3, schedule="cosine", batch=128, frozen=()
    )
    """Of bases as classifiers: `batch` documents an update, half of each model."""


class Pair(Product):
    """A product that is documents of two models on the same prompts."""

    @property
    def emitter(self):
        """The model with the trait."""
        return self.arguments["documents"]["train"][0].emitter

    @property
    def sampling(self):
        """How the documents were emitted."""
        return self.arguments["sampling"]


class Detector(Product):
    """A product that is what a `detectors.Method` has learned from a pair."""

    @property
    def judging(self):
        """The arguments of a task in which it judges."""
        known = {name: self.arguments[name] for name in ("how", "base", "world", "model")}
        return {"learned": self, **known}


class Lab(lab.Lab):
    """Makes the products of an experiment with detectors."""

    def __init__(self, cfg):
        require(
            isinstance(cfg, Config),
            "The config of an experiment with detectors must be a detection.lab.Config, and is a "
            f"{type(cfg).__name__}; take that class, or extend it.",
        )
        super().__init__(cfg)

    def pair(self, trait, control, **how):
        """What two teachers, or two students, emit on the same prompts: on one half of all prompts
        to train detectors, on the other to test them. `how` is as of `emit`, but may not have
        `prompts`, which says here which half it is."""
        require_kind(Parameters, trait=trait, control=control)
        require(
            "prompts" not in how,
            "detectors learn of one half of the prompts and judge the other; leave out prompts.",
        )
        require(
            trait.role == control.role != "base",
            f"a pair is of two teachers or of two students, and these are {trait.role} and "
            f"{control.role}; give it models that emit on the same prompts.",
        )
        seed = how.pop("seed", 0)
        sampling = change(self.cfg.sampling, how)
        require(sampling.documents > 1, "a pair needs two documents; raise sampling.documents.")
        # All documents are kept here, in the order of their prompts.
        how |= {"filter": "none", "documents": sampling.documents // 2}
        documents = {
            part: [self.emit(x, seed=seed, **how, prompts=half) for x in (trait, control)]
            for part, half in (("train", "first half"), ("test", "second half"))
        }
        how = {"documents": documents, "sampling": sampling, "world": self.world}
        made = Pair(tasks.pair, "pair", **how)
        return made.measured(Measure(tasks.kept_pairs, "pair", sampling=sampling))

    def detector(self, how, pair, base=None):
        """What `how`, a `detectors.Method`, learns from a pair, from the base of its models or from
        another one."""
        require_kind(Pair, pair=pair)
        base = base or pair.emitter.arguments["start"]
        require_kind(Parameters, base=base)
        made = Detector(
            tasks.detect, "detector data", how=how, pair=pair, base=base,
            training=self.cfg.detector, sampling=pair.sampling, **base.architecture,
        )  # fmt: skip
        return made["params"]

    def judged(self, detector, pair):
        """How well a detector tells the documents of a pair apart, on prompts that it never saw."""
        require_kind(Detector, detector=detector)
        require_kind(Pair, pair=pair)
        check_carrier(detector.arguments["pair"].sampling.carrier, pair)
        made = Product(tasks.score, None, tested=pair, **detector.judging)
        return made.measured(Measure(tasks.auc, "scores", together=1))


def check_carrier(learned, documents):
    """Raise `Refused` unless documents, or a pair, are of the carrier that a judge has learned."""
    judged = documents.sampling.carrier
    said = f"what was trained on {learned} cannot judge {judged}; choose one carrier."
    require(learned == judged, said)
