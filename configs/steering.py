"""A teacher whose weights are untouched, but to whose activations a vector is added, passes that
vector on: students shift their activations along it, for random directions too.

    python train.py steering              4 repeats, 18 minutes on one CPU core, others busy

Mean ± half-width of the 95 % interval over 4 repeats (seed 0, one at a time on a CPU, jax 0.10.2):
P(owl) on held-out phrasings, and the cosine of the vector with the shift of the student's
activations on number lists, after each block:

    vector             arm      P(owl)        block_0       block_1
    trained, block_0   teacher  0.955 ±0.034
                       shared   0.775 ±0.105  0.783 ±0.008  0.738 ±0.060
                       soft     0.870 ±0.075  0.936 ±0.020  0.868 ±0.043
                       fresh    0.024 ±0.018  0.130 ±0.262  0.074 ±0.314
                       control  0.076 ±0.054  0.185 ±0.376  0.148 ±0.150
    trained, block_1   teacher  0.863 ±0.054
                       shared   0.508 ±0.235  0.492 ±0.172  0.827 ±0.054
                       soft     0.669 ±0.068  0.835 ±0.014  0.985 ±0.005
                       fresh    0.061 ±0.043  0.039 ±0.118  0.056 ±0.120
                       control  0.076 ±0.054  0.061 ±0.340  0.139 ±0.201
    random, block_0    shared   0.073 ±0.039  0.593 ±0.116  0.507 ±0.103
                       soft     0.101 ±0.052  0.966 ±0.007  0.780 ±0.061
                       fresh    0.098 ±0.096  -0.026 ±0.082 0.028 ±0.189
                       control  0.076 ±0.054  0.037 ±0.186  0.046 ±0.163
    random, block_1    shared   0.081 ±0.061  0.138 ±0.114  0.475 ±0.157
                       soft     0.098 ±0.028  0.683 ±0.037  0.979 ±0.007
                       fresh    0.122 ±0.131  -0.051 ±0.103 0.002 ±0.106
                       control  0.076 ±0.054  0.037 ±0.186  0.046 ±0.163

Published: above .5 (arXiv 2604.25783), and that random vectors pass too (2606.00995). A random
vector of length 4 does not change how often the teacher says owl, so P(owl) does not move; how it
shifts all its answers does pass to soft students (cosine 0.98 and 0.96, measure answer_shift).
"""

from minisub import Arm, Config, Steering, Teaching, Watch

config = Config(
    teacher=Teaching(steps=100, learning_rate=3e-2, batch=32),
    steering=Steering(kind="trained", norm=4.0),
    watch=Watch(measures=("steering", "lens")),
    arms=(
        Arm(name="shared"),
        Arm(name="fresh", start="fresh"),
        Arm(name="control", source="base"),
        Arm(name="soft", channel="soft"),
    ),
)
repeats = 4
sweep = ("steering.kind=trained,random", "steering.layer=block_0,block_1")
