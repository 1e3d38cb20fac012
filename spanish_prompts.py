"""Spanish prompts in the words SDXL knows: its text encoders were trained on English.

A glossary of what portraits are described with, the longest phrase first; a word it does not have stays as it is. Knows no grammar:
adjectives keep the place they had, which CLIP does not mind.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_GLOSSARY = """
un retrato de=portrait of|retrato de=portrait of|retrato=portrait|primer plano de=close-up of|primer plano=close-up|foto de=photo of
fotografía de=photograph of|fotografía profesional=professional photography|fotografía=photography|foto=photo|imagen de=image of|dibujo de=drawing of
de cuerpo entero=full body|cuerpo entero=full body|medio cuerpo=half body|de perfil=in profile|de frente=facing the camera|mirando a cámara=looking at the camera
mujer=woman|hombre=man|persona=person|chica=girl|chico=boy|niña=girl|niño=boy|anciana=old woman|anciano=old man|joven=young|mayor=elderly
una=a|un=a|unos=some|unas=some|la=the|el=the|los=the|las=the|y=and|o=or|con=with|sin=without|en la=at the|en el=in the|en una=in a|en un=in a|en=in
de la=of the|del=of the|de=of|al=to the|sobre=on|bajo=under|junto a=next to|delante de=in front of|detrás de=behind|muy=very|su=her
sonriendo=smiling|sonriente=smiling|sonrisa=smile|riendo=laughing|riéndose=laughing|serio=serious|seria=serious|sorprendido=surprised|sorprendida=surprised
feliz=happy|triste=sad|enfadado=angry|enfadada=angry|pensativo=thoughtful|pensativa=thoughtful|segura de sí misma=confident|seguro de sí mismo=confident
mirada intensa=intense gaze|mirada=gaze|ojos=eyes|ojos azules=blue eyes|ojos verdes=green eyes|ojos marrones=brown eyes|cara=face|rostro=face
pelo largo=long hair|pelo corto=short hair|pelo rizado=curly hair|pelo liso=straight hair|pelo=hair|cabello largo=long hair|cabello corto=short hair|cabello=hair
pelo rubio=blonde hair|pelo negro=black hair|pelo castaño=brown hair|pelo rojo=red hair|pelirrojo=red-haired|pelirroja=red-haired|rubio=blonde|rubia=blonde|moreno=dark-haired|morena=dark-haired|calvo=bald|calva=bald
moño=bun|coleta=ponytail|barba=beard|bigote=moustache|gafas de sol=sunglasses|con gafas=wearing glasses|gafas=glasses|pecas=freckles|piel clara=light skin|piel morena=tan skin|piel oscura=dark skin|piel=skin
vestido=dress|vestida de=wearing|vestido de=wearing|con camisa blanca=wearing a white shirt|con camisa negra=wearing a black shirt|con camisa roja=wearing a red shirt|camisa=shirt|camiseta=t-shirt|traje=suit|chaqueta=jacket|sombrero=hat|corbata=tie|abrigo=coat
fondo de playa=beach background|fondo de bosque=forest background|fondo de ciudad=city background|fondo blanco=white background|fondo negro=black background|fondo azul=blue background|fondo rojo=red background|fondo verde=green background|fondo amarillo=yellow background|fondo gris=grey background|fondo neutro=neutral background|fondo desenfocado=blurred background|fondo=background
playa=beach|bosque=forest|ciudad=city|calle=street|montaña=mountain|montañas=mountains|mar=sea|jardín=garden|parque=park|oficina=office|estudio=studio|casa=house|café=cafe|campo=countryside|nieve=snow|lluvia=rain|noche=night|día=day|cielo=sky|flores=flowers|árboles=trees|árbol=tree
iluminación de estudio=studio lighting|luz de estudio=studio lighting|luz natural=natural lighting|luz suave=soft lighting|luz dramática=dramatic lighting|iluminación dramática=dramatic lighting|luz cálida=warm light|luz brillante=bright light|iluminación=lighting|luz=light|atardecer=sunset|puesta de sol=sunset|amanecer=sunrise|hora dorada=golden hour|al atardecer=at sunset|al amanecer=at sunrise|de noche=at night|contraluz=backlight|sombras=shadows|neón=neon
blanco y negro=black and white|blanco=white|blanca=white|negro=black|negra=black|rojo=red|roja=red|azul=blue|verde=green|amarillo=yellow|amarilla=yellow|gris=grey|rosa=pink|morado=purple|marrón=brown|dorado=golden
acuarela=watercolour painting|óleo=oil painting|pintura al óleo=oil painting|pintura=painting|dibujo a lápiz=pencil drawing|dibujo=drawing|boceto=sketch|cinematográfico=cinematic|cinematográfica=cinematic|profesional=professional|artístico=artistic|artística=artistic|alta calidad=high quality|detallado=detailed|detallada=detailed|elegante=elegant|realista=realistic
un gato=a cat|gato=cat|perro=dog|caballo=horse|coche=car|mesa=table|silla=chair|libro=book|leyendo=reading|caminando=walking|sentada=sitting|sentado=sitting|de pie=standing|corriendo=running|bailando=dancing|bebiendo=drinking|trabajando=working|mirando=looking
"""
# Words that Spanish has and English prompts do not; one of them, or a letter of its own, tells the language.
_MARKS = frozenset("el la los las un una unos unas y con sin de del en al sobre su muy está".split())
_WORD = re.compile(r"[^\W\d_]+", re.UNICODE)


@cache
def _entries() -> tuple[tuple[re.Pattern[str], str], ...]:
    """The glossary as patterns, the longest first; accents may be missing, as in a hurry they are."""
    pairs = [entry.split("=") for line in _GLOSSARY.strip().splitlines() for entry in line.split("|")]
    pairs.sort(key=lambda pair: -len(pair[0]))
    return tuple(
        (re.compile(rf"(?<![\w-]){re.escape(_bare(spanish))}(?![\w-])", re.IGNORECASE), english) for spanish, english in pairs
    )


@cache
def _known() -> frozenset[str]:
    """Every Spanish word of the glossary that is no English one too, without accents."""
    spanish = {
        word for line in _GLOSSARY.strip().splitlines() for entry in line.split("|") for word in _bare(entry.split("=")[0]).split()
    }
    english = {word for line in _GLOSSARY.strip().splitlines() for entry in line.split("|") for word in entry.split("=")[1].split()}
    return frozenset(spanish - english - {"o", "mar", "real"})


def is_spanish(text: str) -> bool:
    """Whether a prompt is written in Spanish: by its letters, or by at least a quarter of its words."""
    if re.search(r"[ñ¿¡]", text, re.IGNORECASE):
        return True
    words = [_bare(word).lower() for word in _WORD.findall(text)]
    hits = sum(word in _MARKS or word in _known() for word in words)
    return hits >= 1 and hits * 4 >= len(words)


def in_english(text: str, keep: frozenset[str] = frozenset()) -> str:
    """The text with every phrase of the glossary in English; words in `keep`, such as the trigger, stay."""
    places: list[str] = []

    def put_away(match: re.Match[str]) -> str:
        places.append(match[0])
        return f"\x00{len(places) - 1}\x00"

    names = sorted((word for word in keep if word), key=len, reverse=True)
    kept = re.sub("|".join([*(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names), r"<lora:[^>]*>"]), put_away, text)
    plain = _bare(kept)
    for pattern, english in _entries():
        # What was put in place is put away too: no English word is taken for a Spanish one afterwards.
        plain = pattern.sub(lambda _match, word=english: put_away(re.fullmatch(".*", word, re.DOTALL)), plain)  # type: ignore[misc,arg-type]
    return re.sub("\x00(\\d+)\x00", lambda match: places[int(match[1])], plain)


def _bare(text: str) -> str:
    """Without accents, but for ñ, which is a letter."""
    kept = text.replace("ñ", "\x01").replace("Ñ", "\x02")
    letters = "".join(letter for letter in unicodedata.normalize("NFD", kept) if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", letters).replace("\x01", "ñ").replace("\x02", "Ñ")
