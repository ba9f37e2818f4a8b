"""A little noise on the student's start, a fraction of the initial weights' own spread, ends transfer."""

from minisub import ImageArm, ImageConfig

NOISE = {
    "perturbed": (0.005, 0.01, 0.02, 0.05),
    "perturbed_relative": (0.1, 0.2, 0.4, 0.8),
    "perturbed_orthogonal": (0.02, 0.05),
}
config = ImageConfig(
    arms=(
        ImageArm(name="shared"),
        *(
            ImageArm(name=f"{start.replace('perturbed_', '')} {amount}", start=start, amount=amount)
            for start, amounts in NOISE.items()
            for amount in amounts
        ),
        ImageArm(name="fresh", start="fresh"),
    )
)
repeats = 10
