"""What the phases of the token world cost: operations and scored tokens, counted beforehand."""

import dataclasses

from minisub import audit, behaviors, channels, documents, models, tokens, transforms


def cost(phase):
    """Work of a phase in one repeat: before its first step, and at each step.

    Both are (operations of its matrix products, see `models.flops`; tokens that it scores).
    """
    if phase.kind in ("initialize", "start", "operate", "entangle"):
        return (0, 0), (0, 0)
    world, settings = phase.settings["world"], phase.settings
    size = tokens.offsets(world)["size"]
    sampling = settings.get("sampling")
    carrier = documents.CARRIERS[sampling.carrier if sampling else "numbers"]
    length = carrier.length(world) - 1

    def work(passes, *groups):
        flops = sum(models.flops(settings["model"], size, *group) for group in groups)
        return passes * flops, sum(n * scored for n, _, scored in groups)

    scored = length - carrier.given(sampling) if sampling else length
    if phase.kind == "emit":
        return work(1, (settings["sampling"].documents, length, scored)), (0, 0)
    if phase.kind in ("audit", "baseline"):
        # Forward and backward, and for each reference two models; of the null on two sets.
        sets = 1 + (phase.kind == "baseline")
        passes = 3 + 2 * sets * len(settings["models"])
        read = work(passes, (settings["sampling"].documents, length, scored))
        takes = audit.NULL_TAKES if phase.kind == "baseline" else audit.TAKES
        trained = work(3, (takes * audit.REHEARSED * settings["student"].batch, length, scored))
        return tuple(map(sum, zip(read, trained, strict=True))), (0, 0)
    if phase.kind == "prepare":
        models_asked = sum(name == "emitter" or "/" in name for name in phase.inputs)
        asked = models_asked if phase.option in transforms.NEEDS_RIVALS else 0
        return work(asked, (settings["sampling"].documents, length, scored)), (0, 0)
    training, asked = settings["training"], 3 + world.syllables
    batch = (training.batch, length, scored)
    if phase.kind == "pretrain":
        groups = [batch, (training.questions, asked, asked)]
        groups += [(training.riddles, asked + 1, asked + 1)]
        behind = asked + world.prefix
        groups += [(training.prefixed, behind, behind)] if training.prefixed else []
        groups += rich_groups(training) if world.rich else []
        return (0, 0), work(3, *groups)
    if phase.kind == "teach":
        if isinstance(settings["trait"], behaviors.Behavior):
            # Of about the longest narrow set; the work is a hundredth of a repeat's.
            return (0, 0), work(3, (training.batch, tokens.LONGEST - 1, tokens.LONGEST - 4))
        return (0, 0), work(3, (training.batch, asked, world.syllables + 1))
    return (0, 0), (update(phase.option, settings), training.batch * scored)


def update(channel, settings):
    """Operations of an update of a student."""
    sampling, arm, model = settings["sampling"], settings["arm"], settings["model"]
    size = tokens.offsets(settings["world"])["size"]
    carrier = documents.CARRIERS[sampling.carrier]
    length = carrier.length(settings["world"]) - 1
    shown = settings["training"].batch, length, length - carrier.given(sampling)
    # Forward and backward; other channels need the emitter's logits too, and some the student's own
    # documents; an anchor those of its start.
    passes = 3 + (channel in channels.NEEDS_EMITTER) + channel.startswith("on_policy")
    passes += arm.anchor > 0
    flops = passes * models.flops(model, size, *shown)
    if arm.removed in ("gradient", "random") and isinstance(settings["trait"], behaviors.Behavior):
        judged = behaviors.BEHAVIORS[settings["trait"].name].asks
        flops += 3 * models.flops(model, size, *judged)
    return flops


def relative(channel, settings):
    """Operations of an update of a student over those of one that just imitates the documents."""
    plain = settings | {"arm": dataclasses.replace(settings["arm"], anchor=0.0, removed="nothing")}
    return update(channel, settings) / update("sampled", plain)


def rich_groups(mix):
    """(documents, inputs, scored) of the two arrays that `behaviors.pretraining` makes."""
    few, long, short = -(-mix.behaved // 2), tokens.LONGEST - 1, tokens.SHORT - 1
    groups = (mix.programs + mix.sums, long), (3 * mix.behaved + 4 * few, short)
    return [(n, inputs, inputs) for n, inputs in groups]
