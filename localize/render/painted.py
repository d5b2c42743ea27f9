"""Painted things: shop signs, posters, doors, window panes, shop windows. Pictures (h, w, 3) uint8, 1 cm per pixel."""

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from localize.render.noise import shaded, smooth, spots

WORDS = (
    "BAKERY", "CAFE CENTRAL", "BOOKS", "PHARMACY", "WINE & CHEESE", "SHOES", "BARBER", "FLOWERS", "HOTEL ROMA",
    "ANTIQUES", "TEA HOUSE", "OPTICIAN", "GROCER", "TAILOR", "RADIO REPAIR", "TOYS", "FISH", "MUSEUM SHOP",
    "BICYCLES", "CHOCOLATE", "PIANOS", "GALLERY 9", "LAUNDRY", "NEWS",
)  # fmt: skip
FRONTS = ("CONCERT", "CIRCUS", "MARKET DAY", "JAZZ", "OPERA", "EXPO", "THEATRE", "CINEMA", "FAIR", "CHESS OPEN")


def _font(size: int):
    return PIL.ImageFont.load_default(size=size)


def _finish(rng, picture: PIL.Image.Image, wear: float = 0.05) -> np.ndarray:
    pixels = np.asarray(picture, np.float32) / 255
    shape = pixels.shape[:2]
    return shaded(
        pixels, wear * (smooth(rng, shape, 4) + smooth(rng, shape, 30)) + wear * spots(rng, shape, 1 / 400, (1, 4))
    )


def _colour(rng, low=30, high=200) -> tuple[int, int, int]:
    """A colour a printer or painter would choose: a brightness, and a hue that is not too loud."""
    grey, tint = rng.uniform(low, high), rng.integers(low, high, 3)
    return tuple(int(v) for v in 0.45 * grey + 0.55 * tint * [1.05, 1.0, 0.85])


def sign(rng, shape, word: str) -> np.ndarray:
    """The board over a shop; 0.5 cm per pixel."""
    h, w = shape
    dark = rng.random() < 0.6
    ground, ink = (
        (_colour(rng, 20, 90), _colour(rng, 190, 250)) if dark else (_colour(rng, 170, 240), _colour(rng, 10, 80))
    )
    picture = PIL.Image.new("RGB", (w, h), ground)
    draw = PIL.ImageDraw.Draw(picture)
    draw.rectangle((5, 5, w - 6, h - 6), outline=ink, width=3)
    size = int(h * 0.62)
    while draw.textlength(word, font=_font(size)) > w - 40 and size > 12:
        size -= 4
    draw.text((w / 2, h / 2), word, fill=ink, font=_font(size), anchor="mm")
    return _finish(rng, picture)


