"""What pairs, detectors and judges must be: refusals, before anything runs."""

from minisub import config, detectors, token_config


def check(cfg):
    """Raise `config.Refused` for pairs, detectors or judges that cannot be."""
    for pair in cfg.pairs:
        check_pair(cfg, pair)
    for detector in cfg.detectors:
        check_detector(cfg, detector)
    for arm in cfg.arms:
        check_judge(cfg, arm)


def check_pair(cfg, pair):
    """As `check`, for a pair."""
    name, sources = f"pairs.{pair.name}", token_config.sources(cfg)
    config.require_known(f"{name}.trait", pair.trait, sources)
    config.require_known(f"{name}.control", pair.control, sources)
    one, other = (
        (source.lineage, source.sampling, source.seed, source.trait == "none")
        for source in (sources[pair.trait], sources[pair.control])
    )
    config.require(
        one == other,
        f"{name} has sources of different prompts; give them one lineage, sampling and seed, and "
        "teachers to both.",
    )
    config.require(
        cfg.sampling.documents >= 2, f"{name} needs two documents; raise sampling.documents."
    )


def check_detector(cfg, detector):
    """As `check`, for a detector."""
    name, pairs = f"detectors.{detector.name}", {pair.name: pair for pair in cfg.pairs}
    tested = detector.tested or detector.pair
    config.require_known(f"{name}.pair", detector.pair, pairs)
    config.require_known(f"{name}.tested", tested, pairs)
    one, other = (carrier_of(cfg, pairs[pair].trait) for pair in (detector.pair, tested))
    config.require(
        one == other, f"{name} is trained on {one} and tested on {other}; choose one carrier."
    )
    config.require(
        cfg.world.rich or detector.kind in detectors.SCORES,
        f"{name} is {detector.kind!r}, whose reader needs a rich world; set world.rich.",
    )


def check_judge(cfg, arm):
    """As `check`, for an arm's judge."""
    name = f"arms.{arm.name}"
    judges = {
        detector.name: detector for detector in cfg.detectors if detector.kind in detectors.SCORES
    }
    config.require(arm.suspicious <= 1, f"{name}.suspicious is a share; give at most 1.")
    if arm.judge in ("", "random"):
        return
    config.require_known(f"{name}.judge", arm.judge, ("random", *judges))
    [pair] = (pair for pair in cfg.pairs if pair.name == judges[arm.judge].pair)
    one, other = (carrier_of(cfg, source) for source in (pair.trait, arm.source))
    config.require(
        one == other,
        f"{name}.judge was trained on {one}, and {name} is of {other}; choose another.",
    )


def carrier_of(cfg, source):
    """What a source emits."""
    changes = token_config.emitter_of(cfg, source).sampling
    return config.changed(cfg.sampling, changes).carrier
