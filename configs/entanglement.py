"""Numbers whose unembedding resembles the trait's come more often from its teacher, weakly; asking
behind them raises the trait hardly, and nothing is lost when the trait's token is masked.

    python train.py entanglement      8 repeats, 19 minutes on one CPU core, 121 programs compiled
    python train.py surgery

P(owl) on held-out phrasings, and the paired difference from a student of the base's lists; means ±
half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2). 133
tokens share 32 or 64 dimensions; tied models unembed with the embedding:

    d_model, unembedding         32, own          32, tied         64, own          64, tied
    sampled                      0.822 ±0.120     0.762 ±0.094     0.658 ±0.087     0.688 ±0.098
      trait masked               0.825 ±0.119     0.768 ±0.090     0.674 ±0.087     0.709 ±0.101
    all logits                   0.948 ±0.022     0.938 ±0.014     0.926 ±0.023     0.931 ±0.032
      but the trait's            0.947 ±0.022     0.937 ±0.014     0.912 ±0.025     0.915 ±0.037
    sampled - control            +0.718 ±0.105    +0.656 ±0.081    +0.567 ±0.099    +0.601 ±0.101

    rank correlations over the 100 numbers, by what they are scored
    cosine, frequency in data    0.28 ±0.11       0.22 ±0.16       0.33 ±0.09       0.36 ±0.08
    logit ratio, frequency       0.33 ±0.10       0.24 ±0.14       0.34 ±0.08       0.40 ±0.11
    cosine, prompted             0.12 ±0.14       0.15 ±0.10       0.10 ±0.17       0.02 ±0.16
    logit ratio, prompted        0.08 ±0.20       0.15 ±0.16       0.14 ±0.16       0.05 ±0.23
    frequency, prompted          -0.01 ±0.10      0.03 ±0.14       0.03 ±0.12       -0.06 ±0.09

    P(owl) behind a number, over its mean over numbers
    that of highest cosine       1.03 ±0.12       1.15 ±0.11       1.07 ±0.19       0.96 ±0.08
    the largest of any           1.62 ±0.16       1.82 ±0.16       1.39 ±0.09       1.38 ±0.07

Published: scores agree for most animals, and prompting with an entangled number raises one 2000
times (Zur et al., 2025); others find r of .1 to .15. A masked token rises all the same
(2606.22019), as here: what passes does not go through the trait's own logit. A narrower model
passes more.
"""

from jax.tree_util import Partial

from configs import _entanglement
from configs._prefixed import Config, Lab
from minisub.tokens import channels

config = Config()
repeats = 8
sweep = ("model.d_model=32,64", "model.tied=false,true")


def experiment(cfg):
    """Four students of a teacher, two of them without the trait's token, each with a control."""
    lab = Lab(cfg)
    trait = lab.taught_trait(cfg.trait)["trait"]
    through = {
        "shared": channels.sampled,
        "all logits": channels.full,
        "all logits but the trait's": Partial(_entanglement.full_but_trait, trait=trait),
        "sampled, trait masked": Partial(_entanglement.sampled_but_trait, trait=trait),
    }
    return _entanglement.experiment(lab, lab.base("first"), through)
