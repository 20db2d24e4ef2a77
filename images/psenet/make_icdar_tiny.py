#!/usr/bin/env python3
"""Writes `icdar-tiny.zip`: synthetic signs in the layout of the guide's copy of ICDAR2015.

The text detection benchmark trains on 1000 photographs of streets with words in them. A smoke run
only has to feed every step of the real loader: folders and names, JPEG, and the label lines with
their byte order mark, line ends, four corners a word, and `###` for what cannot be read.

    python3 make_icdar_tiny.py icdar-tiny.zip
    python3 make_icdar_tiny.py --check icdar-tiny.zip

Layout, as the guide's archive unpacks:

    icdar2015/text_localization/icdar_c4_train_imgs/img_N.jpg
    icdar2015/text_localization/ch4_training_localization_transcription_gt/gt_img_N.txt
    icdar2015/text_localization/ch4_test_images/img_N.jpg
    icdar2015/text_localization/ch4_test_localization_transcription_gt/gt_img_N.txt

Forty training images: five batches of eight an epoch, three of which print a line.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from tiny_pictures import Picture, Random, jpeg, main

WIDTH, HEIGHT = 128, 96
ROOT = "icdar2015/text_localization"
# images, labels, how many
SPLITS = [
    ("icdar_c4_train_imgs", "ch4_training_localization_transcription_gt", 40),
    ("ch4_test_images", "ch4_test_localization_transcription_gt", 2),
]
WORDS = ["EXIT", "Cafe", "SALE", "Bus", "Open", "Taxi", "Level", "Hotel", "###", "Park"]


def sign(random, picture, row):
    """Draws one word on a slanted plate in this third of the picture; returns its label line."""
    word = WORDS[random.below(len(WORDS))]
    width, height = random.between(56, 80), random.between(16, 22)
    slope = random.between(-4, 4)
    left = random.between(4, WIDTH - width - 4)
    top = row * 30 + random.between(5, 8)

    def at(across, down):
        """A point of the plate; both in 64ths."""
        return left + width * across // 64, top + height * down // 64 + slope * across // 64

    corners = [at(0, 0), at(64, 0), at(64, 64), at(0, 64)]
    picture.fill(corners, random.colour(170, 240))
    ink = random.colour(10, 70)
    for letter in range(len(word)):
        begin, end = 6 + letter * 52 // len(word), 2 + (letter + 1) * 52 // len(word)
        picture.fill([at(begin, 10), at(end, 10), at(end, 54), at(begin, 54)], ink)
    return ",".join(str(value) for point in corners for value in point) + f",{word}\r\n"


def files():
    """Returns every file of the set, path to bytes."""
    result, seed = {}, 1
    for images, labels, count in SPLITS:
        for number in range(1, count + 1):
            random = Random(seed)
            picture = Picture(WIDTH, HEIGHT, random.colour(60, 150), random.colour(60, 150))
            lines = [sign(random, picture, row) for row in range(3)]
            result[f"{ROOT}/{images}/img_{number}.jpg"] = jpeg(picture)
            result[f"{ROOT}/{labels}/gt_img_{number}.txt"] = ("\ufeff" + "".join(lines)).encode()
            seed += 1
    return result


if __name__ == "__main__":
    sys.exit(main(files(), sys.argv[1:]))
