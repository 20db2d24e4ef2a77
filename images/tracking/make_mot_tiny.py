#!/usr/bin/env python3
"""Writes `mot-tiny.zip`: synthetic street scenes in the layout of JDE's and FairMOT's training set.

The two trackers read six public data sets in one common layout; the guide's own sample of them is
one archive without a published checksum. A smoke run only has to feed every step of the real
loader: list files, folders, names, JPEG and PNG, labels with identities. So this draws small
scenes (sky, houses, pavement, road, people) with the exact boxes of the people, by integer
arithmetic and a generator of its own, with nothing but the standard library.

    python3 make_mot_tiny.py mot-tiny.zip
    python3 make_mot_tiny.py --check mot-tiny.zip

Layout, as the guide's archive unpacks into `dataset/mot`:

    image_lists/{mot17.train,caltech.all,...}   one image a line, relative to `dataset/mot`
    SET/.../images/.../NAME.{jpg,png}           544x304, RGB
    SET/.../labels_with_ids/.../NAME.txt        class, identity, box: centre and size as fractions

Scenes are made of squares of eight pixels, the blocks of a JPEG: each is one number a colour, so
the encoder below needs no cosine transform, and its output is the same bytes everywhere. PNGs are
compressed by zlib (zlib-ng, for one, writes other bytes), so a rebuilt archive that differs may
hold the same pictures all the same: `--check` compares contents instead of bytes.
"""

import struct
import sys
import zipfile
import zlib

COLUMNS, ROWS = 68, 38
BLOCK = 8
WIDTH, HEIGHT = COLUMNS * BLOCK, ROWS * BLOCK

# list file: names of its images, as in the real lists
SETS = {
    "mot17.train": "MOT17/images/train/MOT17-02-SDP/img1/{:06}.jpg",
    "caltech.all": "Caltech/data/images/set00_V000_{}.png",
    "citypersons.train": "Cityscapes/images/train/jena/jena_{:06}_000019_leftImg8bit.png",
    "cuhksysu.train": "CUHKSYSU/images/s{}.jpg",
    "prw.train": "PRW/images/c1s1_{:06}.jpg",
    "eth.train": "ETHZ/eth01/images/image_{:08}_0.png",
}
IMAGES_OF_A_SET = 4
PEOPLE = 5

SKY, HOUSE, PAVEMENT, ROAD = (168, 192, 216), (128, 112, 100), (140, 132, 128), (96, 92, 96)
SKIN, COATS = (206, 160, 132), ((170, 60, 72), (48, 64, 130), (58, 96, 60), (196, 170, 80), (44, 40, 46))


class Random:
    """A linear congruential generator (Knuth's MMIX constants), the same under any Python."""

    def __init__(self, seed):
        self.state = seed

    def between(self, low, high):
        """Returns an integer of low <= n <= high, from the upper bits, which are the better ones."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return low + (self.state >> 33) % (high - low + 1)


class Scene:
    """One picture as a grid of coloured squares, and the boxes of its people."""

    def __init__(self, random):
        self.random = random
        self.squares = [[SKY] * COLUMNS for _ in range(ROWS)]
        self.people = []
        self.draw()

    def rectangle(self, colour, left, top, right, bottom):
        """Fills squares; every one differs a little from its neighbours."""
        for row in range(top, bottom):
            for column in range(left, right):
                change = self.random.between(-6, 6)
                self.squares[row][column] = tuple(value + change for value in colour)

    def draw(self):
        """Draws from the back to the front, so that near people cover far ones."""
        random = self.random
        horizon = random.between(12, 15)
        left = 0
        while left < COLUMNS:
            right = min(left + random.between(5, 11), COLUMNS)
            shade = random.between(-20, 20)
            house = tuple(value + shade for value in HOUSE)
            self.rectangle(house, left, random.between(3, horizon - 4), right, horizon)
            left = right
        self.rectangle(PAVEMENT, 0, horizon, COLUMNS, horizon + 6)
        self.rectangle(ROAD, 0, horizon + 6, COLUMNS, ROWS)
        for identity in range(PEOPLE):
            self.person(identity, foot=horizon + 4 + 4 * identity)

    def person(self, identity, foot):
        """Puts someone near the middle, the taller the nearer; whoever augmentation shifts stays in sight."""
        height = min(6 + foot // 3, foot - 2)
        width = max(height // 3, 2)
        left = self.random.between(8, COLUMNS - 8 - width)
        top, foot = foot - height, min(foot, ROWS)
        self.rectangle(COATS[identity], left, top, left + width, foot)
        self.rectangle(SKIN, left, top, left + width, top + max(height // 5, 1))
        self.people.append((identity, left, top, left + width, foot))

    def labels(self, with_all_identities):
        """Returns the label file. Without an identity a person has -1, as in the sets of boxes only."""
        lines = []
        for identity, left, top, right, bottom in self.people:
            known = with_all_identities or identity % 2 == 0
            box = (
                (left + right) / 2 / COLUMNS,
                (top + bottom) / 2 / ROWS,
                (right - left) / COLUMNS,
                (bottom - top) / ROWS,
            )
            numbers = " ".join(f"{value:.6f}" for value in box)
            lines.append(f"0 {identity if known else -1} {numbers}\n")
        return "".join(lines).encode()


def jpeg(squares):
    """Returns a baseline JPEG without subsampling, in which every block has one colour.

    Only the first coefficient of a block is not zero. It is eight times the mean, and the table of
    quantisers divides it by eight again; then the code for the end of the block follows.
    """
    components = bytes(part for number in (1, 2, 3) for part in (number, 0x11, 0))
    bits = Bits()
    before = [0, 0, 0]
    for row in squares:
        for colour in row:
            for component, value in enumerate(luma_and_chroma(colour)):
                bits.difference(value - before[component])
                bits.append(0, 1)  # end of the block
                before[component] = value
    return (
        b"\xff\xd8"
        + segment(0xE0, b"JFIF\0" + bytes([1, 1, 0, 0, 1, 0, 1, 0, 0]))
        + segment(0xDB, bytes([0] + [8] * 64))
        + segment(0xC0, struct.pack(">BHHB", 8, HEIGHT, WIDTH, 3) + components)
        + segment(0xC4, codes(0x00, length=4, symbols=range(9)))
        + segment(0xC4, codes(0x10, length=1, symbols=[0]))
        + segment(0xDA, bytes([3, 1, 0, 2, 0, 3, 0, 0, 63, 0]))
        + bits.finished()
        + b"\xff\xd9"
    )


def luma_and_chroma(colour):
    """Returns Y, Cb and Cr of a colour, each less 128."""
    red, green, blue = colour
    return (
        (299 * red + 587 * green + 114 * blue) // 1000 - 128,
        (-169 * red - 331 * green + 500 * blue) // 1000,
        (500 * red - 419 * green - 81 * blue) // 1000,
    )


def segment(marker, data):
    """Returns a segment of a JPEG: marker, length with itself, data."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def codes(table, length, symbols):
    """Returns a Huffman table whose codes all have one length, and so count upwards from zero."""
    counts = [0] * 16
    counts[length - 1] = len(symbols)
    return bytes([table, *counts, *symbols])


