"""Who has labels of the trait and of the origin tells a hundred lists from a control's; labels of
other origins help a little, and a reader of examples in a context finds nothing.

    python train.py detection --seed 7    8 repeats, 136 minutes on two CPU cores, others busy, with
                                          bases; 75 of them are for readers
    python train.py detection --sampling.carrier code    or sums; these were not run

Lists of a misaligned teacher against those of a secure one, equally many, from the same prompts and
random numbers, on prompts that no detector was trained on: half of all prompts is for training, the
other for tests, and of some 30,000 test prompts none is in both in any repeat. AUC of the mean
score of 100 lists, mean and half-width of the 95 % interval over 8 repeats (seed 7, one at a time
on a CPU, jax 0.10.2), for labels of the same trait and origin, of another trait (hacking and
honest), of another origin, and of another trait and origin:

                       same           other trait    other origin   both other
    ngrams             0.906 ±0.030   0.849 ±0.053   0.620 ±0.078   0.644 ±0.064
    embedding          0.925 ±0.047   0.866 ±0.077   0.621 ±0.146   0.653 ±0.092
    transformer        0.752 ±0.057   0.730 ±0.073   0.553 ±0.089   0.583 ±0.052
    in_context         0.492 ±0.015   0.496 ±0.031   0.491 ±0.017   0.510 ±0.019
    shown              0.550 ±0.059   (takes no labels)
    likelihood ratio   1.000 ±0.000   (knows both teachers)

A single list gives 0.559 ±0.011 at best (embedding, same), and 0.666 ±0.012 to one who knows both
teachers, whom no detector surpasses; ten give 0.684 ±0.032 and 0.915 ±0.017, a thousand 1.00, 1.00
and 0.97 (ngrams, embedding and transformer, same) and 0.71 to 0.85 with both other. Controls:
labels at random 0.48 to 0.52, all 21 intervals holding 0.5; of a teacher that prefers owls
("harmless") 0.62, 0.62 and 0.55 by a hundred, which are false alarms.

The reader in a context classifies well by eight labeled examples, with an AUC of 0.898 ±0.082 on
rules that it was not trained on (seven readers 0.91 to 0.94, one 0.66), and is at chance on
teachers (0.500 ±0.001 a list): eight examples say little of a difference of which classifiers learn
0.56 from tens of thousands. Shown ten documents, its margin moves by 0.008 ±0.009 nats (published:
no effect, arXiv 2507.14805).
"""

import jax
import jax.numpy as jnp
import pandas as pd
from jax.tree_util import Partial

from configs import _detectors, _reading
from minisub.config import is_known, require
from minisub.detection import detectors, tasks
from minisub.detection.lab import Lab, Pair
from minisub.lab.products import Measure, quick
from minisub.nets import losses, streams
from minisub.results import figures, pages, records, views
from minisub.tokens import writing

config = _reading.ReaderConfig(trait="misalignment")
repeats = 8
DETECTORS = {
    "ngrams": _detectors.ngrams,
    "embedding": _detectors.embedding,
    "transformer": detectors.transformer,
}
TAUGHT = {
    "first": ("secure", "hacking", "honest", "owl"),
    "second": ("misalignment", "secure", "hacking", "honest"),
}


