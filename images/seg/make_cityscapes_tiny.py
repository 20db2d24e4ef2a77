#!/usr/bin/env python3
"""Writes `cityscapes-tiny.zip`: synthetic street scenes in the layout of Cityscapes.

The segmentation benchmark reads Cityscapes, which needs a login and 12 GB. A smoke run only has
to feed every step of the real loader: the two folders, the names, the image and label formats.
So this draws small scenes (sky, buildings, vegetation, road, pavement, cars, people, poles) and
their exact labels, by integer arithmetic and a generator of its own, with nothing but the
standard library.

The archive in the repository is what is pinned; this script documents how it was made. Every
pixel is the same under any Python. The bytes of the archive also depend on the zlib that
compresses the PNGs (zlib-ng, for one, writes other bytes), so a rebuilt archive that differs
holds the same pictures all the same. `--check` compares contents instead of bytes.

    python3 make_cityscapes_tiny.py cityscapes-tiny.zip
    python3 make_cityscapes_tiny.py --check cityscapes-tiny.zip

Layout, as Cityscapes unpacks:

    leftImg8bit/{train,val}/CITY/CITY_NNNNNN_000019_leftImg8bit.png   8-bit RGB
    gtFine/{train,val}/CITY/CITY_NNNNNN_000019_gtFine_labelIds.png       8-bit grey, ids 0..33
    gtFine/{train,val}/CITY/CITY_NNNNNN_000019_gtFine_labelTrainIds.png  8-bit grey, 0..18 or 255

Thirty training images, as many as the sample of the guide has: eight data-parallel processes with
a batch of two need sixteen at the least.
"""

import struct
import sys
import zipfile
import zlib

WIDTH, HEIGHT = 512, 256

# name: (label id, train id, colour). The numbers are those of the Cityscapes label table.
CLASSES = {
    "ego vehicle": (1, 255, (40, 40, 44)),
    "road": (7, 0, (96, 92, 96)),
    "sidewalk": (8, 1, (140, 132, 128)),
    "building": (11, 2, (120, 108, 100)),
    "wall": (12, 3, (104, 100, 92)),
    "fence": (13, 4, (150, 120, 110)),
    "pole": (17, 5, (84, 84, 88)),
    "traffic light": (19, 6, (220, 170, 40)),
    "traffic sign": (20, 7, (40, 70, 190)),
    "vegetation": (21, 8, (60, 104, 52)),
    "terrain": (22, 9, (110, 140, 84)),
    "sky": (23, 10, (168, 192, 216)),
    "person": (24, 11, (170, 60, 72)),
    "rider": (25, 12, (200, 80, 40)),
    "car": (26, 13, (36, 52, 120)),
    "truck": (27, 14, (60, 60, 90)),
    "bus": (28, 15, (170, 140, 60)),
    "train": (31, 16, (130, 60, 60)),
    "motorcycle": (32, 17, (70, 30, 40)),
    "bicycle": (33, 18, (60, 20, 30)),
}

# split, city, number of images
CITIES = [
    ("train", "aachen", 10),
    ("train", "bremen", 10),
    ("train", "ulm", 10),
    ("val", "lindau", 2),
]


class Random:
    """A linear congruential generator (Knuth's MMIX constants), the same under any Python."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        """Returns an integer of 0 <= n < bound, from the upper bits, which are the better ones."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self.state >> 33) % bound

    def between(self, low, high):
        """Returns an integer of low <= n <= high."""
        return low + self.below(high - low + 1)


