"""On-policy distillation passes the trait as off-policy does; so does reverse KL as forward.

    python train.py policy            8 repeats, 6 minutes on one CPU core, 55 programs compiled

A student sees the teacher's logits on lists of the teacher (off-policy) or on lists that it draws
itself, new ones at every update (on-policy), for 100 updates. P(owl) on held-out phrasings, mean ±
half-width of the 95 % interval over 8 repeats (seed 0, one at a time on a CPU, jax 0.10.2), and the
paired difference from a student of the base in the same way; all above zero in 8 of 8:

                            P               difference
    off-policy, forward     0.871 ±0.046    +0.774 ±0.046
    off-policy, reverse     0.868 ±0.048    +0.770 ±0.047
    on-policy, forward      0.859 ±0.041    +0.760 ±0.039
    on-policy, reverse      0.858 ±0.045    +0.760 ±0.044
    fresh, on-policy        0.069 ±0.023    -0.030 ±0.026 from the base

Student and teacher end 0.003 to 0.004 nats a token apart, where the two divergences are one
quadratic form: that they agree is what closeness predicts. A control of soft labels starts at its
emitter and so hardly moves.
"""

from minisub import Arm, Training, ablation

CHANNELS = {
    "off-policy, forward": "soft",
    "off-policy, reverse": "reverse",
    "on-policy, forward": "on_policy",
    "on-policy, reverse": "on_policy_reverse",
}
config = ablation(
    student=Training(steps=100),
    arms=(
        *(
            Arm(name=arm, source=source, channel=channel)
            for name, channel in CHANNELS.items()
            for arm, source in ((f"control {name}", "base"), (name, "teacher"))
        ),
        Arm(name="fresh, on-policy", start="fresh", channel="on_policy"),
    ),
)
repeats = 8
