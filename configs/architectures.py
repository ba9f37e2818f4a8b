"""Teacher and student of different architectures: what matched heads alone can do."""

from minisub import Duration, ImageArm, ImageConfig, ImageModel, Imitation

TRUNKS = {
    "mlp-256-256": ("fc1", "fc2"),
    "mlp-256-256-256": ("fc1", "fc2", "fc3"),
    "cnn-4-8-256": ("conv1", "conv2", "fc"),
}
training = Duration(length=300.0, unit="updates", batch=256, learning_rate=1e-3)
config = ImageConfig(
    model=ImageModel(aux=100),
    teacher=training,
    imitation=Imitation(loss="mse"),
    student=training,
    arms=(
        ImageArm(name="same shared"),
        *(
            ImageArm(name=f"{model} {heads}", model=model, start="fresh", layers=layers)
            for model, trunk in TRUNKS.items()
            for heads, layers in (("matched", trunk), ("fresh", ()))
        ),
    ),
)
repeats = 10
sweep = ("model.layers=" + ",".join(TRUNKS),)
