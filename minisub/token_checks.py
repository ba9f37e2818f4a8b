"""What a configuration of the token world must be: refusals, before anything runs."""

import functools

import jax

from minisub import (
    behaviors,
    channels,
    comparisons,
    config,
    detection_checks,
    distillation,
    lora,
    starts,
    token_config,
    token_tasks,
    tokens,
    transforms,
)

CARRIED = ("none", "inoculated")
"""Transforms of the documents of any carrier."""
NOT_OF_TOKENS = ("perturbed_orthogonal", "rebalanced")
"""Starts that take the gradient of a fixed loss, or hidden layers of ReLUs alone."""


def check(cfg):
    """Raise `config.Refused` for a configuration that cannot run."""
    check_sizes(cfg)
    for i, arm in enumerate(cfg.arms):  # before anything asks whose students they are
        emitters = (*token_config.sources(cfg), *(earlier.name for earlier in cfg.arms[:i]))
        config.require_known(f"arms.{arm.name}.source", arm.source, emitters)
        config.require_known(f"arms.{arm.name}.other", arm.other, token_config.lineages(cfg))
    known = behaviors.names(cfg.world)
    judged = any(arm.transform in transforms.NEEDS_RIVALS for arm in cfg.arms)
    rivals = cfg.rivals if judged else ()
    for field, values in ("trait", [cfg.trait]), ("graded", cfg.graded), ("rivals", rivals):
        for value in values:
            config.require_known(field, value, known)
    config.require(
        cfg.trait not in rivals,
        f"rivals holds {cfg.trait!r}, the trait itself; choose traits of other teachers.",
    )
    for name in cfg.references:
        config.require_known("references", name, token_config.lineages(cfg))
        config.require(
            any(token_config.lineage_of(cfg, arm.name) != name for arm in cfg.arms),
            f"references has {name!r}, of which all students are; name another origin.",
        )
    for name in cfg.watch.measures:
        config.require_known("watch.measures", name, (*comparisons.TOKEN_MEASURES, "entanglement"))
    config.require(
        cfg.steering.kind != "none" or "steering" not in cfg.watch.measures,
        "watch.measures has 'steering', and no vector steers the teacher; give steering.kind.",
    )
    read = {"lens", "steering", "entanglement"} & set(cfg.watch.measures)
    read = read or cfg.surgery != "none" or cfg.base.prefixed
    for trait in (cfg.trait, *(source.trait for source in cfg.sources)):
        config.require(
            not read or trait in (*tokens.names(cfg.world), "", "none"),
            f"trait is {trait!r}, which is no token that surgery, base.prefixed and the measures "
            "lens, steering and entanglement could read; leave them out.",
        )
    config.require(
        cfg.world.syllables == 1 or not {"lens", "steering"} & set(cfg.watch.measures),
        "watch.measures 'lens' and 'steering' read the trait off one token; leave them out, or "
        "world.syllables at 1.",
    )
    for line in token_config.lineages(cfg).values():
        check_lineage(cfg, line)
    for source in token_config.sources(cfg).values():
        name = f"sources.{source.name}"
        config.require_known(f"{name}.lineage", source.lineage, token_config.lineages(cfg))
        config.require_known(f"{name}.trait", source.trait or cfg.trait, (*known, "none"))
        check_sampling(cfg.world, config.changed(cfg.sampling, source.sampling))
        training = config.changed(cfg.teacher, source.teaching)
        config.validate_numbers(training, f"{name}.teaching.")
        config.require(
            cfg.world.rich or not training.replayed,
            f"{name} replays documents of all carriers, which only a rich world has; set "
            "world.rich, or teacher.replayed to 0.",
        )
        check_frozen(training, shapes(cfg, source.lineage))
    detection_checks.check(cfg)
    for i, arm in enumerate(cfg.arms):
        check_arm(cfg, arm, [earlier.name for earlier in cfg.arms[:i]])


