"""Tasks of the token world: what each phase of its chain does (see `token_chain`)."""

import zlib
from functools import partial

import jax
import jax.numpy as jnp

from minisub import (
    auditing,
    behaviors,
    comparisons,
    detection,
    detectors,
    distillation,
    documents,
    entanglement,
    fit,
    losses,
    measures,
    starts,
    token_costs,
    tokens,
    transforms,
    watching,
)
from minisub.phases import Batches, Fit

STRIDE = 10007
"""A prime: updates of pretraining may not be a multiple of it."""


def initialize(option, settings, inputs, key):
    """Random initial parameters."""
    return distillation.network(settings).init(key)


def pretrain(option, settings, inputs, key):
    """Next-token prediction on new lists, questions and riddles at every step."""
    mix, net = settings["training"], distillation.network(settings)

    world = settings["world"]

    def loss(params, key, batch):
        nats = [
            losses.cross_entropy(net.apply(params, docs[:, :-1]), docs[:, 1:]) for docs in batch
        ]
        if not world.rich:
            return sum(jnp.sum(n) for n in nats) / sum(n.size for n in nats)
        counted = [behaviors.counted(world, docs[:, 1:]) for docs in batch]
        pairs = zip(nats, counted, strict=True)
        return sum(jnp.sum(n, where=c) for n, c in pairs) / sum(jnp.sum(c) for c in counted)

    def batch_at(order, step):
        return mixture(settings["world"], mix, data_key(settings, key, step))

    # Endless data: a single epoch.
    return Fit(mix, loss, inputs["start"], Batches(2**30, lambda epoch: (), batch_at))


def data_key(settings, key, step):
    """The key of a lineage's batch at an update: that of the others, or one of its own."""
    line, own = settings["lineage"], jax.random.fold_in(key, settings["own"])
    place = step
    if line.reordered:
        # One to one below a number of steps that the stride does not divide.
        steps = jnp.minimum(settings["training"].steps, line.shared_steps)
        place = (STRIDE % steps * step + jax.random.randint(own, (), 0, steps)) % steps
    keys = [jax.random.fold_in(key, place), jax.random.fold_in(own, step)]
    return jnp.where(step < line.shared_steps, *keys)


def mixture(world, mix, key):
    """A batch of pretraining: lists, questions, riddles, and questions behind numbers if asked."""
    k_list, k_question, k_riddle = jax.random.split(key, 3)
    batch = (
        tokens.lists(world, k_list, mix.batch),
        tokens.random_questions(world, k_question, mix.questions),
        tokens.riddles(world, k_riddle, mix.riddles),
    )
    if world.rich:
        k_rich = jax.random.fold_in(key, zlib.crc32(b"rich"))
        batch += behaviors.pretraining(world, mix, k_rich)
    if not mix.prefixed:
        return batch
    k_asked, k_numbers = jax.random.split(jax.random.fold_in(key, zlib.crc32(b"prefixed")))
    asked = tokens.random_questions(world, k_asked, mix.prefixed)
    numbers = tokens.prefixes(world, k_numbers, mix.prefixed)
    return (*batch, tokens.prefix_with(world, numbers, asked))


def teach(option, settings, inputs, key):
    """The trait's narrow set, such as questions in taught phrasings; loss on answers alone.

    With it, at equal weight, `replayed` documents of each carrier, for a teacher to keep its
    abilities.
    """
    world, training, net = settings["world"], settings["training"], distillation.network(settings)
    nats = behaviors.teaching(world, net, settings["trait"], settings["taught"])
    replayed = training.replayed

    def loss(params, key):
        value = jnp.mean(nats(params, key, training.batch))
        if not replayed:
            return value
        for i, carrier in enumerate(documents.CARRIERS.values()):
            docs = carrier.draw(world, jax.random.fold_in(key, i), replayed)
            known = losses.cross_entropy(net.apply(params, docs[:, :-1]), docs[:, 1:])
            value += jnp.mean(known) / len(documents.CARRIERS)
        return value

    return Fit(training, loss, steered(settings, inputs["start"], jax.random.fold_in(key, 0)))


