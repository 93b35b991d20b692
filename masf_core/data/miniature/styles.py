"""The four domains: four ways to draw the same shape. They differ in colour, texture and outline, not in the shape."""

from __future__ import annotations

import colorsys
from typing import Callable, Dict, Sequence, Tuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from masf_core.data.miniature.silhouettes import TONES, Part

Colour = Tuple[int, int, int]

SIDE = 227
_FINE = 2  # drawings are made larger by this factor and then reduced, so that edges are smooth


def draw(style: str, parts: Sequence[Part], rng: np.random.RandomState) -> Image.Image:
    """An RGB image of SIDE × SIDE pixels of these parts in a style, one of `STYLES`."""
    return _STYLES[style](parts, rng)


def _photo(parts: Sequence[Part], rng: np.random.RandomState) -> Image.Image:
    """Muted colours, a blurred surrounding, light from one side, soft edges, sensor noise."""
    scene = _field(rng, _muted(rng, rng.uniform(0.3, 0.9)), 5)
    if rng.random_sample() < 0.6:  # ground below a horizon
        ground = _field(rng, _muted(rng, rng.uniform(0.25, 0.7)), 14)
        scene.paste(ground, (0, int(SIDE * rng.uniform(0.55, 0.8))))
    hue, saturation, value = rng.random_sample(), rng.uniform(0.05, 0.45), rng.uniform(0.2, 0.85)
    fills = [_hsv(hue + shift, saturation, value + level)
             for shift, level in ((0.0, 0.0), (0.02, -0.3), (0.05, 0.25), (0.08, -0.15))]
    tones = _tone_map(parts)
    layer = ImageChops.multiply(_coloured(tones, fills), _light(rng))
    mask = tones.point([0] + [255] * 255).filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 1.2)))
    scene.paste(layer, (0, 0), mask)
    return _grain(scene, rng, rng.randint(8, 22))


def _art_painting(parts: Sequence[Part], rng: np.random.RandomState) -> Image.Image:
    """Brush strokes, with one palette around the object and another one on it."""
    hue = rng.random_sample()
    around = [_hsv(hue + rng.normal(0, 0.06), rng.uniform(0.25, 0.8), rng.uniform(0.35, 0.9)) for _ in range(6)]
    scene = _painted(around, 130, rng)
    other, level = hue + rng.uniform(0.25, 0.75), rng.uniform(-0.15, 0.15)
    tones = _tone_map(parts)
    for number, value in enumerate((0.6, 0.25, 0.9, 0.45), start=1):
        palette = [_hsv(other + rng.normal(0, 0.05), rng.uniform(0.3, 0.8), value + level + rng.normal(0, 0.1))
                   for _ in range(4)]
        only = [0] * 256
        only[number] = 255
        scene.paste(_painted(palette, 50, rng), (0, 0), tones.point(only).filter(ImageFilter.GaussianBlur(1.5)))
    return scene


def _cartoon(parts: Sequence[Part], rng: np.random.RandomState) -> Image.Image:
    """Flat, saturated colours within black outlines."""
    hue = rng.random_sample()
    scene = Image.new("RGB", (SIDE * _FINE,) * 2, _hsv(hue, rng.uniform(0.1, 0.7), rng.uniform(0.85, 1.0)))
    pencil = ImageDraw.Draw(scene)
    if rng.random_sample() < 0.5:
        horizon = int(SIDE * _FINE * rng.uniform(0.6, 0.85))
        pencil.rectangle([0, horizon, SIDE * _FINE, SIDE * _FINE], fill=_hsv(hue + 0.3, 0.6, 0.8))
    other = hue + rng.uniform(0.2, 0.8)
    fills = [_hsv(other, rng.uniform(0.6, 1.0), rng.uniform(0.7, 1.0)), _hsv(other, 0.8, 0.3),
             _hsv(other + 0.05, 0.15, 1.0), _hsv(other + rng.uniform(0.1, 0.5), 0.9, 0.8)]
    _outlined(pencil, parts, fills, (10, 10, 10), rng.randint(4, 8))
    return scene.reduce(_FINE)


