"""A student that has learned from noise has little better features than an untrained model: what
has changed is how they line up with the class head, which was never trained.

    python train.py similarity            10 repeats, 6 minutes on one CPU core, others busy

Mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a CPU, jax 0.10.2).
"probe" is the accuracy of a linear read-out of the last hidden layer, trained on 10,000 labels; CKA
is that of the last hidden layer with the teacher's, unbiased, and within what the class heads read;
"weights" is the cosine of fc1 with the teacher's; "differs" the share of other answers:

    arm          accuracy      probe         CKA           CKA, class    weights       differs
    untrained    0.105 ±0.017  0.819 ±0.003
    teacher      0.945 ±0.001  0.925 ±0.002
    shared       0.497 ±0.037  0.875 ±0.003  0.896 ±0.015  0.837 ±0.020  0.976 ±0.001  0.494 ±0.039
    shared/all   0.913 ±0.008  0.907 ±0.001  0.991 ±0.002  0.990 ±0.001  0.990 ±0.001  0.050 ±0.009
    foreign      0.103 ±0.018  0.825 ±0.003  0.691 ±0.033  0.403 ±0.050  0.002 ±0.002  0.896 ±0.017
    fresh        0.111 ±0.017  0.824 ±0.004  0.698 ±0.029  0.412 ±0.063  0.002 ±0.002  0.889 ±0.016
    rotated .25  0.267 ±0.046  0.853 ±0.003  0.818 ±0.016  0.616 ±0.016  0.910 ±0.001  0.730 ±0.047
    rotated .5   0.125 ±0.027  0.833 ±0.004  0.726 ±0.025  0.430 ±0.069  0.698 ±0.001  0.875 ±0.028

Published: probe .874 -> .909 while the read-out goes .106 -> .391. Here .819 -> .875 and .105 ->
.497. Whole CKA stays high without any transfer (.69); within the class head's reading it does not.
"""

from configs import _similarity as similarity
from configs import interpolation
from minisub.images import pictures, tasks
from minisub.images.config import Config
from minisub.images.lab import Lab
from minisub.images.together import together
from minisub.lab.products import Measure
from minisub.theory import watching
from minisub.theory.comparisons import compared

config = Config(examples=10000)
repeats = 10


def experiment(cfg):
    """Students whose features are compared with their teacher's."""
    lab = Lab(cfg)
    first, second = lab.origin("first"), lab.origin("second")
    teacher = lab.teach(first)

    def student(start, teacher, channel="aux"):
        made = lab.student(start, teacher, channel)
        return probed(lab, compared(lab, made, cka, weights, disagreement))

    def rotated(amount):
        return lab.start(interpolation.rotated, first, second, amount=amount)

    foreign = student(first, lab.teach(second))
    shared = student(first, teacher).against(foreign)
    students = {
        "shared": shared,
        "shared/all": student(first, teacher, "all").against(shared),
        "foreign": foreign,
        "fresh": student(second, teacher).against(shared),
        "rotated .25": student(rotated(0.25), teacher).against(shared),
        "rotated .5": student(rotated(0.5), teacher).against(shared),
    }
    taught = {"untrained": probed(lab, first), "teacher": probed(lab, teacher)}
    return taught | together(students)


def cka(c):
    """`cka` of each hidden layer with the teacher's of that name; of the last ones also without
    bias, from batches of 256 (`cka_unbiased`), and within what the class heads read (`cka_class`).
    """
    x, _ = c.held_out
    pairs = (c.network, c.params), (c.teacher_network, c.teacher)
    own, theirs = (net.activations(params, x) for net, params in pairs)
    if not own or not theirs:  # a model without hidden layers
        return {}

    def flat(*layers):
        return [h.reshape(len(x), -1) for h in layers]

    last = list(own)[-1]
    ends = flat(own[last], list(theirs.values())[-1])
    heads = (p["class_head"]["kernel"] for p in (c.params, c.teacher))
    by_name = {n: flat(own[n], theirs[n]) for n in own if n in theirs}
    return {f"cka/{name}": similarity.cka(*pair) for name, pair in by_name.items()} | {
        f"cka_unbiased/{last}": similarity.cka_minibatch(ends[0], ends[1], min(256, len(x))),
        f"cka_class/{last}": similarity.subspace_cka(*ends, *heads),
    }


def weights(c):
    """`weight_cosine`: of student's and teacher's parameters, for each layer."""
    by_layer = watching.cosine_by_layer(c.params, c.teacher)
    return {f"weight_cosine/{layer}": value for layer, value in by_layer.items()}


def disagreement(c):
    """`disagreement`: share of test images to which student and teacher give other classes."""
    x, _ = c.held_out
    theirs = c.teacher_network.apply(c.teacher, x)[0][:, : c.classes]
    return {"disagreement": similarity.disagreement(c.logits(c.params, x), theirs)}


def probed(lab, classifier):
    """The same classifier, recorded also with `probe`: the accuracy of a linear read-out of its
    last hidden layer, which is trained on the labels of `cfg.examples` images."""
    known = "data", "model", "linear", "start"
    how = {name: x for name, x in classifier.arguments.items() if name in known}
    how |= {"images": lab.images, "examples": lab.cfg.examples}
    return classifier.measured(Measure(probe, "params", **how))


def probe(*, params, images, examples, data, model, start=None, linear=False):
    """`probe`: ridge regression on the last hidden layer of training images, tested on others."""
    network = tasks.student_network(data, model, linear, start)
    (x, labels), (test_x, test_labels) = (
        tasks.some(images, which, examples) for which in ("train", "test")
    )
    hidden, test_hidden = (network.apply(params, images)[1] for images in (x, test_x))
    how = pictures.shape(data)[1], PROBE_DECAY
    return {"probe": similarity.probe(hidden, labels, test_hidden, test_labels, *how)}


PROBE_DECAY = 1.0
