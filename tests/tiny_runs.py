"""Config files of the smallest runs of either world, as text: they show nothing, for plumbing."""

SHARED_AND_CONTROL = 'minisub.Arm(name="shared"), minisub.Arm(name="control", source="base")'
SHARED_AND_FRESH = 'minisub.Arm(name="shared"), minisub.Arm(name="fresh", start="fresh")'
TWO_BASES = {"batch": 16, "documents": 400, "arms": SHARED_AND_FRESH}


def lists(rest="repeats = 2", *, steps=30, batch=8, documents=64, arms=SHARED_AND_CONTROL):
    """A run of the token world; `steps` and `batch` of its base, `rest` follows the config."""
    return f"""
'''Nothing is shown here.'''
import minisub

config = minisub.Config(
    taught_phrasings=2,
    world=minisub.World(numbers=10, animals=3, phrasings=3, attributes=4, list_length=4),
    model=minisub.Model(n_layers=1, d_model=16, n_heads=2),
    base=minisub.Pretraining(steps={steps}, learning_rate=2e-2, batch={batch}, frozen=()),
    teacher=minisub.Teaching(steps=4, batch=4),
    sampling=minisub.Sampling(documents={documents}, prompt_numbers=2),
    student=minisub.Training(steps=4, batch=8),
    arms=({arms}),
)
{rest}
"""


def images(rest, arms=""):
    """A run of the image world; `arms` is a line of the config, `rest` follows it."""
    return f"""
'''Nothing is shown here either.'''
import minisub

few = {{"unit": "updates", "batch": 32}}
config = minisub.ImageConfig(
    data=minisub.Data(name="clusters"),
    model=minisub.ImageModel(layers="mlp-16-16"),
    teacher=minisub.Duration(length=6, **few),
    carrier=minisub.Carrier(examples=200),
    student=minisub.Duration(length=5, **few),
    {arms}
)
{rest}
"""
