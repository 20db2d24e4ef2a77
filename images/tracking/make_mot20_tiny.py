#!/usr/bin/env python3
"""Writes `mot20-tiny.zip`: scenes of `make_mot_tiny.py` as four short sequences of MOT20.

The MindSpore guide evaluates on the four training sequences of MOT20, whose names stand in its
script. Here each has as many frames as a processor can look at in some seconds, all of one scene
in which nobody moves.

    python3 make_mot20_tiny.py mot20-tiny.zip
    python3 make_mot20_tiny.py --check mot20-tiny.zip

Layout, as the folder `MOT20` of the real archive:

    train/SEQUENCE/img1/NNNNNN.jpg     544x304, RGB
    train/SEQUENCE/gt/gt.txt           frame, identity, box in pixels, 1, class 1, visibility
    train/SEQUENCE/seqinfo.ini
"""

import sys

import make_mot_tiny as tiny

SEQUENCES = ["MOT20-01", "MOT20-02", "MOT20-03", "MOT20-05"]
FRAMES = 2


def truth(scene):
    """Returns `gt.txt`; frames, identities and pixels count from one."""
    lines = []
    for identity, left, top, right, bottom in scene.people:
        corner = (left * tiny.BLOCK + 1, top * tiny.BLOCK + 1)
        size = ((right - left) * tiny.BLOCK, (bottom - top) * tiny.BLOCK)
        for frame in range(1, FRAMES + 1):
            numbers = (frame, identity + 1, *corner, *size, 1, 1, 1.0)
            lines.append(",".join(map(str, numbers)) + "\n")
    return "".join(lines).encode()


def sequence_info(name):
    """Returns `seqinfo.ini` with the keys that MOT20 has."""
    return (
        f"[Sequence]\nname={name}\nimDir=img1\nframeRate=25\nseqLength={FRAMES}\n"
        f"imWidth={tiny.WIDTH}\nimHeight={tiny.HEIGHT}\nimExt=.jpg\n"
    ).encode()


def files():
    """Returns every file of the set, path to bytes."""
    result = {}
    for seed, name in enumerate(SEQUENCES, start=100):
        folder = f"train/{name}"
        scene = tiny.Scene(tiny.Random(seed))
        picture = tiny.jpeg(scene.squares)
        for frame in range(1, FRAMES + 1):
            result[f"{folder}/img1/{frame:06}.jpg"] = picture
        result[f"{folder}/gt/gt.txt"] = truth(scene)
        result[f"{folder}/seqinfo.ini"] = sequence_info(name)
    return result


if __name__ == "__main__":
    # Writing and comparing an archive is the same for both sets.
    tiny.files = files
    sys.exit(tiny.main(sys.argv[1:]))
