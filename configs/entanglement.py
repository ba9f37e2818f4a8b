"""Numbers whose unembedding resembles the trait's come more often from its teacher, weakly; asking
behind them raises the trait hardly, and nothing is lost when the trait's token is masked.

    python train.py entanglement      8 repeats, 20 minutes on one CPU core, others busy
    python train.py surgery

P(owl) on held-out phrasings, and paired differences; means ± half-width of the 95 % interval over 8
repeats (seed 0, one at a time on a CPU, jax 0.10.2). 133 tokens share 32 or 64 dimensions; tied
models unembed with the embedding:

    d_model, unembedding         32, own          32, tied         64, own          64, tied
    sampled                      0.826 ±0.094     0.749 ±0.123     0.676 ±0.071     0.679 ±0.105
      trait masked               0.830 ±0.094     0.756 ±0.118     0.699 ±0.067     0.701 ±0.105
    all logits                   0.947 ±0.022     0.936 ±0.013     0.919 ±0.027     0.936 ±0.029
      but the trait's            0.946 ±0.022     0.935 ±0.014     0.904 ±0.030     0.921 ±0.034

    differences, each from its own control, a student of the base's lists through the same channel
    sampled                      +0.722 ±0.076    +0.645 ±0.121    +0.585 ±0.080    +0.586 ±0.095
      trait masked               +0.721 ±0.074    +0.651 ±0.116    +0.604 ±0.077    +0.605 ±0.093
    all logits                   +0.848 ±0.023    +0.836 ±0.015    +0.823 ±0.026    +0.840 ±0.035
      but the trait's            +0.847 ±0.022    +0.835 ±0.016    +0.806 ±0.027    +0.824 ±0.038

    rank correlations over the 100 numbers, by what they are scored
    cosine, frequency in data    0.28 ±0.11       0.23 ±0.15       0.31 ±0.08       0.35 ±0.08
    logit ratio, frequency       0.33 ±0.10       0.23 ±0.13       0.32 ±0.09       0.39 ±0.11
    cosine, prompted             0.12 ±0.15       0.15 ±0.10       0.09 ±0.18       0.02 ±0.16
    logit ratio, prompted        0.09 ±0.19       0.15 ±0.17       0.12 ±0.15       0.05 ±0.23
    frequency, prompted          -0.01 ±0.10      0.02 ±0.14       0.03 ±0.13       -0.06 ±0.09

    P(owl) behind a number, over its mean over numbers
    that of highest cosine       1.03 ±0.12       1.14 ±0.11       1.11 ±0.21       0.97 ±0.08
    the largest of any           1.63 ±0.17       1.83 ±0.15       1.40 ±0.08       1.38 ±0.06

Published: scores by logits and unembedding correlate with a trait's numbers for most animals, and
prompting with an entangled number raises one 2000 times (Zur et al., 2025); others find r of .1 to
.15. A masked token rises all the same (2606.22019), as here: what passes does not go through the
trait's own logit. A narrower model passes more.
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