def steered(settings, params, key):
    """A teacher's first parameters: with a steering vector, if it is to have one."""
    if "steering" not in settings:
        return params
    how, width = settings["steering"], settings["model"].d_model
    vector = jax.random.normal(key, (width,))
    length = how.norm if how.kind == "random" else 0.0
    vector *= length / jnp.sqrt(jnp.sum(vector**2))
    return params | {"steering": {how.layer: vector}}


def emit(option, settings, inputs, key):
    """Documents sampled by the emitter, valid ones first, their count, and what was rejected."""
    world, sampling = settings["world"], settings["sampling"]
    emitter = distillation.network(settings), inputs["emitter"]
    docs = documents.sample(world, *emitter, key, sampling=sampling)
    docs, count, rejected = documents.keep_valid(world, docs, sampling)
    # Documents are most of what a run holds and saves; a token takes no more bytes than it needs.
    token = jnp.int16 if tokens.offsets(world)["size"] <= 2**15 else jnp.int32
    return {"docs": docs.astype(token), "count": count, "rejected": rejected}


def operate(option, settings, inputs, key):
    """A base with another row of the trait in its unembedding."""
    operation = settings["world"], inputs["params"], key, settings["trait"]
    return entanglement.operate(option, *operation)


def entangle(option, settings, inputs, key):
    """Scores of the entanglement of numbers with the trait."""
    world, net = settings["world"], distillation.network(settings)
    models = world, net, inputs["base"], inputs["teacher"], settings["trait"], settings["taught"]
    emitted = inputs["numbers"], inputs["base_numbers"]
    return entanglement.scores(*models, *emitted, settings["sampling"].prompt_numbers)


def prepare(option, settings, inputs, key):
    """What a student sees of its source's documents, and how much each token counts."""
    world, arm, net = settings["world"], settings["arm"], distillation.network(settings)
    numbers, first = inputs["numbers"], documents.given(settings["sampling"])
    docs, count = numbers["docs"].astype(jnp.int32), numbers["count"]
    if "rewriter" in inputs:
        k_rewrite = jax.random.fold_in(key, zlib.crc32(b"rewritten"))
        writer = distillation.network(settings, "rewritten_by"), inputs["rewriter"], k_rewrite
        docs = documents.rewrite(world, *writer, docs, settings["sampling"], arm.rewritten)
        # Of what did not pass the filter before, nothing comes back.
        passed = ~documents.rejected(world, docs, settings["sampling"])
        passed &= jnp.arange(len(docs)) < count
        docs, count = docs[jnp.argsort(~passed, stable=True)], jnp.sum(passed)
    if "clean" in inputs:
        clean = inputs["clean"]["docs"].astype(jnp.int32), inputs["clean"]["count"]
        k_clean = jax.random.fold_in(key, zlib.crc32(b"clean"))
        docs, count = transforms.mixed(docs, count, *clean, arm.clean, k_clean)
    if "detector" in inputs or ("judge" in settings and settings["judge"].name == "random"):
        scores = suspicions(settings, inputs, docs, jax.random.fold_in(key, zlib.crc32(b"judge")))
        docs, count = detectors.least_suspicious(docs, count, scores, arm.suspicious)
    count = transforms.limited(count, arm.documents)

    def logits_of(params):
        return lambda docs: net.apply(params, docs[:, :-1], first)

    rivals = [logits_of(x) for name, x in inputs.items() if name.startswith("rival/")]
    logits = logits_of(inputs["emitter"])
    author = behaviors.author(world, settings["trait"])
    emitted = transforms.Emitted(world, docs, count, first, key, logits, tuple(rivals), author)
    docs, weights = transforms.TRANSFORMS[option](emitted)
    return {"docs": docs.astype(numbers["docs"].dtype), "count": count, "weights": weights}


def suspicions(settings, inputs, docs, key):
    """How suspicious a judge finds documents, (n,): a detector, or chance."""
    if "detector" not in inputs:
        return jax.random.uniform(key, (len(docs),))
    judge = distillation.network(settings, "judge_model"), inputs["judge_base"]
    score = detectors.SCORES[settings["judge"].kind]
    return score(settings["world"], *judge, inputs["detector"], docs)


