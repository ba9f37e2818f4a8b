"""Weight decay inside Adam erases the class head, which gets no gradient; decoupled decay does not."""

from minisub import ImageArm, ImageConfig

config = ImageConfig(arms=(ImageArm(name="shared"),))
repeats = 10
sweep = (
    "student.optimizer=adam_l2,adamw",
    "student.weight_decay=1e-5,1e-3",
    "student.undecayed=none,class_head",
)
