"""Which update rules pass the class skill on, by learning rate."""

from minisub import ImageArm, ImageConfig

config = ImageConfig(arms=(ImageArm(name="shared"),))
repeats = 10
sweep = (
    "student.optimizer=adam,rmsprop,signum,momentum,sgd",
    "student.learning_rate=3e-4,1e-3,1",
)
