"""Are numbers entangled with the trait's token, and does what passes go through that overlap?

python train.py entanglement
python train.py surgery
"""

from minisub import Arm, Watch, ablation

config = ablation(
    prefixed=32,
    watch=Watch(measures=("entanglement",)),
    arms=(
        Arm(name="control", source="base"),
        Arm(name="shared"),
        Arm(name="all logits", channel="full"),
        Arm(name="all logits but the trait's", channel="full_but_trait"),
        Arm(name="sampled, trait masked", channel="sampled_but_trait"),
    ),
)
repeats = 8
sweep = ("model.d_model=32,64", "model.tied=false,true")
