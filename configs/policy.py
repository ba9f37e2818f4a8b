"""The teacher's own lists or the student's, forward or reverse KL: what passes.

python train.py policy
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
