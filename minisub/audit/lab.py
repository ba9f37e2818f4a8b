"""The verb of audits, in a `Lab` that has those of the token world too."""

from minisub.audit import tasks
from minisub.config import require
from minisub.lab.products import Product, require_kind
from minisub.tokens import lab
from minisub.tokens import tasks as worlds
from minisub.tokens.lab import Documents, Parameters


class Lab(lab.Lab):
    """Makes the products of an experiment with audits."""

    def audited(self, student, traits, references=()):
        """A student, recorded too with what an audit for `traits`, names, says of its documents
        before it is trained; `references` are bases of other origins."""
        for model in (student, *references):
            require_kind(Parameters, model=model)
        require(student.learned, "an audit is of a student's documents; give it a student.")
        documents, start = student.learned, student.arguments["start"]
        base = start.arguments["origin"] if start.task is worlds.start else start
        bases = [base, *(x for x in references if x.digest != base.digest)]
        sampling = documents.sampling
        about = {
            "bases": bases, "models": [x.network["model"] for x in bases], "world": self.world,
            "sampling": sampling, "training": student.arguments["training"],
            "traits": {name: self.trait(name)["trait"] for name in traits},
            "taught": self.trait(self.cfg.trait)["taught"],
        }  # fmt: skip
        # The samples share nothing with those that students are trained on.
        samples = [Documents(worlds.emit, "sampled", emitter=x, sampling=sampling, **x.network)
                   for x in bases]  # fmt: skip
        null = Product(tasks.null, "null", samples=samples, **about)

        def audit(_):
            return Product(tasks.examine, "audit", documents=documents, null=null, **about)

        return student.measured(audit)
