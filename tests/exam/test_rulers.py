"""Rulers on pictures: what they see and what they must not see, and drawn people told apart by them."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from embedded.drawing.painting import draw
from embedded.drawing.portraits import random_face, random_portrait
from exam.rulers import Backdrop, BoxEmbedding, FaceEmbedding, LabMap, apart, read_files

SIDE = 160


def solid(colour):
    return Image.new("RGB", (SIDE, SIDE), colour)


def pasted(colour, box, ground=(128, 128, 128)):
    picture = solid(ground)
    picture.paste(colour, box)
    return picture


def person(seed, scenes, **fixed):
    """Crops of one drawn person in several scenes."""
    rng = random.Random(seed)
    look = random_portrait(rng, **fixed)
    who = {name: getattr(look, name) for name in ("gender", "hair", "hair_style", "skin", "eyes", "beard", "glasses", "face")}
    drawn = draw([random_portrait(rng, **who, light="studio lighting") for _ in range(scenes)], 96, 96)
    return look, [Image.fromarray(picture) for picture in drawn]


def test_the_map_measures_in_cielab():
    """White against black is 100 of lightness; red is 53.24, 80.09, 67.2: known values of CIELAB."""
    white, black, red = (LabMap().read(solid(colour)) for colour in ("white", "black", "red"))
    assert apart(white[None], black[None])[0, 0] == pytest.approx(100, abs=0.01)
    assert apart(red[None], black[None])[0, 0] == pytest.approx(np.sqrt(53.24**2 + 80.09**2 + 67.2**2), abs=0.1)


def test_the_map_sees_the_face_and_nothing_else():
    plain = LabMap().read(solid((128, 128, 128)))
    edge = SIDE * 3 // 16  # the face box begins at 18.75 %
    frame = pasted((128, 128, 128), (edge, edge, SIDE - edge, SIDE - edge), ground=(255, 0, 0))
    assert np.allclose(LabMap().read(frame), plain)
    corner = pasted((255, 0, 0), (edge, edge, edge + 8, edge + 8))  # of the box, outside its ellipse
    assert np.allclose(LabMap().read(corner), plain)
    assert not np.allclose(LabMap().read(pasted((255, 0, 0), (76, 76, 84, 84))), plain)


def test_the_background_sees_beside_and_above_the_head_and_not_the_face_or_the_shoulders():
    plain = Backdrop().read(solid((128, 128, 128)))
    assert np.allclose(Backdrop().read(pasted((255, 0, 0), (40, 40, 120, 120))), plain)
    assert np.allclose(Backdrop().read(pasted((255, 0, 0), (0, 110, SIDE, SIDE))), plain)
    assert not np.allclose(Backdrop().read(pasted((255, 0, 0), (0, 0, 16, 60))), plain)


def test_a_drawn_person_is_nearer_to_herself_in_other_scenes_than_others_are():
    rows = {seed: np.stack([LabMap().read(picture) for picture in person(seed, 6)[1]]) for seed in range(8)}
    for seed, own in rows.items():
        among = apart(own, own)[np.triu_indices(6, 1)].mean()
        others = np.mean([apart(own, other).mean() for name, other in rows.items() if name != seed])
        assert among < others


def test_the_background_of_drawn_people_follows_the_scene_and_not_the_person():
    rng = random.Random(1)
    look = random_portrait(rng, background="blue", light="studio lighting")
    other = replace(random_portrait(rng, background="blue", light="studio lighting"), pose=look.pose)
    moved = replace(look, background="yellow")
    rows = [Backdrop().read(Image.fromarray(picture)) for picture in draw([look, other, moved], 96, 96)]
    assert apart(rows[0][None], rows[1][None])[0, 0] < apart(rows[0][None], rows[2][None])[0, 0] / 2


def test_the_box_is_the_middle_of_the_crop_enlarged():
    seen = []

    def describe(image, box):
        seen.append((image.size, box, image.crop((box[0], box[1], box[0] + box[2], box[1] + box[3])).getextrema()))
        return (0.0,) * 128

    edge = SIDE * 3 // 16
    row = BoxEmbedding(describe).read(pasted((255, 255, 255), (edge - 2, edge - 2, SIDE - edge + 2, SIDE - edge + 2), (0, 0, 0)))
    assert row.shape == (128,)
    (width, height), box, extrema = seen[0]
    assert box[2:] == (512, 512)
    assert 0 <= box[0] == box[1] == (width - 512) // 2 == (height - 512) // 2
    assert min(low for low, _high in extrema) > 250  # nothing of the black frame


def test_a_picture_without_a_face_has_no_numbers(tmp_path):
    solid("white").save(tmp_path / "a.png")
    rows = read_files(FaceEmbedding(lambda _image, _box: (0.0,) * 128, lambda _rgb: ()), [tmp_path / "a.png"])
    assert rows.shape == (1, 128)
    assert np.isnan(rows).all()


def test_dlib_tells_a_sister_of_the_same_hair_and_skin():
    """The same hair, style, skin and eyes, another face: in dlib's numbers she is farther than the client is from herself."""
    pytest.importorskip("dlib")
    from faces.identity import FaceRecogniser

    look, own = person(11, 4, glasses=False, beard=False)
    rng = random.Random(12)
    same = {name: getattr(look, name) for name in ("gender", "hair", "hair_style", "skin", "eyes", "beard", "glasses")}
    drawn = draw(
        [random_portrait(rng, **same, face=random_face(random.Random(77)), light="studio lighting") for _ in range(4)], 96, 96
    )
    ruler = BoxEmbedding(FaceRecogniser().describe)
    rows, sister = (np.stack([ruler.read(picture) for picture in some]) for some in (own, [Image.fromarray(one) for one in drawn]))
    assert apart(rows, sister).mean() > apart(rows, rows)[np.triu_indices(4, 1)].mean() + 0.02
