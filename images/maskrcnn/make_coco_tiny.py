#!/usr/bin/env python3
"""Writes `coco-tiny.zip`: synthetic pictures with instances in the layout of COCO 2017.

The instance segmentation benchmark trains on 118287 photographs. A smoke run only has to feed every
step of the real loader and of the evaluation: folders and names, JPEG, the table of categories, and
annotations with polygons, boxes, areas, and crowds with run lengths.

    python3 make_coco_tiny.py coco-tiny.zip
    python3 make_coco_tiny.py --check coco-tiny.zip

Layout, as COCO's three archives unpack:

    train2017/NNNNNNNNNNNN.jpg
    val2017/NNNNNNNNNNNN.jpg
    annotations/instances_{train,val}2017.json
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from tiny_pictures import Picture, Random, jpeg, main

WIDTH, HEIGHT = 160, 128
SPLITS = [("train2017", 16), ("val2017", 4)]

# COCO's categories: the first number, the names from there on; `-` is a number that COCO does not use.
CATEGORIES = [
    ("person", 1, "person"),
    ("vehicle", 2, "bicycle car motorcycle airplane bus train truck boat"),
    ("outdoor", 10, "traffic_light fire_hydrant - stop_sign parking_meter bench"),
    ("animal", 16, "bird cat dog horse sheep cow elephant bear zebra giraffe"),
    ("accessory", 27, "backpack umbrella - - handbag tie suitcase"),
    ("sports", 34, "frisbee skis snowboard sports_ball kite baseball_bat baseball_glove skateboard"),
    ("sports", 42, "surfboard tennis_racket"),
    ("kitchen", 44, "bottle - wine_glass cup fork knife spoon bowl"),
    ("food", 52, "banana apple sandwich orange broccoli carrot hot_dog pizza donut cake"),
    ("furniture", 62, "chair couch potted_plant bed - dining_table - - toilet"),
    ("electronic", 72, "tv laptop mouse remote keyboard cell_phone"),
    ("appliance", 78, "microwave oven toaster sink refrigerator"),
    ("indoor", 84, "book clock vase scissors teddy_bear hair_drier toothbrush"),
]

# category: outline in 64ths of width and height, smallest and largest width, height as 64ths of it
SHAPES = {
    1: ([(24, 0), (40, 0), (44, 16), (60, 24), (52, 40), (48, 64), (16, 64), (12, 40), (4, 24), (20, 16)], 16, 28, 140),
    3: ([(0, 36), (12, 32), (20, 8), (48, 8), (56, 32), (64, 36), (64, 60), (0, 60)], 40, 70, 32),
    18: ([(0, 20), (12, 8), (20, 20), (56, 20), (64, 8), (62, 60), (52, 64), (48, 44), (20, 44), (16, 64), (8, 60)], 28, 48, 48),
    62: ([(0, 0), (12, 0), (12, 28), (64, 28), (64, 64), (54, 64), (54, 40), (12, 40), (12, 64), (0, 64)], 24, 40, 80),
}
CROWD = 1


def categories():
    """Returns the table of the eighty categories."""
    table = []
    for group, first, names in CATEGORIES:
        for number, name in enumerate(names.split(), first):
            if name != "-":
                name = name.replace("_", " ")
                table.append({"supercategory": group, "id": number, "name": name})
    return table


def area(points):
    """Returns the area of a polygon by the shoelace formula."""
    pairs = zip(points, points[1:] + points[:1])
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2


def instance(random, picture):
    """Draws one object; returns its annotation without the numbers."""
    category = sorted(SHAPES)[random.below(len(SHAPES))]
    outline, smallest, largest, ratio = SHAPES[category]
    width = random.between(smallest, largest)
    height = width * ratio // 64
    left, top = random.below(WIDTH - width), random.below(HEIGHT - height)
    points = [(left + width * x // 64, top + height * y // 64) for x, y in outline]
    picture.fill(points, random.colour(0, 255))
    xs, ys = zip(*points)
    return {
        "segmentation": [[value for point in points for value in point]],
        "area": area(points),
        "iscrowd": 0,
        "bbox": [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)],
        "category_id": category,
    }


def crowd(random, picture):
    """Draws a striped rectangle, many people at once; its mask is run lengths by columns."""
    width, height = random.between(32, 56), random.between(16, 24)
    left, top = random.below(WIDTH - width), random.below(HEIGHT - height)
    for x in range(left, left + width - 4, 8):
        corners = [(x, top), (x + 4, top), (x + 4, top + height), (x, top + height)]
        picture.fill(corners, random.colour(0, 255))
    runs = [left * HEIGHT + top] + [height, HEIGHT - height] * (width - 1) + [height]
    runs.append(WIDTH * HEIGHT - sum(runs))
    return {
        "segmentation": {"counts": runs, "size": [HEIGHT, WIDTH]},
        "area": width * height,
        "iscrowd": 1,
        "bbox": [left, top, width, height],
        "category_id": CROWD,
    }


def files():
    """Returns every file of the set, path to bytes."""
    result, seed = {}, 1
    for split, count in SPLITS:
        images, annotations = [], []
        for _ in range(count):
            random, name = Random(seed), f"{seed:012}.jpg"
            picture = Picture(WIDTH, HEIGHT, random.colour(60, 200), random.colour(60, 200))
            drawn = [crowd(random, picture)] if seed % 8 == 0 else []
            drawn += [instance(random, picture) for _ in range(random.between(2, 4))]
            for found in drawn:
                found.update(image_id=seed, id=100 * seed + len(annotations))
                annotations.append(found)
            images.append({"id": seed, "file_name": name, "width": WIDTH, "height": HEIGHT, "license": 1})
            result[f"{split}/{name}"] = jpeg(picture)
            seed += 1
        described = {
            "info": {"description": "synthetic pictures in the format of COCO 2017", "version": "1.0"},
            "licenses": [{"id": 1, "name": "as this project's", "url": ""}],
            "images": images,
            "annotations": annotations,
            "categories": categories(),
        }
        text = json.dumps(described, separators=(",", ":"))
        result[f"annotations/instances_{split}.json"] = text.encode()
    return result


if __name__ == "__main__":
    sys.exit(main(files(), sys.argv[1:]))