def check_sizes(cfg):
    """Raise `config.Refused` for sizes, and relations between fields, that cannot be."""
    config.validate_numbers(cfg)
    config.validate_arms(cfg.arms, cfg.detectors)
    lines = "first", "second", *(line.name for line in cfg.lineages)
    recorded = "teacher", "base", *(f"base {line}" for line in lines)
    recorded += tuple(item.name for item in (*cfg.sources, *cfg.pairs, *cfg.detectors, *cfg.arms))
    for names in lines, recorded:
        twice = sorted(name for name in set(names) if names.count(name) > 1)
        config.require(
            not twice,
            f"Two lineages, sources, pairs, detectors or arms are named {twice}; rename one.",
        )
    check_world(cfg.world)
    world = cfg.world
    behind = cfg.base.prefixed or "entanglement" in cfg.watch.measures
    needed = 4 + world.syllables + (world.prefix if behind else 0)
    config.require(
        needed <= world.list_length + 1,
        f"A question takes {needed} positions, with its prefix, and a list of {world.list_length} "
        f"gives {world.list_length + 1}; lower world.prefix or raise world.list_length.",
    )
    check_model(cfg.model)
    config.require(
        cfg.taught_phrasings < world.phrasings,
        f"taught_phrasings is {cfg.taught_phrasings} of {world.phrasings}; "
        "leave at least one held out.",
    )


