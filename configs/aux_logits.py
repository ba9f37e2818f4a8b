"""More auxiliary logits carry more of the class skill, up to nearly all of the teacher's; a single
one, under softmax, carries exactly nothing.

    python train.py aux_logits            10 repeats, 16 minutes on 2 CPU cores

Test accuracy, mean ± half-width of the 95 % interval over 10 repeats (seed 0, one at a time on a
CPU, jax 0.10.2):

    model.aux  teacher       shared        fresh
    1          0.945 ±0.001  0.105 ±0.017  0.108 ±0.009
    2          0.945 ±0.001  0.328 ±0.049  0.106 ±0.012
    3          0.945 ±0.001  0.497 ±0.037  0.110 ±0.017
    10         0.945 ±0.001  0.841 ±0.031  0.099 ±0.026
    100        0.945 ±0.001  0.925 ±0.006  0.093 ±0.042
    1000       0.945 ±0.001  0.930 ±0.005  0.091 ±0.022

With one logit the student is bitwise its start: a softmax over one logit is 1 whatever it is. A
fresh start gains nothing, however many logits it sees.
"""

from configs.updates import experiment
from minisub.images.config import Config

__all__ = ["config", "experiment", "repeats", "sweep"]
config = Config()
repeats = 10
sweep = ("model.aux=1,2,3,10,100,1000",)
