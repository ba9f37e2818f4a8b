"""The coordinates count, not the function: a start with its hidden units relabeled computes what the
teacher's origin computes, and learns nothing of the class.
"""

from minisub import ImageArm, ImageConfig

config = ImageConfig(
    arms=(
        ImageArm(name="shared"),
        ImageArm(name="fc1 permuted", start="permuted", layers=("fc1",)),
        ImageArm(name="fc2 permuted", start="permuted", layers=("fc2",)),
        ImageArm(name="both permuted", start="permuted"),
        ImageArm(name="rebalanced 2", start="rebalanced", amount=2.0),
        ImageArm(name="rescaled 0.5", start="rescaled", amount=0.5),
        ImageArm(name="rescaled 2", start="rescaled", amount=2.0),
        ImageArm(name="fresh", start="fresh"),
    )
)
repeats = 10