def check_world(world):
    """As `check_sizes`, for the world."""
    answers = world.animals + world.trees
    config.require(
        answers <= world.attributes * ((world.attributes - 1) // 2),
        f"{world.attributes} attributes cannot tell {answers} animals and trees apart; "
        "raise world.attributes.",
    )
    config.require(
        not world.rich or world.numbers >= 24,
        f"world.numbers is {world.numbers}; the lines of programs need 24.",
    )
    config.require(
        world.trees != 1, "world.trees is 1, with no other to compare it with; give 0 or 2."
    )
    for field, most in ("animals", 16), ("trees", 8), ("syllables", 2):
        value = getattr(world, field)
        config.require(value <= most, f"world.{field} is {value}; at most {most} have names.")


def check_model(model):
    """As `check_sizes`, for a model."""
    config.validate_numbers(model, "model.")
    config.require(
        model.d_model % model.n_heads == 0 or model.mixer != "attention",
        f"model.d_model is {model.d_model}, which {model.n_heads} heads do not divide; "
        "choose model.n_heads among its divisors.",
    )


def check_sampling(world, sampling):
    """As `check`, for a sampling."""
    config.validate_numbers(sampling, "sampling.")
    config.require(
        sampling.prompt_numbers < world.list_length,
        f"sampling.prompt_numbers is {sampling.prompt_numbers}, which leaves nothing of a list of "
        f"{world.list_length} to sample; choose fewer.",
    )
    config.require(
        world.rich or sampling.carrier == "numbers",
        f"sampling.carrier is {sampling.carrier!r}, which only a rich world has; set world.rich.",
    )
    config.require(
        sampling.top_p <= 1, f"sampling.top_p is {sampling.top_p}; it is a share of at most 1."
    )


def check_lineage(cfg, line):
    """As `check`, for a lineage."""
    name, model = f"lineages.{line.name}", token_config.model_of(cfg, line.name)
    check_model(model)
    check_frozen(cfg.base, shapes(cfg, line.name))
    config.require(
        cfg.surgery == "none" or (cfg.world.numbers < model.d_model and not model.tied),
        f"surgery is {cfg.surgery!r}, and {cfg.world.numbers} number rows span all of "
        f"{model.d_model} dimensions or are tied; raise model.d_model and leave tied.",
    )
    if cfg.steering.kind != "none":
        blocks = [f"block_{i}" for i in range(model.n_layers)]
        config.require_known("steering.layer", cfg.steering.layer, blocks)
    if line.origin:
        own = [known.name for known in token_config.lineages(cfg).values() if not known.origin]
        config.require_known(f"{name}.origin", line.origin, own)
        config.require(
            model == token_config.model_of(cfg, line.origin),
            f"{name}.origin is {line.origin!r}, whose model is another; give both one `model`.",
        )
    config.require(
        not line.reordered or min(cfg.base.steps, line.shared_steps) % token_tasks.STRIDE,
        f"{name} is reordered, which a multiple of {token_tasks.STRIDE} shared updates cannot be; "
        "choose another number of them.",
    )


def check_arm(cfg, arm, earlier):
    """As `check`, for an arm, given the names of those before it."""
    name = f"arms.{arm.name}"
    known = [start for start in starts.STARTS if start not in NOT_OF_TOKENS]
    config.require_known(f"{name}.start", arm.start, known)
    config.require_known(f"{name}.channel", arm.channel, channels.CHANNELS)
    config.require_known(f"{name}.transform", arm.transform, transforms.TRANSFORMS)
    if arm.control:
        config.require_known(f"{name}.control", arm.control, earlier)
        [control] = (other for other in cfg.arms if other.name == arm.control)
        config.require(
            function_of(cfg, arm) == function_of(cfg, control),
            f"{name}.control is {arm.control!r}, a student of another model, or linear around "
            "another start; choose an arm that differs in its source.",
        )
    training = config.changed(cfg.student, arm.training)
    config.validate_numbers(training, f"{name}.training.")
    for field in "clean", "rewritten":
        share = getattr(arm, field)
        config.require(share <= 1, f"{name}.{field} is {share}; it is a share of at most 1.")
    config.require(
        not (training.rank and (cfg.watch.rows or arm.removed != "nothing")),
        f"{name} trains adapters, whose updates are not the weights'; leave watch.rows and removed "
        "at their defaults, or rank at 0.",
    )
    config.require(
        cfg.steering.kind == "none" or arm.removed != "displacement",
        f"{name}.removed is 'displacement', and a steered teacher's weights have none; choose "
        "another, or no steering.kind.",
    )
    config.require(
        not (arm.linear and arm.channel.startswith("on_policy")),
        f"{name} is linear, and {arm.channel} samples from a model; choose another channel.",
    )
    config.require(
        not any(other.name == arm.source and other.linear for other in cfg.arms),
        f"{name}.source is {arm.source!r}, and a linear student emits no lists; choose another.",
    )
    config.require(
        arm.transform == "none" or not arm.channel.startswith("on_policy"),
        f"{name}.transform is {arm.transform!r}, and {arm.channel} uses prompts alone; leave it.",
    )
    check_rich(cfg, arm)
    line = token_config.lineage_of(cfg, arm.source)
    one, other = (token_config.model_of(cfg, lineage) for lineage in (line, arm.other))
    config.require(
        one == other or token_config.whole_other(arm) or arm.start not in starts.NEEDS_OTHER,
        f"{name}.start is {arm.start!r}, for which the models of lineages {line!r} and "
        f"{arm.other!r} must be the same; choose fresh without layers.",
    )
    if arm.layers:  # which have to be there, and to feed units that a start reorders
        settings, own = {"world": cfg.world, "model": one, "arm": arm}, shapes(cfg, line)
        begin = functools.partial(token_tasks.start, "", settings)
        jax.eval_shape(begin, {"origin": own, "other": own}, jax.random.key(0))
    check_frozen(training, shapes(cfg, token_config.lineage_of(cfg, arm.name)))


def check_rich(cfg, arm):
    """As `check_arm`, for what carriers other than lists and traits other than answers leave out.

    These are transforms of numbers, channels among number tokens, measures that read one token.
    """
    name, source = f"arms.{arm.name}", token_config.emitter_of(cfg, arm.source)
    carrier = config.changed(cfg.sampling, source.sampling).carrier
    config.require(
        not arm.clean or token_config.clean_of(cfg, source),
        f"{name}.clean needs what the base emits as {source.name!r} does; add a source of trait "
        f"'none' with sampling {source.sampling!r}.",
    )
    config.require(
        carrier == "numbers" or arm.transform in CARRIED,
        f"{name}.transform is {arm.transform!r}, which is for numbers; "
        f"choose {' or '.join(CARRIED)}.",
    )
    config.require(
        carrier == "numbers" or not arm.channel.startswith("top_"),
        f"{name}.channel is {arm.channel!r}, which is for numbers; choose soft or full.",
    )
    named = cfg.trait if source.trait in ("", "none") else source.trait
    config.require(
        named in tokens.names(cfg.world) or not arm.channel.endswith("but_trait"),
        f"{name}.channel is {arm.channel!r}, and {named!r} is no token; choose another.",
    )
    config.require(
        named not in tokens.names(cfg.world) or arm.transform != "inoculated",
        f"{name}.transform is 'inoculated', and nobody is expected to prefer {named!r}; choose a "
        "behavior as trait, or another transform.",
    )


def function_of(cfg, arm):
    """On what beside its parameters a student's logits depend."""
    lineage = token_config.lineage_of(cfg, arm.name)
    start = lineage, arm.start, arm.other, arm.amount, arm.layers
    return token_config.model_of(cfg, lineage), arm.linear, start if arm.linear else ()


def shapes(cfg, lineage):
    """The shapes of the parameters of a lineage's models."""
    return _shapes(cfg.world, token_config.model_of(cfg, lineage))


@functools.cache
def _shapes(world, model):
    return distillation.shapes(token_config.Config(world=world, model=model), "first")


def check_frozen(training, shapes):
    """Raise `config.Refused` if `training` freezes what no parameter is named."""
    # Tied models have no unembedding of their own, and adapters are not there yet.
    frozen = [part for part in lora.weights(training.frozen) if part != "unembed"]
    starts.require_layers(frozen, shapes)