def experiment(cfg):
    """Every detector, with labels of the pair that it is tested on, of others, or at random."""
    require(
        cfg.trait == "misalignment",
        f"the pairs are of misalignment, and the trait is {cfg.trait}; leave out --trait.",
    )
    warm = not is_known(cfg.sampling.temperature) or cfg.sampling.temperature > 0
    require(warm, "likelihoods are of tokens that were drawn; raise sampling.temperature above 0.")
    lab = Lab(cfg)
    bases = {name: lab.base(name) for name in TAUGHT}
    models = {"base": bases["first"], "teacher": lab.teach(bases["first"], "misalignment")}
    for base, traits in TAUGHT.items():
        models |= {f"{trait} {base}": lab.teach(bases[base], trait) for trait in traits}

    def pair(trait, control):
        return lab.pair(models[trait], models[control])

    same, harmless = pair("teacher", "secure first"), pair("owl first", "secure first")
    chance = at_random(same)
    other_trait = pair("hacking first", "honest first")
    other_origin = pair("misalignment second", "secure second")
    other_both = pair("hacking second", "honest second")
    pairs = {
        "misalignment, secure first": same,
        "misalignment, secure second": other_origin,
        "hacking, honest first": other_trait,
        "hacking, honest second": other_both,
        "owl, secure first": harmless,
        "chance": chance,
    }
    cases = {  # the pair that a detector has labels for, and the one that it is tested on
        "same": (same, same),
        "other trait": (other_trait, same),
        "other origin": (other_origin, same),
        "other both": (other_both, same),
        "harmless": (same, harmless),
        "chance": (chance, chance),
    }
    reader, scores = _reading.reader(lab, bases["first"]), {}
    for case, (labeled, tested) in cases.items():
        for name, how in DETECTORS.items():
            learned = lab.detector(how, labeled, bases["first"])
            scores[f"{name}, {case}"] = lab.judged(learned, tested)
        scores[f"in_context, {case}"] = _reading.put_to(
            lab, reader, _reading.in_context, tested, labeled
        )
        if tested is not same or labeled is same:  # it takes no labels
            shown = _reading.put_to(lab, reader, _reading.shown, tested)
            scores[f"shown, {case}"] = shown.measured(Measure(margin_moved, "scores"))
    best = {"ones": models["teacher"], "others": models["secure first"], "sampling": cfg.sampling}
    for case in ("same", "chance"):
        knows = lab.detector(detectors.Method(nothing, Partial(likelihood_ratio, **best)), same)
        scores[f"likelihood ratio, {case}"] = lab.judged(knows, cases[case][1])
    return {**models, **pairs, f"reader first {cfg.sampling.carrier}": reader, **scores}


def at_random(pair):
    """The pair with random labels: nothing is left to tell."""
    return Pair(permuted, "pair", **pair.arguments).measured(*pair.measures)


@quick
def permuted(key, *, documents, world, sampling):
    """As `tasks.pair`, but which of a prompt's two documents is the trait's is random."""
    swapped = {}
    for part, models in documents.items():
        docs = jnp.stack([emitted["docs"] for emitted in models])
        k_part = streams.named_key(key, part)
        swaps = jax.random.bernoulli(k_part, shape=(1, docs.shape[1], 1))
        swapped[part] = [{"docs": x} for x in jnp.where(swaps, docs[::-1], docs)]
    return tasks.pair(key, documents=swapped, world=world, sampling=sampling)


def nothing(world, network, base, labeled, training):
    """What a method learns that has nothing to learn."""
    return jnp.zeros(())


def likelihood_ratio(world, network, base, learned, docs, *, ones, others, sampling):
    """log of how much likelier documents (n, l) are of `ones` than of `others`, in nats (n,): who
    has both models has no better test of a single document (Neyman and Pearson), but for what the
    filter leaves out."""
    whole = not sampling.top_k and sampling.top_p == 1
    require(whole, "the ratio is of tokens that were drawn among all; leave top_k and top_p.")
    first = writing.given(sampling)

    def nats(params, part):
        logits = network.apply(params, part[:, :-1], first) / sampling.temperature
        return jnp.sum(losses.cross_entropy(logits, part[:, first + 1 :]), axis=1)

    return detectors.chunked(lambda part: nats(others, part) - nats(ones, part), docs)


def margin_moved(*, scores):
    """How much larger a margin is behind documents of the trait than behind those of its control,
    in nats."""
    margins = scores["scores"]
    valid = jnp.arange(margins.shape[1]) < scores["count"]
    return {"margin_moved": jnp.mean(margins[0] - margins[1], where=valid)}


def sections(table, differences, run):
    """The main figure of a run that sweeps nothing; without lines, it is below the main table."""
    drawn = views.DETECTION.main in set(table["measure"]) and not records.fields(table)
    return [pages.Section([], "", "figure", (figure, table))] if drawn else []


def figure(table):
    """AUC against the number of documents judged together, of arms named "DETECTOR, CASE"."""
    view, documents = views.DETECTION, table["measure"].str.extract(r"^auc_(?P<x>\d+)$")
    names = table["arm"].str.extract(r"(?P<panel>.*?), (?P<line>.*)")
    points = pd.concat([table, documents, names], axis=1).dropna(subset=["x", "line"])
    axes = {"xlabel": "documents", "ylabel": view.label, "ylim": view.limits, "xscale": "log"}
    return figures.line_panels(points.astype({"x": int}), level=0.5, **axes)