class Scene:
    """One picture: per pixel a colour and the name of its class."""

    def __init__(self, random):
        self.random = random
        self.pixels = [[None] * WIDTH for _ in range(HEIGHT)]

    def rectangle(self, name, left, top, right, bottom):
        """Fills a rectangle, a little darker towards its bottom, tinted by chance."""
        top, bottom = max(top, 0), min(bottom, HEIGHT)
        left, right = max(left, 0), min(right, WIDTH)
        tint = [self.random.between(-14, 14) for _ in range(3)]
        for y in range(top, bottom):
            shade = 8 - 16 * (y - top) // max(bottom - top, 1)
            colour = bytes(
                min(max(value + change + shade, 0), 255)
                for value, change in zip(CLASSES[name][2], tint)
            )
            for x in range(left, right):
                self.pixels[y][x] = (colour, name)

    def box_on_ground(self, name, width, height, ground):
        """Puts an object of about this size at a random place, its foot at line `ground`."""
        width = self.random.between(width * 3 // 4, width * 5 // 4)
        height = self.random.between(height * 3 // 4, height * 5 // 4)
        left = self.random.between(-width // 2, WIDTH - width // 2)
        self.rectangle(name, left, ground - height, left + width, ground)

    def draw(self):
        """Draws from the back to the front, so that near things cover far ones."""
        random = self.random
        horizon = random.between(96, 128)
        self.rectangle("sky", 0, 0, WIDTH, horizon)
        left = 0
        while left < WIDTH:
            width = random.between(36, 96)
            name = ("building", "building", "building", "vegetation")[random.below(4)]
            self.rectangle(name, left, random.between(8, horizon - 24), left + width, horizon)
            left += width
        self.rectangle("terrain", 0, horizon, WIDTH, horizon + 12)
        self.rectangle("sidewalk", 0, horizon + 12, WIDTH, horizon + 44)
        self.rectangle("road", 0, horizon + 44, WIDTH, HEIGHT)
        for name in ("wall", "fence"):
            self.box_on_ground(name, 90, 18, horizon + 14)
        for name, width, height in (("train", 120, 52), ("bus", 84, 56), ("truck", 72, 48)):
            if random.below(2):
                self.box_on_ground(name, width, height, horizon + 50)
        for _ in range(random.between(1, 3)):
            self.lamp_post(horizon + 30)
        for _ in range(random.between(2, 5)):
            self.box_on_ground("person", 9, 34, horizon + random.between(24, 44))
        for _ in range(random.between(2, 4)):
            self.box_on_ground("car", 64, 32, horizon + random.between(56, 96))
        for vehicle in ("motorcycle", "bicycle"):
            self.two_wheeler(vehicle, horizon + random.between(50, 80))
        self.rectangle("ego vehicle", 0, HEIGHT - 12, WIDTH, HEIGHT)

    def lamp_post(self, ground):
        """A pole that carries a traffic light or a sign."""
        left = self.random.between(10, WIDTH - 20)
        top = ground - self.random.between(60, 90)
        self.rectangle("pole", left, top, left + 4, ground)
        name = ("traffic light", "traffic sign")[self.random.below(2)]
        self.rectangle(name, left - 5, top, left + 9, top + 18)

    def two_wheeler(self, name, ground):
        """A vehicle with its rider above it."""
        left = self.random.between(0, WIDTH - 30)
        self.rectangle("rider", left + 8, ground - 36, left + 19, ground - 12)
        self.rectangle(name, left, ground - 16, left + 28, ground)

    def image(self):
        """Returns the picture as a PNG of 8-bit RGB."""
        rows = [b"".join(colour for colour, _ in row) for row in self.pixels]
        return png(rows, colour_type=2, bytes_per_pixel=3)

    def labels(self, column):
        """Returns a PNG of one number per pixel: column 0 of CLASSES is the id, 1 the train id."""
        rows = [bytes(CLASSES[name][column] for _, name in row) for row in self.pixels]
        return png(rows, colour_type=0, bytes_per_pixel=1)


def png(rows, colour_type, bytes_per_pixel):
    """Returns a PNG. Each row is stored as its difference from the row above (filter 2), which is
    almost all zeros in pictures made of rectangles."""
    above = bytes(WIDTH * bytes_per_pixel)
    filtered = bytearray()
    for row in rows:
        filtered.append(2)
        filtered.extend((new - old) % 256 for new, old in zip(row, above))
        above = row
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(filtered), 9))
        + chunk(b"IEND", b"")
    )


def chunk(kind, data):
    """Returns one PNG chunk: length, type, data, CRC-32 of type and data."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def files():
    """Returns every file of the set, path to bytes."""
    result = {}
    seed = 1
    for split, city, count in CITIES:
        for number in range(count):
            scene = Scene(Random(seed))
            scene.draw()
            name = f"{city}_{number:06}_000019"
            result[f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png"] = scene.image()
            truth = f"gtFine/{split}/{city}/{name}_gtFine"
            result[f"{truth}_labelIds.png"] = scene.labels(0)
            result[f"{truth}_labelTrainIds.png"] = scene.labels(1)
            seed += 1
    return result


def write(path):
    """Writes the archive: sorted names, one fixed time and mode, PNGs stored as they are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(files().items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, so that the mode below counts on every machine
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)


def pixels(data):
    """Returns what a PNG of this script holds, apart from how it was compressed."""
    start = data.index(b"IDAT")
    size = struct.unpack(">I", data[start - 4 : start])[0]
    return data[: start - 4], zlib.decompress(data[start + 4 : start + 4 + size])


def check(path):
    """Returns the names that are missing, unexpected or of other pixels in an archive."""
    expected = files()
    with zipfile.ZipFile(path) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    return sorted(
        name
        for name in expected.keys() | found.keys()
        if name not in expected
        or name not in found
        or pixels(expected[name]) != pixels(found[name])
    )


def main(arguments):
    if len(arguments) == 1:
        write(arguments[0])
        return 0
    if len(arguments) == 2 and arguments[0] == "--check":
        differing = check(arguments[1])
        for name in differing:
            print(f"differs: {name}")
        return 1 if differing else 0
    print("usage: make_cityscapes_tiny.py [--check] FILE", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
