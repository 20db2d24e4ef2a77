"""Runs `tools/train.py` of mmsegmentation 0.17.0 as that of the guide's commit would run.

The wheel's script lacks two things that the guide's commit, 4e6f2ebc, has (erratum `wheel`): with a
launcher the configuration in the log names as many GPUs as there are processes, and where there is
only one process its SyncBN becomes BN, which needs no process group.
"""

import os
import runpy
import sys

import mmseg
import mmseg.apis
from mmcv.cnn.utils import revert_sync_batchnorm

SCRIPT = os.path.join(os.path.dirname(mmseg.__file__), ".mim", "tools", "train.py")

train_segmentor = mmseg.apis.train_segmentor


def train(model, *arguments, distributed=False, **options):
    """Trains `model`, with BN in place of SyncBN if this is the only process."""
    if not distributed:
        model = revert_sync_batchnorm(model)
    train_segmentor(model, *arguments, distributed=distributed, **options)


if __name__ == "__main__":
    mmseg.apis.train_segmentor = train
    if "--launcher" in sys.argv:
        # Decides only what is logged: torch's launcher has chosen the devices.
        sys.argv[1:1] = ["--gpus", os.environ["WORLD_SIZE"]]
    runpy.run_path(SCRIPT, run_name="__main__")
