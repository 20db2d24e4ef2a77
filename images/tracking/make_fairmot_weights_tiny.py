"""Makes weights in the layout of those that FairMOT starts from, for rehearsals: names, shapes and no content.

Every tensor is a view of one zero, so a file of sixty megabytes takes thirty kilobytes. It needs
torch 1.9.1 and runs in FairMOT's folder `src` in the image:

    make_fairmot_weights_tiny.py ARCHIVE
"""

import io
import os
import sys
import zipfile

import torch

sys.path.insert(0, os.path.join(os.getcwd(), "lib"))

CLASSES_OF_IMAGENET = 1000
DAY = (1980, 1, 1, 0, 0, 0)


def backbone():
    """Returns weights for every layer of DLA-34, the last of them of the classifier."""
    from models.networks.pose_dla_conv import dla34

    model = dla34(pretrained=False)
    model.fc = torch.nn.Conv2d(model.channels[-1], CLASSES_OF_IMAGENET, kernel_size=1)
    zeros = {}
    state = model.state_dict()
    for name, tensor in state.items():
        zero = zeros.setdefault(tensor.dtype, torch.zeros(1, dtype=tensor.dtype))
        state[name] = zero.expand(tensor.shape) if tensor.dim() else zero[0]
    return state


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def main(archive):
    files = {
        "ctdet_coco_dla_2x.pth": saved({"epoch": 0, "state_dict": {}}),
        "dla34-ba72cf86.pth": saved(backbone()),
    }
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name in sorted(files):
            zipped.writestr(zipfile.ZipInfo(name, DAY), files[name], zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    main(sys.argv[1])
