"""The phases of detection, added to a `token_chain.Chain` with all that leads to them."""

import dataclasses

from minisub import detectors, token_config
from minisub.detection_config import Detector


def judge(chain, arm, settings, inputs):
    """Add to what `documents` makes who removes some, in all arms of a repeat with a judge."""
    found = {detector.name: detector for detector in chain.cfg.detectors}
    settings["judge"] = Detector(name=arm.judge, pair="")
    if arm.judge in found:
        judge, line = found[arm.judge], of_pair(chain, found[arm.judge].pair)[1].lineage
        settings["judge"] = dataclasses.replace(judge, name="", pair="", tested="")
        settings["judge_model"] = token_config.model_of(chain.cfg, line)
        inputs |= {"detector": trained(chain, judge), "judge_base": chain.base(line)}


def of_pair(chain, name):
    """(a pair, the `Source` of its trait)"""
    [pair] = (pair for pair in chain.cfg.pairs if pair.name == name)
    return pair, token_config.sources(chain.cfg)[pair.trait]


def labeled(chain, name):
    """The documents of a pair, with labels."""
    pair, source = of_pair(chain, name)
    settings = {"world": chain.cfg.world, "sampling": chain.sampling(source)}
    settings["pair"] = dataclasses.replace(pair, name="", trait="", control="")
    inputs = {kind: chain.numbers(getattr(pair, kind), True) for kind in ("trait", "control")}
    return chain.add(f"pair/{name}", "label", settings, inputs, "pair", arms=(name,))


def trained(chain, detector):
    """What a detector of single documents learned from its pair."""
    _, source = of_pair(chain, detector.pair)
    settings = chain.seen(source.lineage) | {"sampling": chain.sampling(source)}
    if detector.kind == "transformer":
        settings["training"] = chain.cfg.detector
    inputs = {"pair": labeled(chain, detector.pair), "base": chain.base(source.lineage)}
    name = f"detector/{detector.kind}/{detector.pair}"
    return chain.add(name, "detect", settings, inputs, "detector data", detector.kind)


def reader(chain, source):
    """The reader made of a source's base, for documents of its carrier."""
    line, sampling = source.lineage, chain.sampling(source)
    settings = chain.seen(line) | {"sampling": sampling, "training": chain.cfg.reader}
    name, inputs = f"reader/{line}/{sampling.carrier}", {"start": chain.base(line)}
    arms = (f"reader {line} {sampling.carrier}",)
    return chain.add(name, "read", settings, inputs, "reader data", arms=arms)


def scores(chain, detector):
    """How a detector judges documents of the pair that it is tested on."""
    tested = detector.tested or detector.pair
    (_, source), (_, suspect) = of_pair(chain, detector.pair), of_pair(chain, tested)
    inputs, alone = {"tested": labeled(chain, tested)}, detector.kind in detectors.SCORES
    # A reader is of the origin that it is asked about, whatever examples it is shown.
    line = source.lineage if alone else suspect.lineage
    settings = chain.seen(line) | {"sampling": chain.sampling(source)}
    if alone:
        inputs |= {"detector": trained(chain, detector), "base": chain.base(source.lineage)}
    else:
        inputs |= {"base": reader(chain, suspect)}
    if detector.kind == "in_context":
        inputs |= {"pair": labeled(chain, detector.pair)}
    if detector.kind == "shown":
        graded = chain.graded(line, suspect.trait)
        settings |= {name: graded[name] for name in ("trait", "taught")}
    task = "score", settings, inputs, "scores", detector.kind
    chain.add(f"scores/{detector.name}", *task, arms=(detector.name,))
