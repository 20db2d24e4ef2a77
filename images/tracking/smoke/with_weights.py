"""Makes the weights that FairMOT starts from, then runs its training.

    python3 with_weights.py train.py --load_model=FILE OPTION...

FairMOT loads two files: ImageNet weights of its backbone, which torch downloads into its own folder
if they are not there, and a detector's checkpoint. Neither can be had in a run without network, and
a CPU run of a few steps does not need their values. So the backbone's are drawn by chance, always the
same, and the checkpoint has none: what it lacks keeps its initial value.
"""

import os
import runpy
import sys

import torch

# train.py finds its modules so, and so does the backbone below.
sys.path[0] = os.getcwd()
sys.path.insert(0, os.path.join(os.getcwd(), "lib"))

CLASSES_OF_IMAGENET = 1000
OPTION = "--load_model="


def backbone():
    """Returns weights for every layer of DLA-34, the last of them of the classifier."""
    from models.networks.pose_dla_conv import dla34

    torch.manual_seed(0)
    model = dla34(pretrained=False)
    model.fc = torch.nn.Conv2d(model.channels[-1], CLASSES_OF_IMAGENET, kernel_size=1)
    return model.state_dict()


def main():
    del sys.argv[0]
    checkpoint = next(word[len(OPTION) :] for word in sys.argv if word.startswith(OPTION))
    folder = os.path.join(torch.hub.get_dir(), "checkpoints")
    os.makedirs(folder, exist_ok=True)
    torch.save(backbone(), os.path.join(folder, "dla34-ba72cf86.pth"))
    torch.save({"epoch": 0, "state_dict": {}}, checkpoint)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
