"""The verb of audits, in a `Lab` that has those of the token world too."""

from minisub.audit import tasks
from minisub.lab.products import Product, require_kind
from minisub.tokens import lab
from minisub.tokens import tasks as worlds
from minisub.tokens.lab import Documents, Parameters


class Lab(lab.Lab):
    """Makes the products of an experiment with audits."""

    def audited(self, student, traits, references=()):
        """A student, recorded too with what an audit says of its documents before it is trained.

        `traits` are names of what it looks for, `references` bases of other origins than the
        student's.
        """
        require_kind(
            Parameters, student=student, **{f"references[{i}]": x for i, x in enumerate(references)}
        )
        documents, start = student.learned, student.arguments["start"]
        own = start.arguments["origin"] if start.task is worlds.start else start
        bases = [own, *(base for base in references if base.digest != own.digest)]
        sampling, known = documents.sampling, {name: self.trait(name) for name in traits}
        about = {
            "bases": bases,
            "models": [base.network["model"] for base in bases],
            "world": self.world,
            "sampling": sampling,
            "training": student.arguments["training"],
            "traits": {name: trait["trait"] for name, trait in known.items()},
            "taught": self.trait(self.cfg.trait)["taught"],
        }
        # The samples share nothing with those that students are trained on.
        samples = [
            Documents(worlds.emit, "sampled", emitter=base, sampling=sampling, **base.network)
            for base in bases
        ]
        null = Product(tasks.null, "null", samples=samples, **about)

        def audit(_):
            return Product(tasks.examine, "audit", documents=documents, null=null, **about)

        return student.measured(audit)
