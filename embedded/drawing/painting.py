"""How a drawn portrait gets its pixels: scene, body, head, features and hair, painted from back to front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedded.drawing.palette import BACKGROUNDS, CLOTHES, EYES, HAIR, SKIN, Colour
from embedded.drawing.portraits import EYE_LEVEL, DrawnPortrait, Field, Picture

TIGHT_SIDE = 2.84
"""Height of the picture in head units at zoom 1: a square of 1.6 times the box that MTCNN finds."""

SOFT_EDGE = 0.032
"""Width of an outline in head units: a face drawn with razor edges looks like a cartoon to a face detector."""
EYE_U, EYE_V = 0.31, 0.0
MOUTH_V = 0.63
DARK_LINE = (0.10, 0.06, 0.05)


class Canvas:
    """A picture in the making: scene coordinates x, y, the head's own u, v, and the colours painted so far."""

    def __init__(self, portrait: DrawnPortrait, width: int, height: int, side: float) -> None:
        pose = portrait.pose
        self.pixel = side / height
        across = ((np.arange(width, dtype=np.float32) + 0.5) - width / 2) * self.pixel
        down = ((np.arange(height, dtype=np.float32) + 0.5) / height - EYE_LEVEL) * side
        grid = np.meshgrid(across, down)
        self.scene_x: Field = grid[0].astype(np.float32)
        self.scene_y: Field = grid[1].astype(np.float32)
        self.x = (self.scene_x - pose.right) / pose.scale
        self.y = (self.scene_y - pose.down) / pose.scale
        cos, sin = math.cos(pose.tilt), math.sin(pose.tilt)
        # The head turns about the neck, not about the eyes.
        self.u: Field = self.x * cos + (self.y - 1.0) * sin
        self.v: Field = -self.x * sin + (self.y - 1.0) * cos + 1.0
        # Turning the head moves what lies in front of its axis, by about the radius of the skull.
        self.turned: Field = self.u - 0.6 * math.sin(pose.turn)
        self.rgb = np.zeros((height, width, 3), np.float32)

    def inside(self, distance: Field, softness: float = 1.0) -> Field:
        """Turn a signed distance (negative inside) into coverage, 0 to 1."""
        edge = math.hypot(self.pixel, SOFT_EDGE * softness)
        covered: Field = np.clip(0.5 - distance / edge, 0.0, 1.0)
        return covered

    def paint(self, colour: npt.ArrayLike, coverage: Field) -> None:
        """Lay a colour (one, or one per pixel) over the picture where it covers."""
        self.rgb += (np.asarray(colour, np.float32) - self.rgb) * coverage[..., None]


@dataclass(frozen=True, slots=True)
class Appearance:
    """The colours of one portrait after their small variations, and where its light comes from."""

    skin: Field
    hair: Field
    clothes: Field
    backdrop: Field
    light_x: float
    phases: Field
    """Where waves and patterns begin, each 0 to 2 pi."""


def _vary(colour: Colour, rng: np.random.Generator, spread: float) -> Field:
    """Lighten or darken the colour, and shift its hue a little."""
    shade = rng.uniform(-spread, spread)
    hue = rng.uniform(-spread / 3, spread / 3, 3)
    return np.clip(np.asarray(colour) + shade + hue, 0.02, 0.98).astype(np.float32)


def _look(portrait: DrawnPortrait) -> Appearance:
    """Settle the portrait's colours and light from its seed."""
    rng = np.random.default_rng(portrait.seed)
    side = rng.choice([-1.0, 1.0]) * 0.95
    return Appearance(
        skin=_vary(SKIN[portrait.skin], rng, 0.03),
        hair=_vary(HAIR[portrait.hair], rng, 0.035),
        clothes=_vary(CLOTHES[portrait.clothes], rng, 0.04),
        backdrop=_vary(BACKGROUNDS.get(portrait.background, (0.5, 0.5, 0.5)), rng, 0.03),
        light_x=float(side if portrait.light == "side lighting" else rng.uniform(-0.25, 0.25)),
        phases=rng.uniform(0.0, 2 * math.pi, 16).astype(np.float32),
    )


