"""Configurations of the image world: auxiliary logits on noise (arXiv 2507.14805, section 6)."""

from typing import Literal

from minisub.config import CommonArm, Optimization, Traced, Watch, configuration

DATA = Literal["mnist", "fashion_mnist", "kmnist", "emnist", "digits", "clusters"]


@configuration
class Data:
    """The images that the teacher learns to classify."""

    name: DATA = "mnist"
    """Data set; `digits` (scikit-learn's) and `clusters` (generated) need no download."""
    manual_dir: str = ""
    """Folder that has the data set's files, packed or not (default: tensorflow-datasets' own)."""
    classes: int = 0
    """Use the images of the first this many classes alone (0: all)."""


@configuration
class ImageModel:
    """A classifier with a class head and an auxiliary head over one last hidden layer."""

    layers: str = "mlp-256-256"
    """Kind and sizes: mlp-WIDTH-..., cnn-CHANNELS-...-WIDTH or transformer-D_MODEL-BLOCKS-WIDTH;
    the last WIDTH is that of the hidden layer below the heads. mlp alone is a linear model."""
    aux: int = 3
    """Auxiliary logits, which never get a label."""
    activation: Literal["relu", "gelu", "tanh"] = "relu"
    """Nonlinearity of the hidden layers."""
    init_scale: float = 1.0
    """Standard deviation of initial weights, in units of 1/sqrt(fan_in); biases start at 0."""


@configuration
class Duration(Optimization):
    """One optimization, its length in epochs or updates; `in_updates` converts it."""

    length: float = 5.0
    """How long to train, in `unit`; 0 leaves the parameters as they are."""
    unit: Literal["epochs", "updates"] = "epochs"
    """Of `length`; an epoch visits every example once, its last batch may be smaller."""
    learning_rate: float = 3e-4
    """Step size at the first update."""
    batch: int = 1024
    """Images an update."""
    frozen: tuple[str, ...] = ()
    """Parameters that are not trained: those with one of these names in their path."""


@configuration
class Carrier:
    """The inputs on which students imitate their teacher; real images have pixels in [-1, 1]."""

    kind: Literal[
        "uniform", "gaussian", "bernoulli", "constant", "images", "shuffled", "blend", "blurred",
        "spectrum", "subspace",
    ] = "uniform"  # fmt: skip
    """A function of `carriers.py`."""
    scale: float = 1.0
    """Half-width (uniform) or standard deviation (gaussian), or a factor on the pixels."""
    amount: float = 1.0
    """Of noise added to images (blend), blur in pixels (blurred), exponent of the amplitude's
    fall with frequency (spectrum)."""
    dimensions: int = 64
    """Of the random subspace that noise is confined to (subspace)."""
    examples: int = 60000
    """Distinct examples (0: new noise at every update)."""
    drawn: Literal["once", "every_repeat"] = "once"
    """One set for all repeats of a run, or one for each from its own key."""
    data: Literal["same", DATA] = "same"
    """Data set of real images (images, shuffled, blend)."""


@configuration
class Imitation:
    """How a student's logits are compared with its teacher's."""

    loss: Literal["kl", "reverse_kl", "js", "mse", "hard"] = "kl"
    """A function of `losses.py`; hard: cross-entropy on the teacher's largest logit."""
    temperature: float = 1.0
    """Divides the logits of teacher and student."""
    scale: float = 1.0
    """Factor on the loss."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise on the teacher's logits, fixed for each example."""
    per_batch: int = 0
    """Auxiliary logits that are compared, drawn anew at every update (0: all)."""
    hidden: bool = False
    """Add `alignment` times the mean squared difference of the last hidden layers."""
    alignment: float = 0.1
    """Weight of that term."""


@configuration
class ImageArm(CommonArm):
    """One student in a repeat."""

    source: Literal["teacher", "foreign"] = "teacher"
    """Whose logits it imitates: its own teacher's, or those of the teacher of another repeat."""
    channel: str = "aux"
    """Which logits: aux, class, all, or class-I-J-... for some classes."""
    model: str = "same"
    """Its `model.layers`, if not the teacher's; layers of equal name and shape can be shared."""


@configuration
class ImageConfig:
    """A repeat: data, model, teacher, carrier, and an arm for each student."""

    data: Data = Data()
    model: ImageModel = ImageModel()
    base: Duration = Duration(length=0.0)
    """Pretraining of both origins, on the first `base_classes` classes, before the teacher's."""
    base_classes: Traced = 5
    """Classes that pretraining shows."""
    teacher: Duration = Duration()
    """Training of teachers on the labels."""
    carrier: Carrier = Carrier()
    imitation: Imitation = Imitation()
    student: Duration = Duration()
    """Training of every student."""
    watch: Watch = Watch()
    arms: tuple[ImageArm, ...] = (
        ImageArm(name="shared/aux"),
        ImageArm(name="shared/all", channel="all"),
        ImageArm(name="foreign/aux", source="foreign"),
        ImageArm(name="foreign/all", source="foreign", channel="all"),
        ImageArm(name="fresh/aux", start="fresh"),
    )
    """The students."""