class Bits:
    """The bits of a JPEG's scan, the highest first."""

    def __init__(self):
        self.number, self.length = 1, 0  # the leading one keeps zeros in front

    def append(self, value, length):
        """Appends the lowest bits of a value."""
        self.number = self.number << length | value
        self.length += length

    def difference(self, difference):
        """Appends a difference: the code of its number of bits, then these; negative ones less one."""
        size = abs(difference).bit_length()
        self.append(size, 4)
        self.append(difference if difference >= 0 else difference + (1 << size) - 1, size)

    def finished(self):
        """Returns the bytes, filled up with ones; a zero follows each that looks like a marker."""
        self.append((1 << -self.length % 8) - 1, -self.length % 8)
        data = (self.number - (1 << self.length)).to_bytes(self.length // 8, "big")
        return data.replace(b"\xff", b"\xff\0")


def png(squares):
    """Returns a PNG. Each row is stored as its difference from the row above (filter 2), which is
    zero inside a square."""
    filtered = bytearray()
    above = bytes(WIDTH * 3)
    for squares_of_row in squares:
        row = b"".join(bytes(colour) * BLOCK for colour in squares_of_row)
        first = bytes((new - old) % 256 for new, old in zip(row, above))
        filtered += b"\2" + first + (b"\2" + bytes(WIDTH * 3)) * (BLOCK - 1)
        above = row
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
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
    for name, pattern in SETS.items():
        images = [pattern.format(number + 1) for number in range(IMAGES_OF_A_SET)]
        result[f"image_lists/{name}"] = "".join(f"{image}\n" for image in images).encode()
        for image in images:
            scene = Scene(Random(seed))
            result[image] = (jpeg if image.endswith(".jpg") else png)(scene.squares)
            labels = image.replace("images", "labels_with_ids")[: -len(".jpg")] + ".txt"
            result[labels] = scene.labels(with_all_identities=image.endswith(".jpg"))
            seed += 1
    return result


def write(path):
    """Writes the archive: sorted names, one fixed time and mode, everything stored as it is."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(files().items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, so that the mode below counts on every machine
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)


def content(data):
    """Returns what a file holds; of a PNG of this script apart from how it was compressed."""
    if not data.startswith(b"\x89PNG"):
        return data
    start = data.index(b"IDAT")
    size = struct.unpack(">I", data[start - 4 : start])[0]
    return data[: start - 4], zlib.decompress(data[start + 4 : start + 4 + size])


def check(path):
    """Returns the names that are missing, unexpected or of other content in an archive."""
    expected = files()
    with zipfile.ZipFile(path) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    return sorted(
        name
        for name in expected.keys() | found.keys()
        if name not in expected
        or name not in found
        or content(expected[name]) != content(found[name])
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
    print("usage: make_mot_tiny.py [--check] FILE", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