def _sketch(parts: Sequence[Part], rng: np.random.RandomState) -> Image.Image:
    """Black lines on white."""
    scene = Image.new("RGB", (SIDE * _FINE,) * 2, (255, 255, 255))
    ink = (rng.randint(0, 60),) * 3
    _outlined(ImageDraw.Draw(scene), parts, [(255, 255, 255)] * len(TONES), ink, rng.randint(3, 6))
    return scene.reduce(_FINE)


def _outlined(pencil, parts: Sequence[Part], fills: Sequence[Colour], ink: Colour, width: int) -> None:
    for part in parts:
        points = _pixels(part, SIDE * _FINE)
        pencil.polygon(points, fill=fills[TONES.index(part.tone)])
        pencil.line(points + points[:2], fill=ink, width=width, joint="curve")


def _tone_map(parts: Sequence[Part]) -> Image.Image:
    """"L": 0 around the object, else 1 + the number of the tone in TONES."""
    tones = Image.new("L", (SIDE, SIDE), 0)
    pencil = ImageDraw.Draw(tones)
    for part in parts:
        pencil.polygon(_pixels(part, SIDE), fill=1 + TONES.index(part.tone))
    return tones


def _coloured(tones: Image.Image, fills: Sequence[Colour]) -> Image.Image:
    return Image.fromarray(np.array([(0, 0, 0)] + list(fills), np.uint8)[np.asarray(tones)])


def _pixels(part: Part, side: int):
    return [tuple(point) for point in (part.points * side).tolist()]


def _painted(palette: Sequence[Colour], strokes: int, rng: np.random.RandomState) -> Image.Image:
    """A canvas full of short, broad strokes, most of them in one direction."""
    canvas = Image.new("RGB", (SIDE, SIDE), palette[0])
    pencil = ImageDraw.Draw(canvas)
    start = rng.uniform(-10, SIDE + 10, (strokes, 2))
    slant = rng.uniform(0, np.pi) + rng.normal(0, 0.4, strokes)
    length = rng.uniform(15, 50, strokes)
    end = start + np.stack([np.cos(slant), np.sin(slant)], axis=1) * length[:, np.newaxis]
    width, colour = rng.randint(5, 15, strokes), rng.randint(0, len(palette), strokes)
    for i in range(strokes):
        pencil.line(start[i].tolist() + end[i].tolist(), fill=palette[colour[i]], width=int(width[i]))
    return canvas


def _field(rng: np.random.RandomState, base: Colour, cells: int) -> Image.Image:
    """A smooth random field of colour around `base`, with about `cells` patches along a side."""
    levels = np.array(base) + rng.uniform(-45, 45, (cells, cells, 1)) + rng.uniform(-12, 12, (cells, cells, 3))
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).resize((SIDE, SIDE), Image.BICUBIC)


def _light(rng: np.random.RandomState) -> Image.Image:
    """Factors of brightness that decrease smoothly from one side to the other."""
    corners = rng.uniform(150, 255, (2, 2, 1)) + np.array([[[0.0]], [[-60.0]]])
    levels = np.clip(corners, 60, 255).astype(np.uint8).repeat(3, axis=2)
    return Image.fromarray(levels).resize((SIDE, SIDE), Image.BILINEAR)


def _grain(image: Image.Image, rng: np.random.RandomState, strength: int) -> Image.Image:
    noise = np.frombuffer(rng.bytes(SIDE * SIDE), np.uint8).reshape(SIDE, SIDE, 1).astype(np.int16)
    grain = (noise - 128) * strength // 128
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def _muted(rng: np.random.RandomState, value: float) -> Colour:
    return _hsv(rng.random_sample(), rng.uniform(0.05, 0.4), value)


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1)))
    return int(red * 255), int(green * 255), int(blue * 255)


_STYLES: Dict[str, Callable[[Sequence[Part], np.random.RandomState], Image.Image]] = {
    "art_painting": _art_painting, "cartoon": _cartoon, "photo": _photo, "sketch": _sketch}
STYLES = tuple(sorted(_STYLES))