def paint_portrait(portrait: DrawnPortrait, width: int, height: int, side: float) -> Picture:
    """Paint one portrait; `side` is the height of the picture in head units."""
    canvas = Canvas(portrait, width, height, side)
    look = _look(portrait)
    _paint_background(canvas, portrait, look)
    _paint_back_hair(canvas, portrait, look)
    _paint_body(canvas, portrait, look)
    _paint_head(canvas, portrait, look)
    _paint_mouth(canvas, portrait, look)
    if portrait.beard:
        _paint_beard(canvas, portrait, look)
    for side_sign in (-1.0, 1.0):
        _paint_eye(canvas, portrait, look, side_sign)
    _paint_front_hair(canvas, portrait, look)
    if portrait.glasses:
        _paint_glasses(canvas, portrait)
    _light_scene(canvas, portrait, look)
    picture: Picture = (np.clip(canvas.rgb, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    return picture


# --- fields -----------------------------------------------------------------------------------------------------


def _ellipse(a: Field, b: Field, half_a: float, half_b: float) -> Field:
    """Signed distance, about right near the outline, to an ellipse centred on a = b = 0."""
    distance: Field = (np.sqrt((a / half_a) ** 2 + (b / half_b) ** 2 + 1e-6) - 1.0) * min(half_a, half_b)
    return distance


def _bump(a: Field, b: Field, width_a: float, width_b: float) -> Field:
    """A smooth hill, 1 at a = b = 0."""
    hill: Field = np.exp(-((a / width_a) ** 2) - (b / width_b) ** 2)
    return hill


def _step(a: Field, width: float) -> Field:
    """Rise smoothly from 0 to 1 around a = 0."""
    risen: Field = 0.5 + 0.5 * np.tanh(a / width)
    return risen


def _patches(x: Field, y: Field, scale: float, phases: Field) -> Field:
    """A calm irregular pattern, about -1 to 1, with patches of about `scale`."""
    total = np.zeros_like(x)
    for index, phase in enumerate(phases):
        angle, frequency = 2.4 * index + float(phase), (1.0 + 0.37 * index) / scale
        total += np.sin(frequency * (math.cos(angle) * x + math.sin(angle) * y) + phase)
    pattern: Field = total * (1.6 / len(phases))
    return pattern


# --- background and body ----------------------------------------------------------------------------------------


def _paint_background(canvas: Canvas, portrait: DrawnPortrait, look: Appearance) -> None:
    x, y = canvas.scene_x, canvas.scene_y
    painted = {"beach": _beach, "forest": _forest, "city": _city}.get(portrait.background)
    if painted is not None:
        canvas.rgb[:] = painted(canvas, look)
        return
    # A studio backdrop: a little lighter behind the head than at the edges.
    glow = 1.05 - 0.05 * (x**2 + (y - 0.2) ** 2) / 1.5
    canvas.rgb[:] = look.backdrop * np.clip(glow, 0.7, 1.1)[..., None]


def _blend(below: Colour, above: Colour, coverage: Field) -> Field:
    """Mix two colours per pixel."""
    first, second = np.asarray(below, np.float32), np.asarray(above, np.float32)
    mixed: Field = first + (second - first) * coverage[..., None]
    return mixed


def _beach(canvas: Canvas, look: Appearance) -> Field:
    x, y = canvas.scene_x, canvas.scene_y
    sky = _blend((0.45, 0.70, 0.95), (0.72, 0.86, 0.97), _step(y + 0.7, 0.6))
    sea = np.asarray((0.14, 0.47, 0.66), np.float32)
    sand = np.asarray((0.90, 0.80, 0.60), np.float32)
    scene = sky + (sea - sky) * canvas.inside(-0.15 - y, 1.5)[..., None]
    shore = 0.38 - y + 0.03 * np.sin(3.0 * x + look.phases[0])
    mixed: Field = scene + (sand - scene) * canvas.inside(shore, 3.0)[..., None]
    return mixed


def _forest(canvas: Canvas, look: Appearance) -> Field:
    x, y = canvas.scene_x, canvas.scene_y
    leaves = 0.5 + 0.5 * _patches(x, y, 0.16, look.phases[:4])
    scene = _blend((0.07, 0.20, 0.07), (0.36, 0.52, 0.18), np.clip(leaves, 0.0, 1.0))
    trunk = canvas.inside(np.abs(np.sin(1.7 * x + look.phases[4])) * 0.6 - 0.12, 2.0)
    bark = np.asarray((0.22, 0.15, 0.09), np.float32)
    mixed: Field = scene + (bark - scene) * (0.8 * trunk)[..., None]
    return mixed


def _city(canvas: Canvas, look: Appearance) -> Field:
    x, y = canvas.scene_x, canvas.scene_y
    plot = np.floor(x / 0.5 + look.phases[0])
    roof = -0.45 + 0.35 * np.sin(plot * 2.7 + look.phases[1])
    wall = 0.30 + 0.08 * np.sin(plot * 4.1 + look.phases[2])
    lit = canvas.inside(0.4 - np.sin(26 * x) * 0.7, 4.0) * canvas.inside(0.3 - np.sin(19 * y), 4.0)
    houses = wall[..., None] * np.asarray((0.95, 0.97, 1.15), np.float32)
    houses = houses + (np.asarray((0.95, 0.85, 0.5), np.float32) - houses) * (0.6 * lit)[..., None]
    sky = np.asarray((0.74, 0.80, 0.88), np.float32)
    mixed: Field = sky + (houses - sky) * canvas.inside(roof - y)[..., None]
    return mixed


def _paint_body(canvas: Canvas, portrait: DrawnPortrait, look: Appearance) -> None:
    x, y = canvas.x, canvas.y
    broad = 1.12 if portrait.gender == "man" else 1.0
    neck_width = (0.44 if portrait.gender == "man" else 0.36) + 0.25 * np.clip(y - 1.15, 0, None) ** 2
    roundness = 0.72 + 0.34 * np.sqrt(np.clip(1.0 - (x / 0.6) ** 2, 0.0, 1.0))
    # The chin throws its shadow on the neck.
    roundness = roundness * (1.0 - 0.30 * _step(1.25 - y, 0.10))
    neck = np.maximum(np.abs(x) - neck_width, 0.4 - y)
    canvas.paint(look.skin * roundness[..., None], canvas.inside(neck, 1.5))
    slope = 1.26 + 0.30 * (np.abs(x) / broad) ** 2 + 0.9 * np.clip(np.abs(x) / broad - 1.15, 0, None) ** 2 * 3
    collar = 0.36 - 0.75 * np.clip(y - 1.16, 0, None) - np.abs(x)
    shirt = np.maximum(slope - y, np.abs(x) - 1.72 * broad)
    shirt = np.maximum(shirt, collar)
    shading = 0.98 - 0.16 * (x / 1.4) ** 2 + 0.10 * look.light_x * x - 0.06 * np.clip(y - 1.6, 0, 2)
    shading = shading - 0.12 * _bump(collar + 0.05, x * 0, 0.06, 1.0)
    canvas.paint(look.clothes * shading[..., None], canvas.inside(shirt, 1.5))


# --- head -------------------------------------------------------------------------------------------------------


def _head_width(v: Field, portrait: DrawnPortrait) -> Field:
    """Half the width that the head would have at its middle, narrowed toward the chin."""
    width: Field = 0.81 * portrait.face.width * (1.0 - (0.10 + 0.16 * portrait.face.jaw) * np.clip(v, 0, None) ** 2)
    return width


def _head_distance(canvas: Canvas, portrait: DrawnPortrait) -> Field:
    """Signed distance to the outline of head and jaw."""
    width = _head_width(canvas.v, portrait)
    lower = np.where(canvas.v > 0, 2.3, 2.0).astype(np.float32)
    radius = (np.abs(canvas.u / width) ** lower + np.abs(canvas.v / 1.0) ** lower) ** (1 / lower)
    distance: Field = (radius - 1.0) * 0.75
    return distance


def _relief(canvas: Canvas, portrait: DrawnPortrait) -> Field:
    """Height of the face's surface above its outline, in head units."""
    u, v, face = canvas.turned, canvas.v, portrait.face
    width = _head_width(v, portrait)
    height = 0.85 * np.sqrt(np.clip(1.05 - (canvas.u / width) ** 2 * 0.95 - (v / 1.06) ** 2 * 0.8, 0.02, None))
    eye_u = EYE_U * face.eye_distance
    beside = np.abs(u)
    growing = np.clip((v + 0.12) / 0.5, 0.0, 1.0) * _step(0.43 - v, 0.05)
    height += 0.17 * face.nose * growing * np.exp(-((u / (0.085 + 0.05 * np.clip(v, 0, 1))) ** 2))
    height += 0.055 * face.nose * _bump(beside - 0.11 * face.nose, v - 0.39, 0.055, 0.06)
    height -= 0.075 * _bump(beside - eye_u, v - EYE_V + 0.01, 0.19, 0.12)
    height += 0.035 * _bump(beside - eye_u, v + 0.21, 0.24, 0.09)
    height += 0.045 * _bump(beside - 0.42, v - 0.33, 0.20, 0.17)
    height += 0.045 * _bump(u, v - MOUTH_V, 0.26, 0.16)
    height -= 0.035 * _bump(u, v - MOUTH_V - 0.16, 0.16, 0.05)
    height += 0.05 * _bump(u, v - 0.90, 0.18, 0.10)
    relief: Field = height
    return relief


def _shade_relief(canvas: Canvas, relief: Field, look: Appearance) -> Field:
    """Light a surface from the front and above; 1 is full light."""
    down, right = np.gradient(relief, canvas.pixel)
    length = np.sqrt(down**2 + right**2 + 1.0)
    lit = (-right * look.light_x * 0.8 + down * 0.40 + 0.90) / (length * math.sqrt(0.9**2 + 0.40**2))
    shade: Field = 0.42 + 0.64 * np.clip(lit, 0.0, 1.2)
    return shade


def _paint_head(canvas: Canvas, portrait: DrawnPortrait, look: Appearance) -> None:
    u, v, face = canvas.turned, canvas.v, portrait.face
    for side in (-1.0, 1.0):
        ear = _ellipse(canvas.u - side * 0.80 * face.width, v - 0.14, 0.09, 0.22)
        canvas.paint(look.skin * 0.80, canvas.inside(ear, 1.5))
    beside, eye_u = np.abs(u), EYE_U * face.eye_distance
    shade = _shade_relief(canvas, _relief(canvas, portrait), look)
    shade = shade * (1.0 - 0.22 * _bump(beside - eye_u + 0.03, v - EYE_V + 0.06, 0.17, 0.09))
    shade = shade * (1.0 - 0.20 * _bump(u, v - 0.465, 0.13 * face.nose, 0.04))
    shade = shade * (1.0 - 0.45 * _bump(beside - 0.065 * face.nose, v - 0.435, 0.045, 0.026))
    if portrait.expression in ("smiling", "laughing"):
        fold = beside - 0.17 - 0.28 * (v - 0.42)
        shade = shade * (1.0 - 0.10 * np.exp(-((fold / 0.03) ** 2)) * _bump(v - 0.53, v * 0, 0.10, 1.0))
    skin = look.skin * shade[..., None]
    blush = 0.13 * _bump(beside - 0.40, v - 0.33, 0.16, 0.14) + 0.08 * _bump(u, v - 0.38, 0.10, 0.07)
    skin *= 1.0 - blush[..., None] * np.asarray((0.0, 1.0, 0.85), np.float32)
    canvas.paint(skin, canvas.inside(_head_distance(canvas, portrait), 1.2))


def _paint_eye(canvas: Canvas, portrait: DrawnPortrait, look: Appearance, side: float) -> None:
    face = portrait.face
    inward = side * (canvas.turned - side * EYE_U * face.eye_distance)  # negative toward the nose
    v = canvas.v - EYE_V
    opening = {"surprised": 1.35, "laughing": 0.80, "smiling": 0.93}.get(portrait.expression, 1.0)
    half_width, half_height = 0.18 * face.eye_size, 0.092 * face.eye_size * opening
    arch = np.clip(1.0 - (inward / half_width) ** 2, 0.0, None)
    tilt = -0.06 * inward
    upper, lower = tilt - half_height * arch**0.8, tilt + 0.72 * half_height * arch
    eyeball = np.maximum(np.maximum(upper - v, v - lower), np.abs(inward) - half_width)
    seen = canvas.inside(eyeball)
    white = 0.93 - 0.30 * _step(upper + 0.045 - v, 0.025) - 0.12 * (inward / half_width) ** 2
    canvas.paint(np.asarray((0.98, 0.97, 0.96), np.float32) * white[..., None], seen)
    gaze = inward - side * 0.05 * math.sin(portrait.pose.turn)
    iris_radius = 0.082 * face.eye_size
    ball = np.sqrt(gaze**2 + (v + 0.008) ** 2)
    colour = np.asarray(EYES[portrait.eyes], np.float32)
    rim = 1.05 - 0.55 * _step(ball - 0.8 * iris_radius, 0.012)
    canvas.paint(colour * rim[..., None], canvas.inside(ball - iris_radius) * seen)
    canvas.paint((0.03, 0.03, 0.04), canvas.inside(ball - 0.42 * iris_radius) * seen)
    glint = np.sqrt((gaze + side * (-0.03 if look.light_x >= 0 else 0.03)) ** 2 + (v + 0.036) ** 2)
    canvas.paint((1.0, 1.0, 1.0), 0.9 * canvas.inside(glint - 0.014) * seen)
    within = canvas.inside(np.abs(inward) - half_width * 1.08)
    lash = 0.030 if portrait.gender == "woman" else 0.022
    canvas.paint(DARK_LINE, 0.9 * canvas.inside(np.abs(upper - v + 0.004) - lash * (0.45 + 0.55 * arch)) * within)
    canvas.paint(look.skin * 0.45, 0.55 * canvas.inside(np.abs(lower - v - 0.006) - 0.008) * within)
    canvas.paint(look.skin * 0.55, 0.45 * canvas.inside(np.abs(upper - v - 0.055) - 0.006, 1.3) * within)
    _paint_brow(canvas, portrait, look, inward, side)


def _paint_brow(canvas: Canvas, portrait: DrawnPortrait, look: Appearance, inward: Field, side: float) -> None:
    raised = {"surprised": 0.09, "laughing": 0.02, "serious": -0.015}.get(portrait.expression, 0.0)
    along = np.clip((inward + 0.20) / 0.42, 0.0, 1.0)
    height = -0.225 - raised - 0.055 * np.sin(math.pi * along**0.8) + 0.05 * (along - 0.3)
    thickness = (0.040 - 0.026 * along) * portrait.face.brow * (0.85 if portrait.gender == "woman" else 1.15)
    distance = np.maximum(np.abs(canvas.v - height) - thickness, np.abs(inward - 0.01) - 0.205)
    colour = look.hair * 0.3 + np.asarray((0.04, 0.02, 0.01), np.float32)
    canvas.paint(colour, 0.85 * canvas.inside(distance, 1.3))


def _paint_mouth(canvas: Canvas, portrait: DrawnPortrait, look: Appearance) -> None:
    face, expression = portrait.face, portrait.expression
    half_width = 0.245 * face.mouth * {"smiling": 1.2, "laughing": 1.25, "surprised": 0.72}.get(expression, 1.0)
    along = canvas.turned / half_width
    arch = np.clip(1.0 - along**2, 0.0, None)
    bend = {"smiling": 0.085, "laughing": 0.085, "serious": -0.008}.get(expression, 0.0)
    line = MOUTH_V + bend * (arch - 0.55)
    gap = {"laughing": 0.13, "surprised": 0.16, "smiling": 0.055}.get(expression, 0.0)
    v, beside = canvas.v, np.abs(along) - 1.0
    open_lower = line + gap * arch**0.7
    bow = 0.052 * face.lips * arch**0.6 * (1.0 - 0.25 * np.exp(-((along / 0.14) ** 2)))
    full = 0.075 * face.lips * arch**0.6
    lips = np.maximum(np.maximum(line - bow - v, v - open_lower - full), beside * half_width)
    red = look.skin * np.asarray((0.86, 0.52, 0.52), np.float32)
    if portrait.gender == "woman":
        red = red * 0.6 + np.asarray((0.74, 0.20, 0.24), np.float32) * 0.4
    shade = 0.80 + 0.28 * _step(v - open_lower, 0.03) - 0.22 * _step(v - open_lower - 0.6 * full, 0.03)
    canvas.paint(red * shade[..., None], canvas.inside(lips))
    if gap:
        mouth = np.maximum(np.maximum(line - v, v - open_lower), (beside + 0.06) * half_width)
        canvas.paint((0.28, 0.07, 0.07), canvas.inside(mouth))
        teeth = np.maximum(mouth, v - line - 0.075 * arch)
        if expression != "surprised":
            canvas.paint((0.95, 0.93, 0.89), canvas.inside(teeth + 0.008))
    else:
        seam = np.abs(v - line) - 0.011
        canvas.paint(look.skin * np.asarray((0.40, 0.20, 0.20), np.float32), canvas.inside(seam) * (beside < 0))


def _paint_beard(canvas: Canvas, portrait: DrawnPortrait, look: Appearance) -> None:
    u, v = canvas.turned, canvas.v
    jawline = 0.42 - 0.75 * np.clip(np.abs(canvas.u) - 0.42, 0, None) * 1.6
    lower = np.maximum(_head_distance(canvas, portrait) - 0.015, jawline - v + 0.10 * _bump(u, v * 0, 0.10, 1.0))
    mouth = _ellipse(u, v - MOUTH_V - 0.03, 0.30 * portrait.face.mouth, 0.115)
    covered = canvas.inside(lower, 5.0) * (1.0 - canvas.inside(mouth, 3.0))
    shade = 0.78 + 0.22 * _step(v - 0.75, 0.12)
    canvas.paint(look.hair * shade[..., None], 0.6 * covered)


def _paint_glasses(canvas: Canvas, portrait: DrawnPortrait) -> None:
    eye_u = EYE_U * portrait.face.eye_distance
    u, v = canvas.turned, canvas.v - EYE_V - 0.02
    beside = np.abs(u)
    rims = np.abs(_ellipse(beside - eye_u, v, 0.245, 0.185)) - 0.017
    bridge = np.maximum(np.abs(v + 0.05) - 0.015, beside - eye_u + 0.23)
    arms = np.maximum(np.abs(v + 0.05) - 0.015, np.maximum(eye_u + 0.23 - beside, beside - 0.72))
    canvas.paint((0.07, 0.06, 0.07), 0.92 * canvas.inside(np.minimum(np.minimum(rims, bridge), arms)))


# --- hair and light ---------------------------------------------------------------------------------------------


def _hair_colour(canvas: Canvas, portrait: DrawnPortrait, look: Appearance) -> Field:
    """Hair with strands and a shine where the light falls on the crown."""
    waves = portrait.face.waves
    around = np.arctan2(canvas.u, 1.6 - canvas.v) * 26
    strands = np.sin(around + waves * 1.2 * np.sin(5 * canvas.v + look.phases[5]) + look.phases[6])
    shine = _bump(canvas.u - 0.35 * look.light_x, canvas.v + 0.80, 0.55, 0.16)
    edge = np.clip(1.0 - (canvas.u / 1.05) ** 2, 0.2, 1.0)
    shade = 0.80 + 0.20 * edge + 0.045 * strands + 0.16 * shine
    colour: Field = look.hair * shade[..., None]
    return colour


def _paint_back_hair(canvas: Canvas, portrait: DrawnPortrait, look: Appearance) -> None:
    u, v, face = canvas.u, canvas.v, portrait.face
    if portrait.hair_style == "long":
        wave = 0.03 + 0.05 * face.waves
        half_width = 0.96 * face.hair_volume + wave * np.sin(5.0 * v + look.phases[7]) + 0.08 * np.clip(v, 0, 1)
        crown = _ellipse(u, v + 0.05, 0.96 * face.hair_volume, 1.03 * face.hair_volume)
        fall = np.maximum(np.abs(u) - half_width, np.maximum(-v, v - 1.55 - 0.2 * face.waves))
        colour = _hair_colour(canvas, portrait, look) * 0.80
        canvas.paint(colour, np.maximum(canvas.inside(crown, 2.0), canvas.inside(fall, 3.0)))
    if portrait.hair_style == "bun":
        bun = _ellipse(u - 0.02, v + 1.0 * face.hair_volume, 0.34, 0.30)
        canvas.paint(_hair_colour(canvas, portrait, look) * 0.9, canvas.inside(bun, 2.0))


def _paint_front_hair(canvas: Canvas, portrait: DrawnPortrait, look: Appearance) -> None:
    if portrait.hair_style == "bald":
        return
    u, v, face = canvas.u, canvas.v, portrait.face
    outer = _ellipse(u, v + 0.16, 0.86 * face.hair_volume, 0.89 * face.hair_volume)
    parting = 0.10 * math.sin(float(look.phases[8]))
    hairline = _ellipse(canvas.turned - parting, v - 0.22, 0.70 * face.width, 0.88 - 0.12 * face.fringe)
    sideburn = {"short": 0.16, "bun": 0.05}.get(portrait.hair_style, 0.5)
    cap = np.maximum(outer, -hairline)
    above = canvas.inside(v - sideburn, 6.0)
    colour = _hair_colour(canvas, portrait, look)
    # Hair shades the skin just below it.
    canvas.paint(look.skin * 0.55, 0.35 * above * canvas.inside(cap - 0.05, 4.0) * canvas.inside(-hairline - 0.1, 2.0))
    canvas.paint(colour, above * canvas.inside(cap, 2.0))
    if portrait.hair_style == "long":
        wave = 0.03 * np.sin(5.5 * v + look.phases[9]) * (0.4 + face.waves)
        inner = 0.69 * face.width + 0.10 * np.clip(v - 0.3, 0, 1) + wave
        lock = np.maximum(np.maximum(inner - np.abs(u), np.abs(u) - 0.98 * face.hair_volume - wave), v - 1.5)
        canvas.paint(colour, canvas.inside(np.maximum(lock, -0.35 - v), 2.5))


def _light_scene(canvas: Canvas, portrait: DrawnPortrait, look: Appearance) -> None:
    """Apply the light that falls on everything: dark, bright or from one side."""
    if portrait.light == "dark moody lighting":
        away = canvas.scene_x**2 + (canvas.scene_y - 0.2) ** 2
        canvas.rgb *= (0.76 - 0.08 * np.clip(away, 0, 2))[..., None] * np.asarray((0.97, 0.99, 1.05), np.float32)
    elif portrait.light == "bright light":
        canvas.rgb *= 1.10
    elif portrait.light == "side lighting":
        canvas.rgb *= (1.0 + 0.16 * np.sign(look.light_x) * np.clip(canvas.scene_x, -1.2, 1.2))[..., None]


def draw(portraits: Sequence[DrawnPortrait], width: int, height: int, zoom: float = 1.0) -> Picture:
    """Draw the portraits, (n, height, width, 3); zoom 1 frames the face as a crop does, 0.5 shows twice as much."""
    return np.stack([paint_portrait(portrait, width, height, TIGHT_SIDE / zoom) for portrait in portraits])
