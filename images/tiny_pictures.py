"""Pictures, JPEG and archives for the tiny data sets, the same bytes under any Python.

The data sets of the guides are photographs as JPEG; a smoke run needs a few of the same format.
Everything here is integer arithmetic with the standard library alone, and nothing is compressed by
a library whose output changes with its version: whoever runs the scripts again gets the very
archives that are pinned.
"""

import io
import math
import struct
import zipfile


class Random:
    """A linear congruential generator (Knuth's MMIX constants)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        """Returns an integer of 0 <= n < bound, from the upper bits, which are the better ones."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self.state >> 33) % bound

    def between(self, low, high):
        """Returns an integer of low <= n <= high."""
        return low + self.below(high - low + 1)

    def colour(self, low, high):
        """Returns three values of low <= n <= high."""
        return tuple(self.between(low, high) for _ in range(3))


class Picture:
    """Rows of (red, green, blue)."""

    def __init__(self, width, height, top, bottom):
        """Begins with a gradient from the colour `top` to the colour `bottom`."""
        self.width, self.height = width, height
        self.rows = []
        for y in range(height):
            colour = tuple(a + (b - a) * y // height for a, b in zip(top, bottom))
            self.rows.append([colour] * width)

    def fill(self, points, colour):
        """Fills a polygon of whole coordinates; a pixel belongs to it if its centre does."""
        for y in range(self.height):
            crossings = sorted(self.crossings(points, 2 * y + 1))
            for left, right in zip(crossings[::2], crossings[1::2]):
                for x in range(max(left, 0), min(right, self.width)):
                    self.rows[y][x] = colour

    @staticmethod
    def crossings(points, twice_y):
        """Yields the columns in which the outline crosses the middle of a row."""
        for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1]):
            if (2 * y1 > twice_y) != (2 * y2 > twice_y):
                yield x1 + (twice_y - 2 * y1) * (x2 - x1) // (2 * (y2 - y1))


# ------------------------------------------------------------------ baseline JPEG, colours 4:4:4

QUANTUM = 16
ZIGZAG = sorted(
    ((row, column) for row in range(8) for column in range(8)),
    key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]),
)
# The cosines of the transform in units of 1/4096, orthonormal.
COSINES = [
    [round(4096 * math.cos((2 * x + 1) * u * math.pi / 16) / (2 if u else math.sqrt(8))) for x in range(8)]
    for u in range(8)
]

# Huffman tables of almost one length: the sizes of a first coefficient in 4 bits; end of block in 2
# bits, every other pair of zeros before a coefficient and its size in 8.
FIRST = {size: (size, 4) for size in range(12)}
PAIRS = [0xF0] + [zeros << 4 | size for zeros in range(16) for size in range(1, 11)]
OTHER = {0: (0, 2), **{pair: (64 + at, 8) for at, pair in enumerate(PAIRS)}}


def jpeg(picture):
    """Returns the picture as a JPEG file whose sides must be multiples of eight."""
    table = bytes([0]) + bytes([QUANTUM] * 64)
    parts = b"".join(bytes([part, 0x11, 0]) for part in (1, 2, 3))
    frame = struct.pack(">BHHB", 8, picture.height, picture.width, 3) + parts
    scan = bytes([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])
    return b"".join([
        b"\xff\xd8",
        segment(0xE0, b"JFIF\0" + struct.pack(">HBHHBB", 0x0101, 0, 1, 1, 0, 0)),
        segment(0xDB, table),
        segment(0xC0, frame),
        segment(0xC4, b"\x00" + huffman_table(FIRST)),
        segment(0xC4, b"\x10" + huffman_table(OTHER)),
        segment(0xDA, scan),
        coefficients(picture),
        b"\xff\xd9",
    ])


def segment(marker, data):
    """Returns one segment: marker, length, data."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def huffman_table(codes):
    """Returns how many codes there are of each length, and their symbols in order."""
    counts = bytes(sum(length == wanted for _, length in codes.values()) for wanted in range(1, 17))
    return counts + bytes(sorted(codes, key=lambda symbol: (codes[symbol][1], codes[symbol][0])))


def coefficients(picture):
    """Returns the entropy-coded part: block by block, in each luminance and two colours."""
    bits, previous = Bits(), [0, 0, 0]
    for top in range(0, picture.height, 8):
        for left in range(0, picture.width, 8):
            pixels = [row[left : left + 8] for row in picture.rows[top : top + 8]]
            for part in range(3):
                block = transformed([[component(pixel, part) for pixel in row] for row in pixels])
                write_block(bits, block, previous[part])
                previous[part] = block[0]
    return bits.finish()


def component(pixel, part):
    """Returns luminance less 128, or one of the two colour differences (JFIF)."""
    red, green, blue = pixel
    weights = ((19595, 38470, 7471), (-11059, -21709, 32768), (32768, -27439, -5329))[part]
    value = weights[0] * red + weights[1] * green + weights[2] * blue
    return ((value + 32768) >> 16) - (0 if part else 128)


def transformed(block):
    """Returns the 64 quantised coefficients of the cosine transform in zigzag order."""
    rows = [[sum(a * b for a, b in zip(line, cosine)) for cosine in COSINES] for line in block]
    columns = list(zip(*rows))
    result = []
    for row, column in ZIGZAG:
        value = sum(a * b for a, b in zip(columns[column], COSINES[row]))
        result.append((value + QUANTUM * (1 << 23)) // (QUANTUM << 24))
    return result


def write_block(bits, block, previous):
    """Writes a first coefficient as the difference to the block before, then the others."""
    write_value(bits, FIRST, 0, block[0] - previous)
    zeros = 0
    for value in block[1:]:
        if value == 0:
            zeros += 1
            continue
        while zeros > 15:
            bits.write(*OTHER[0xF0])
            zeros -= 16
        write_value(bits, OTHER, zeros, value)
        zeros = 0
    if zeros:
        bits.write(*OTHER[0])


def write_value(bits, codes, zeros, value):
    """Writes the code of a value's size, then the value itself in as many bits."""
    size = abs(value).bit_length()
    bits.write(*codes[zeros << 4 | size])
    bits.write(value if value >= 0 else value + (1 << size) - 1, size)


class Bits:
    """Bits, the highest first; a byte of ones is followed by a zero byte."""

    def __init__(self):
        self.data, self.held, self.count = bytearray(), 0, 0

    def write(self, value, length):
        """Appends the lowest `length` bits of `value`."""
        self.held, self.count = self.held << length | value, self.count + length
        while self.count >= 8:
            self.count -= 8
            byte = self.held >> self.count
            self.held &= (1 << self.count) - 1
            self.data += b"\xff\x00" if byte == 0xFF else bytes([byte])

    def finish(self):
        """Fills the last byte with ones."""
        self.write(0x7F, 7)
        return bytes(self.data)


# ------------------------------------------------------------------ archives


def archive(files):
    """Returns a zip of these files, path to bytes: sorted, one time and mode, stored as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as result:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, so that the mode below counts on every machine
            entry.external_attr = 0o100644 << 16
            result.writestr(entry, data)
    return buffer.getvalue()


def main(files, arguments):
    """Writes the archive to the one argument, or compares it after `--check`; gives a status."""
    *options, path = arguments or [""]
    if not path or options not in ([], ["--check"]):
        print("usage: [--check] FILE")
        return 2
    data = archive(files)
    if options:
        with open(path, "rb") as found:
            same = found.read() == data
        print("the same" if same else f"`{path}` is not what this script makes")
        return 0 if same else 1
    with open(path, "wb") as out:
        out.write(data)
    return 0
