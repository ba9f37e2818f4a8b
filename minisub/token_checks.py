"""What a configuration of the token world must be: refusals, before anything runs."""

from minisub import (
    channels,
    comparisons,
    config,
    distillation,
    starts,
    token_config,
    token_tasks,
    tokens,
    transforms,
)

STARTS = (
    "shared", "fresh", "interpolated", "rotated", "perturbed", "perturbed_relative", "rescaled",
    "permuted",
)  # fmt: skip


def check(cfg):
    """Raise `config.Refused` for a configuration that cannot run."""
    token_config.validate(cfg)
    known = tokens.names(cfg.world)
    for field in "trait", "graded", "rivals":
        values = getattr(cfg, field)
        needed = field != "rivals" or any(
            arm.transform in transforms.NEEDS_RIVALS for arm in cfg.arms
        )
        for value in ([values] if field == "trait" else values) if needed else ():
            require_known(field, value, known)
    for name in cfg.watch.measures:
        require_known("watch.measures", name, (*comparisons.TOKEN_MEASURES, "entanglement"))
    blocks = [f"block_{i}" for i in range(cfg.model.n_layers)]
    if cfg.steering.kind != "none":
        require_known("steering.layer", cfg.steering.layer, blocks)
    config.require(
        cfg.steering.kind != "none" or "steering" not in cfg.watch.measures,
        "watch.measures has 'steering', and no vector steers the teacher; give steering.kind.",
    )
    for line in cfg.lineages:
        check_lineage(cfg, line)
    for source in cfg.sources:
        name = f"sources.{source.name}"
        require_known(f"{name}.lineage", source.lineage, token_config.lineages(cfg))
        require_known(f"{name}.trait", source.trait or cfg.trait, (*known, "none"))
        for field, changes in ("teacher", source.teaching), ("sampling", source.sampling):
            config.validate_numbers(config.changed(getattr(cfg, field), changes), f"{field}.")
    for i, arm in enumerate(cfg.arms):
        check_arm(cfg, arm, [earlier.name for earlier in cfg.arms[:i]])


def require_known(field, value, known):
    """Raise `config.Refused` unless `value` is among `known`."""
    config.require(value in known, f"{field} is {value!r}; choose from {', '.join(known)}.")


def check_lineage(cfg, line):
    """As `check`, for a lineage."""
    name, model = f"lineages.{line.name}", token_config.model_of(cfg, line.name)
    token_config.validate_model(model)
    if line.origin:
        require_known(f"{name}.origin", line.origin, token_config.lineages(cfg))
        config.require(
            model == token_config.model_of(cfg, line.origin),
            f"{name}.origin is {line.origin!r}, whose model is another; give both one `model`.",
        )
    config.require(
        not line.reordered or cfg.base.steps % token_tasks.STRIDE,
        f"{name} is reordered, which base.steps that are multiples of {token_tasks.STRIDE} cannot "
        "be; choose others.",
    )


def check_arm(cfg, arm, earlier):
    """As `check`, for an arm, given the names of those before it."""
    name = f"arms.{arm.name}"
    require_known(f"{name}.start", arm.start, STARTS)
    require_known(f"{name}.channel", arm.channel, channels.CHANNELS)
    require_known(f"{name}.transform", arm.transform, transforms.TRANSFORMS)
    require_known(f"{name}.source", arm.source, (*token_config.sources(cfg), *earlier))
    require_known(f"{name}.other", arm.other, token_config.lineages(cfg))
    if arm.control:
        require_known(f"{name}.control", arm.control, earlier)
    training = config.changed(cfg.student, arm.training)
    config.validate_numbers(training, f"{name}.training.")
    config.require(arm.clean <= 1, f"{name}.clean is {arm.clean}; it is a share of at most 1.")
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
    line = token_config.lineage_of(cfg, arm.source)
    one, other = (token_config.model_of(cfg, lineage) for lineage in (line, arm.other))
    config.require(
        one == other or token_config.whole_other(arm) or arm.start not in starts.NEEDS_OTHER,
        f"{name}.start is {arm.start!r}, for which the models of lineages {line!r} and "
        f"{arm.other!r} must be the same; choose fresh without layers.",
    )
    starts.require_layers(arm.layers, distillation.shapes(cfg, line))
    trained = distillation.shapes(cfg, token_config.lineage_of(cfg, arm.name))
    # Tied models have no unembedding of their own, and adapters are not there yet.
    frozen = [part for part in training.frozen if part not in ("unembed", "lora_a", "lora_b")]
    starts.require_layers(frozen, trained)