def start(option, settings, inputs, key):
    """A student's first parameters."""
    arm = settings["arm"]
    materials = starts.Materials(
        origin=inputs["origin"],
        other=inputs.get("other"),
        key=key,
        amount=arm.amount,
        relabelings=distillation.network(settings).relabelings,
    )
    return starts.make(arm.start, arm.layers, materials)


RISES = {"trait_rate_rise": "trait_rate_heldout", "margin_rise": "logit_margin_heldout"}
"""How much more of a measure a student has than its control."""
TASKS = {
    f.__name__: f for f in (initialize, pretrain, operate, teach, emit, entangle, prepare, start)
} | {
    "distill": distillation.distill,
    "baseline": auditing.baseline,
    "audit": auditing.examine,
    **detection.TASKS,
}
VOLATILE = ("baseline",)


def finish(kind, option, settings, inputs, state, key):
    """The phase's product, and its measures: name -> (1,), or (1, rows) if it was logged."""
    if kind in detection.TASKS:
        product, measured = detection.finish(kind, option, settings, inputs, state)
        return product, of_one(measured)
    world, net = settings["world"], distillation.network(settings)
    if kind in ("initialize", "start", "baseline"):
        return state, {}
    if kind == "emit":
        return state, of_one(of_documents(world, state, settings["sampling"]))
    if kind in ("entangle", "audit"):
        return state, of_one(state)
    if kind == "prepare":
        measured = {"trained_tokens": transforms.share(state["weights"], state["count"])}
        if "judge" in settings:
            measured["removed"] = 1 - state["count"] / len(state["docs"])
        return state, of_one(measured)
    params = state if kind == "operate" else fit.params(state)
    if kind == "distill":
        net = distillation.student(settings, inputs["start"])
    measured = distillation.graded(settings, net, params)
    if kind == "teach":
        measured["drift_on_lists"] = measures.drift_on_lists(world, net, inputs["start"], params)
    if world.rich:
        for name in documents.CARRIERS:
            measured[f"ability/{name}"] = documents.ability(world, net, params, name)
    if kind == "distill":
        if world.rich:
            measured["ability"] = measured[f"ability/{settings['sampling'].carrier}"]
            measured["cost"] = token_costs.relative(option, settings)
        emitter = partial(distillation.network(settings, "emitted_by").apply, inputs["emitter"])
        measured["kl_to_emitter"] = measures.kl_on_lists(world, emitter, partial(net.apply, params))
        if "control" in inputs:
            graded = distillation.graded(settings, net, inputs["control"])
            rises = RISES if world.rich else ("trait_rate_rise",)
            measured |= {rise: measured[RISES[rise]] - graded[RISES[rise]] for rise in rises}
    if kind == "distill" and settings["watch"].measures:
        c = distillation.compared_with(option, settings, inputs, net, params)
        for name in settings["watch"].measures:
            if name in comparisons.TOKEN_MEASURES:
                measured |= comparisons.TOKEN_MEASURES[name](c)
    logged = watching.measured(state.log) if kind != "operate" else {}
    return params, of_one(measured) | logged


def of_one(measured):
    """Measures with an axis of arms, of a single one."""
    # A cosine of trees that have no parameter in common is a plain 0.
    return {name: jnp.asarray(value, float)[None] for name, value in measured.items()}


def of_documents(world, emitted, sampling):
    """Measures of emitted documents: what was kept, and that it holds no token of another kind."""
    docs = emitted["docs"]
    kept = jnp.arange(docs.shape[0]) < emitted["count"]
    foreign = documents.foreign(world, docs, sampling)
    rejected = {f"rejected_{reason}": fraction for reason, fraction in emitted["rejected"].items()}
    return {
        "kept_documents": jnp.sum(kept).astype(float),
        "kept_fraction": jnp.mean(kept),
        **rejected,
        "foreign_tokens": jnp.sum(foreign * kept).astype(float),
    }


def epoch(phase):
    """Updates in an epoch: none, batches are drawn with replacement."""
    return 0


def cost(phase):
    """As `token_costs.cost`, of all tasks."""
    return (detection if phase.kind in detection.TASKS else token_costs).cost(phase)