def poster(rng, shape) -> np.ndarray:
    """A poster with a headline, a figure of blots and lines of small print; 0.5 cm per pixel."""
    h, w = shape
    picture = PIL.Image.new("RGB", (w, h), _colour(rng, 120, 240))
    draw = PIL.ImageDraw.Draw(picture)
    for _ in range(rng.integers(5, 12)):
        x, y, r = rng.uniform(0, w), rng.uniform(0.25 * h, 0.75 * h), rng.uniform(0.06, 0.25) * w
        shape_of = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape_of((x - r, y - r * rng.uniform(0.5, 1.5), x + r, y + r), fill=_colour(rng))
    word = str(rng.choice(FRONTS))
    size = int(1.5 * w / len(word))
    draw.text((w / 2, 0.13 * h), word, fill=_colour(rng, 0, 70), font=_font(min(size, h // 5)), anchor="mm")
    for y in range(int(0.8 * h), int(0.96 * h), 9):
        draw.line((0.1 * w, y, rng.uniform(0.5, 0.9) * w, y), fill=_colour(rng, 0, 90), width=3)
    draw.rectangle((0, 0, w - 1, h - 1), outline=(235, 235, 230), width=4)
    return _finish(rng, picture, 0.07)


def door(rng, shape, rgb) -> np.ndarray:
    """A panelled door with a handle and a letter slot."""
    h, w = shape
    base = tuple(int(255 * v) for v in rgb)
    shade, shine = tuple(int(0.55 * v) for v in base), tuple(min(255, int(1.3 * v) + 15) for v in base)
    picture = PIL.Image.new("RGB", (w, h), base)
    draw = PIL.ImageDraw.Draw(picture)
    for x0 in (0.1, 0.56):
        for y0, y1 in ((0.06, 0.3), (0.36, 0.66), (0.72, 0.94)):
            box = (x0 * w, y0 * h, (x0 + 0.34) * w, y1 * h)
            draw.rectangle(box, outline=shade, width=3)
            draw.line((box[0] + 4, box[3] - 3, box[2] - 3, box[3] - 3, box[2] - 3, box[1] + 4), fill=shine, width=2)
    draw.rectangle((0.49 * w, 0, 0.51 * w, h), fill=shade)
    draw.ellipse((0.53 * w, 0.5 * h, 0.53 * w + 7, 0.5 * h + 7), fill=(210, 180, 90))
    draw.rectangle((0.2 * w, 0.68 * h, 0.38 * w, 0.695 * h), fill=(200, 170, 90))
    return _finish(rng, picture)


def pane(rng, shape) -> np.ndarray:
    """What one sees through a window: a dark room, curtains, sometimes a plant or a blind half down."""
    h, w = shape
    picture = np.full((h, w, 3), rng.uniform(0.03, 0.08), np.float32)
    kind = rng.integers(5)
    folds = 0.12 * np.sin(np.arange(w) / w * rng.uniform(20, 50) + smooth(rng, (8, w), 20)[3])[None, :, None]
    cloth = np.float32(rng.uniform((0.5, 0.45, 0.4), (0.8, 0.78, 0.75))) * (0.85 + folds)
    reach = rng.uniform(0.18, 0.42)
    x, y = np.arange(w)[None, :, None] / w, np.arange(h)[:, None, None] / h
    if kind in (0, 1):
        picture = np.where((x < reach) | (x > 1 - reach), cloth, picture)
    elif kind == 2:
        picture = np.where(y < reach * 1.6, np.float32([0.62, 0.58, 0.5]) * (0.8 + 0.2 * ((y * h) % 6 < 4)), picture)
    elif kind == 3:
        picture = 0.5 * cloth + 0.5 * picture + np.zeros_like(picture)
    if kind != 2 and rng.random() < 0.4:
        plant = (smooth(rng, (h, w), 9) > 0.3)[..., None] & (y > 0.72) & (np.abs(x - rng.uniform(0.3, 0.7)) < 0.2)
        picture = np.where(plant, np.float32([0.1, 0.25, 0.07]), picture)
    return shaded(picture, 0.08 * smooth(rng, (h, w), 12))


def shop_window(rng, shape) -> np.ndarray:
    """Goods on shelves behind glass."""
    h, w = shape
    picture = PIL.Image.new("RGB", (w, h), _colour(rng, 18, 50))
    draw = PIL.ImageDraw.Draw(picture)
    for shelf in np.linspace(0.42, 0.97, 3):
        x = 6
        while x < w - 20:
            a, b = int(rng.uniform(8, 34)), int(rng.uniform(10, 0.2 * h))
            top = shelf * h - b
            (draw.ellipse if rng.random() < 0.3 else draw.rectangle)(
                (x, top, x + a, shelf * h), fill=_colour(rng, 40, 210)
            )
            x += a + int(rng.uniform(2, 16))
        draw.rectangle((0, shelf * h, w, shelf * h + 4), fill=(110, 85, 60))
    for x in rng.uniform(0.1, 0.9, 3) * w:
        draw.ellipse((x - 9, 0.08 * h, x + 9, 0.08 * h + 18), fill=(235, 215, 160))
    return _finish(rng, picture)


def clock(rng, size: int) -> np.ndarray:
    """A tower clock."""
    picture = PIL.Image.new("RGB", (size, size), (90, 84, 74))
    draw = PIL.ImageDraw.Draw(picture)
    draw.ellipse((4, 4, size - 5, size - 5), fill=(225, 220, 205), outline=(40, 40, 45), width=6)
    for k in range(12):
        t, c = np.pi * k / 6, size / 2
        a, b = 0.36 * size, 0.44 * size
        draw.line(
            (c + a * np.sin(t), c - a * np.cos(t), c + b * np.sin(t), c - b * np.cos(t)), fill=(30, 30, 35), width=6
        )
    for t, r in ((rng.uniform(0, 6.28), 0.24), (rng.uniform(0, 6.28), 0.36)):
        draw.line(
            (size / 2, size / 2, size / 2 + r * size * np.sin(t), size / 2 - r * size * np.cos(t)),
            fill=(20, 20, 25),
            width=7,
        )
    return _finish(rng, picture, 0.03)


def stained(rng, shape) -> np.ndarray:
    """Coloured glass in lead."""
    h, w = shape
    picture = PIL.Image.new("RGB", (w, h), (15, 15, 18))
    draw = PIL.ImageDraw.Draw(picture)
    for y in range(0, h, 21):
        for x in range(0, w, 21):
            draw.polygon(
                [(x + 10, y + 1), (x + 19, y + 10), (x + 10, y + 19), (x + 1, y + 10)], fill=_colour(rng, 20, 130)
            )
    return _finish(rng, picture, 0.05)
