"""Transfer fades as the student's start moves from the teacher's origin to another one."""

from minisub import ImageArm, ImageConfig

AMOUNTS = (0.1, 0.25, 0.5, 0.75)
config = ImageConfig(
    arms=(
        ImageArm(name="shared"),
        *(
            ImageArm(name=f"{name} {amount}", start=start, amount=amount)
            for name, start in (("linear", "interpolated"), ("rotated", "rotated"))
            for amount in AMOUNTS
        ),
        ImageArm(name="fresh", start="fresh"),
    )
)
repeats = 10
