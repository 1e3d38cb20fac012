"""Captions for training, pure: what a prompt says of everything but the face, and the line made of it.

What a caption names stays changeable in a prompt; what it leaves out becomes part of the trigger word. So light, expression,
clothes, background and framing are named, and what makes the face (hair, eyes, skin, age, shape) never is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from client_folder.records import Verdict
from config import DETAIL_KINDS, DetailKind
from pictures.midjourney_jobs import DANGLING
from pictures.photo_analysis import light_of
from utils import fold


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Written as `fold` leaves them: lower case, no accents.
FACE_WORDS = _set(
    "hair hairs haired hairstyle haircut bald balding blond blonde brunette redhead redheaded ginger ponytail braid braids braided "
    "bun bangs fringe curls curly wavy eye eyes eyed eyebrow eyebrows brow brows eyelash eyelashes lashes iris irises skin skinned "
    "complexion freckle freckles freckled mole moles scar scars wrinkle wrinkles wrinkled dimple dimples pores face faces faced "
    "facial features jaw jawline chin cheek cheeks cheekbone cheekbones forehead nose lip lips mouth ear ears beard bearded "
    "moustache mustache stubble goatee sideburns shaven shaved age aged young youthful elderly teen teenage teenager senior "
    "caucasian asian african hispanic latina latino ethnicity slim slender athletic muscular chubby petite "
    "pelo cabello cabellos cabellera melena calvo calva rubio rubia moreno morena castano castana pelirrojo pelirroja canoso "
    "canosa canas trenza trenzas coleta flequillo rizos rizado rizada ojo ojos ceja cejas pestana pestanas piel tez peca pecas "
    "lunar lunares cicatriz cicatrices arruga arrugas hoyuelo hoyuelos rostro rostros cara caras facciones rasgos mandibula "
    "menton barbilla mejilla mejillas pomulo pomulos nariz labio labios boca oreja orejas barba barbudo bigote perilla "
    "afeitado afeitada edad anos joven jovenes anciano anciana adolescente maduro madura caucasico caucasica asiatico asiatica "
    "africano africana latinos etnia delgado delgada atletico atletica musculoso musculosa"
)
SUBJECT_WORDS = _set(
    "woman man person girl boy lady gentleman guy male female human businesswoman businessman "
    "mujer hombre persona chica chico muchacha muchacho senora senor nina nino dama caballero"
)
# Said of a subject or beside a word for the face, these are still worth keeping: framing, expression, light, background.
_WORTH_KEEPING = re.compile(
    r"\b(?:extreme close-?\s?up|close-?\s?up|head-?\s?shot|(?:half|full|upper)[- ]body|waist[- ]up|(?:medium|wide|long) shot"
    r"|(?:low|high) angle|(?:profile|side|three[- ]quarter) view|looking (?:\w+ )?(?:at|away|up|down|into)"
    r"(?: the (?:camera|viewer))?"
    r"|primer plano|plano (?:medio|entero|americano)|(?:cuerpo entero|medio cuerpo)|contrapicado|de perfil"
    r"|(?:softly |gently |slightly |broadly )?smiling|smile|laughing|grinning|frowning|crying|serious|surprised|angry|sad|happy"
    r"|calm|serene|confident|pensive|neutral expression|sonriendo|sonriente|sonrisa|riendo|seri[oa]|sorprendid[oa]|enfadad[oa]"
    r"|triste|feliz|seren[oa]|tranquil[oa]|pensativ[oa]"
    r"|\w+ lighting|\w+ light$|backlit|golden hour|(?:luz|iluminacion) (?:de )?\w+|contraluz|hora dorada"
    r"|\w+ background|fondo (?:de )?\w+|black and white|blanco y negro)\b"
)
# In the order in which they are tried: "smiling in soft light" is said once, under the first.
_KINDS: dict[DetailKind, re.Pattern[str]] = {
    "background": re.compile(r"\b(?:background|backdrop|fondo|indoors?|outdoors?|street|beach|city|forest|park|office|room|calle"
                             r"|playa|ciudad|bosque|parque|oficina|interior|exterior)\b"),
    "light": re.compile(r"\b(?:light|lights|lighting|lit|backlit|golden hour|sunlight|daylight|shadows?|luz|iluminacion|contraluz"
                        r"|hora dorada|black and white|blanco y negro|sombras?)\b"),
    "framing": re.compile(r"\b(?:close-?\s?up|head-?\s?shot|(?:half|full|upper)[- ]body|waist[- ]up|(?:medium|wide|long) shot|angle"
                          r"|view|looking|turned to the side|primer plano|plano|cuerpo entero|medio cuerpo|contrapicado|perfil)\b"),
    "clothes": re.compile(r"\b(?:wearing|dressed|shirt|coat|jacket|suit|dress|sweater|hat|scarf|tie|t-shirt|jeans|blouse|uniform"
                          r"|glasses|camisa|abrigo|chaqueta|traje|vestido|jersey|sombrero|bufanda|corbata|blusa|uniforme|gafas|vestid[oa])\b"),
    "expression": re.compile(r"\b(?:smil\w+|laugh\w+|grinning|frowning|crying|serious|surprised|angry|sad|happy|calm|serene"
                             r"|confident|pensive|trustworthy|wise|professional|expression|expresion|sonri\w+|sonrisa|riendo"
                             r"|seri[oa]|sorprendid[oa]|enfadad[oa]|triste|feliz|seren[oa]|tranquil[oa]|pensativ[oa]|segur[oa])\b"),
}  # fmt: skip
_PIECES = re.compile(r"[,;|\n]|\.(?=\s|$)")
_UNWANTED = re.compile(r"[^,;:]*::-[\d.]+")  # a negative weight takes its piece away
_WEIGHT = re.compile(r"::[\d.]*")
_PARAMETERS = re.compile(r"\s(?:--|—|–)[a-z].*", re.IGNORECASE | re.DOTALL)
_AGE = re.compile(r"\b\d+[- ]?(?:years?|yrs?|yo)\b")
_SAYS_NOTHING = _set(
    "a an the of with and in on portrait photo photograph picture image un una de la el con y en retrato foto imagen"
)


def details_of(prompt: str, *, cut: bool = False) -> tuple[str, ...]:
    """What a MidJourney prompt says of everything but the face, piece by piece, in its own words and order.

    `cut` tells that the prompt was cut off (a file name's may be): its last word may be half a word and is left out.
    """
    prose = _PARAMETERS.sub("", f" {prompt}").strip()
    if cut:
        prose = prose.rpartition(" ")[0]
    prose = _WEIGHT.sub(",", _UNWANTED.sub("", prose))
    details: dict[str, str] = {}
    for piece in _PIECES.split(prose):
        for detail in _details_of_piece(" ".join(piece.split())):
            if whole := DANGLING.sub("", detail):
                details.setdefault(fold(whole), whole)
    return tuple(details.values())


def caption(
    template: str, trigger: str, class_word: str, details: Iterable[str], order: Sequence[DetailKind] = DETAIL_KINDS
) -> str:
    """One line from a template; what is empty leaves no comma behind.

    Places in it: {trigger}, {class_word}, {details} (all of them, in the order given), and one for each kind, such as {light}.
    A kind that has a place of its own is left out of {details}; one that the order does not name is said nowhere else.
    """
    kinds: dict[str, list[str]] = {kind: [] for kind in DETAIL_KINDS}
    for detail in details:
        kinds[kind_of(detail)].append(detail)
    values = {"{trigger}": trigger, "{class_word}": class_word}
    values |= {f"{{{kind}}}": ", ".join(said) for kind, said in kinds.items()}
    rest: list[str] = []
    for kind in order:
        if f"{{{kind}}}" not in template:
            rest += kinds[kind]
    values["{details}"] = ", ".join(rest)
    text = re.sub("|".join(map(re.escape, values)), lambda found: values[found.group()], template)
    pieces = (" ".join(piece.split()) for piece in text.split(","))
    return ", ".join(piece for piece in pieces if piece) or trigger


def kind_of(detail: str) -> DetailKind:
    """Which of the changeable things a detail speaks of; clothes by their names, else other."""
    folded = fold(detail)
    return next((kind for kind, pattern in _KINDS.items() if pattern.search(folded)), "other")


def measured_details(face: Verdict, turned_from: float) -> tuple[str, ...]:
    """What was measured of a picture in words, as far as it stands out: ordinary light and framing are not worth a word."""
    if face.analysis is None:
        return ()
    of_face = light_of(face.measures.get("brightness", 128.0), face.measures.get("contrast", 45.0))
    light = [_LIGHTS.get(of_face, ""), _CASTS.get(face.analysis.colour_cast, "")]
    words = [
        _BACKGROUNDS.get(face.background, ""),
        *light,
        "turned to the side" if face.measures.get("turn", 0) > turned_from else "",
    ]
    return tuple(word for word in words if word)


_LIGHTS = {"dark": "low light", "dim": "dim light", "bright": "bright light", "hard": "hard light"}
_CASTS = {"warm": "warm light", "cool": "cool light", "grey": "black and white"}
_BACKGROUNDS = {"plain": "plain background", "busy": "busy background"}


def _details_of_piece(piece: str) -> Iterator[str]:
    """What is worth keeping of a piece between two commas: nothing, parts of it, or all."""
    folded = fold(piece)
    subject = next((word for word in re.finditer(r"\w+", folded) if word.group() in SUBJECT_WORDS), None)
    if subject:
        yield from _kept_parts(piece[: subject.start()])
        yield from _details_of_piece(piece[subject.end() :].strip())
    elif _AGE.search(folded) or not FACE_WORDS.isdisjoint(_words(folded)):
        yield from _kept_parts(piece)
    elif not _SAYS_NOTHING.issuperset(_words(folded)):
        yield piece


def _kept_parts(text: str) -> Sequence[str]:
    return [text[found.start() : found.end()] for found in _WORTH_KEEPING.finditer(fold(text))]


def _words(folded: str) -> list[str]:
    return re.findall(r"\w+", folded)
