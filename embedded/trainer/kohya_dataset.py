"""sd-scripts' dataset: a parent folder of `{repeats}_{class tokens}` folders of pictures with captions beside them.

Reads names, captions and sizes (never pixels), balances regularisation pictures as sd-scripts does, sorts pictures into buckets of
one shape and deals batches. The order of batches depends on the seed and the epoch only, so a resumed training needs no replay.
Every size here is (width, height) in pixels.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from embedded.trainer.trainer_console import LOG
from embedded.trainer.trainer_flags import Flags, Refused

Size = tuple[int, int]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
MISSING_SHOWN = 5  # of the pictures without a caption, as many are named in the log
NO_DATA = (
    "No data found. Please verify arguments (train_data_dir must be the parent of folders with images) / "
    "画像がありません。引数指定を確認してください（train_data_dirには画像があるフォルダではなく、"
    "画像があるフォルダの親フォルダを指定する必要があります）"
)


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """One picture: how often it is shown in an epoch, and how it is fitted (resized, then cropped about its centre)."""

    path: Path
    caption: str
    size: Size
    repeats: int
    is_reg: bool
    bucket: Size = (0, 0)  # what the model sees
    resized: Size = (0, 0)  # before cropping to the bucket


@dataclass(frozen=True, slots=True)
class Subset:
    """One `{repeats}_{class tokens}` folder."""

    folder: Path
    repeats: int
    is_reg: bool
    pictures: tuple[TrainingImage, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """All pictures that are shown, and the counts sd-scripts reports (repeats included)."""

    subsets: tuple[Subset, ...]
    pictures: tuple[TrainingImage, ...]
    train_images: int
    reg_images: int
    batch_size: int

    def batches(self, seed: int, epoch: int) -> list[list[int]]:
        """The batches of one epoch, as indices into `pictures`; each batch is of one bucket."""
        dealer = random.Random(seed + epoch)
        dealt: list[list[int]] = []
        for _, members in sorted(self._buckets().items()):
            dealer.shuffle(members)
            dealt += [members[at : at + self.batch_size] for at in range(0, len(members), self.batch_size)]
        dealer.shuffle(dealt)
        return dealt

    @property
    def batches_per_epoch(self) -> int:
        """How many batches an epoch has; the last one of each bucket may be small."""
        return sum(math.ceil(len(members) / self.batch_size) for members in self._buckets().values())

    @property
    def bucket_counts(self) -> dict[Size, int]:
        """How many pictures, repeats included, each bucket holds."""
        return {size: len(members) for size, members in sorted(self._buckets().items())}

    def _buckets(self) -> dict[Size, list[int]]:
        buckets: defaultdict[Size, list[int]] = defaultdict(list)
        for index, picture in enumerate(self.pictures):
            buckets[picture.bucket] += [index] * picture.repeats
        return buckets


def read_dataset(flags: Flags) -> Dataset:
    """Reads both folders and says what was found; raises `Refused` when there is no picture to train on."""
    found = [*_subsets(flags.train_data_dir, False, flags.caption_extension)]
    if flags.reg_data_dir is not None:
        found += _subsets(flags.reg_data_dir, True, flags.caption_extension)
    train: list[TrainingImage] = []
    reg: list[TrainingImage] = []
    for subset in found:
        (reg if subset.is_reg else train).extend(subset.pictures)
    train_images = sum(picture.repeats for picture in train)
    reg_images = sum(picture.repeats for picture in reg)
    _report_counts(train_images, reg_images)
    if train_images == 0:
        LOG.error(NO_DATA)
        raise Refused(f"nothing to train on in {flags.train_data_dir}: it holds no folder {{repeats}}_{{name}} with pictures")
    shown = train + balance_reg(reg, train_images)
    fitted = tuple(fit(picture, flags) for picture in shown)
    dataset = Dataset(tuple(found), fitted, train_images, reg_images, flags.train_batch_size)
    if flags.enable_bucket:
        LOG.info("number of images (including repeats) / 各bucketの画像枚数（繰り返し回数を含む）")
        for index, (size, count) in enumerate(dataset.bucket_counts.items()):
            LOG.info(f"bucket {index}: resolution {size}, count: {count}")
    return dataset


def balance_reg(reg: list[TrainingImage], train_images: int) -> list[TrainingImage]:
    """As many regularisation pictures as training pictures, counted with repeats: some left out, or shown more often."""
    if not reg:
        return []
    counts: Counter[int] = Counter()
    for index, picture in enumerate(reg):
        if counts.total() < train_images:
            counts[index] = picture.repeats
    used = len(counts)
    for extra in range(max(0, train_images - counts.total())):
        counts[extra % used] += 1
    return [replace(reg[index], repeats=count) for index, count in counts.items()]


def fit(picture: TrainingImage, flags: Flags) -> TrainingImage:
    """Chooses the picture's bucket: the resolution itself, or with --enable_bucket the nearest shape of the same area."""
    if flags.enable_bucket and flags.bucket_no_upscale:
        resized = _shrunk(picture.size, flags.resolution, flags.bucket_reso_steps)
        steps = flags.bucket_reso_steps
        return replace(picture, bucket=(resized[0] // steps * steps, resized[1] // steps * steps), resized=resized)
    choices = bucket_sizes(flags) if flags.enable_bucket else [flags.resolution]
    shape = picture.size[0] / picture.size[1]
    bucket = picture.size if picture.size in choices else min(choices, key=lambda size: abs(size[0] / size[1] - shape))
    scale = max(bucket[0] / picture.size[0], bucket[1] / picture.size[1])
    return replace(picture, bucket=bucket, resized=(round(picture.size[0] * scale), round(picture.size[1] * scale)))


def bucket_sizes(flags: Flags) -> list[Size]:
    """All sizes of about the resolution's area whose sides are multiples of the step, between the two limits."""
    steps, area = flags.bucket_reso_steps, flags.resolution[0] * flags.resolution[1]
    low = flags.min_bucket_reso // steps * steps
    high = math.ceil(flags.max_bucket_reso / steps) * steps
    square = math.isqrt(area) // steps * steps
    sizes = {(square, square)}
    for width in range(low, high + 1, steps):
        height = min(high, area // width // steps * steps)
        if height >= low:
            sizes |= {(width, height), (height, width)}
    return sorted(sizes)


def open_fitted(picture: TrainingImage) -> Image.Image:
    """The pixels the model sees: RGB, resized (area average when shrinking, Lanczos when growing) and cropped to the bucket."""
    with Image.open(picture.path) as opened:
        image = opened.convert("RGB")
    if image.size != picture.resized:
        shrinks = picture.resized[0] < image.width
        image = image.resize(picture.resized, Image.Resampling.BOX if shrinks else Image.Resampling.LANCZOS)
    left, top = ((side - seen) // 2 for side, seen in zip(picture.resized, picture.bucket, strict=True))
    return image.crop((left, top, left + picture.bucket[0], top + picture.bucket[1]))


def _shrunk(size: Size, resolution: Size, steps: int) -> Size:
    """`size` made no larger than the resolution's area, its better-fitting side a multiple of `steps`."""
    area = resolution[0] * resolution[1]
    if size[0] * size[1] <= area:
        if min(size) < steps:
            raise Refused(f"a picture of {size[0]}x{size[1]} px is smaller than one bucket step of {steps} px")
        return size
    shape = size[0] / size[1]
    width = math.sqrt(area * shape)
    by_width = int(width + 0.5) // steps * steps
    by_height = int(area / width + 0.5) // steps * steps
    wide = (by_width, int(by_width / shape + 0.5))
    high = (int(by_height * shape + 0.5), by_height)
    wide_shape = by_width / max(steps, wide[1] // steps * steps)
    high_shape = max(steps, high[0] // steps * steps) / by_height
    return wide if abs(wide_shape - shape) < abs(high_shape - shape) else high


def _subsets(parent: Path, is_reg: bool, caption_extension: str) -> list[Subset]:
    subsets = []
    folders = sorted(entry for entry in parent.iterdir() if entry.is_dir()) if parent.is_dir() else []
    for folder in folders:
        count, _, class_tokens = folder.name.partition("_")
        repeats = int(count) if count.lstrip("-").isdecimal() else 0
        if repeats < 1:
            LOG.warning(f"ignore directory without repeats / 繰り返し回数のないディレクトリを無視します: {folder.name}")
            continue
        pictures = _pictures(folder, repeats, is_reg, class_tokens, caption_extension)
        if pictures:
            subsets.append(Subset(folder, repeats, is_reg, pictures))
        else:
            LOG.warning(f"ignore subset with image_dir='{folder}': no images found / 画像が見つからないためサブセットを無視します")
    return subsets


def _pictures(folder: Path, repeats: int, is_reg: bool, class_tokens: str, extension: str) -> tuple[TrainingImage, ...]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    LOG.info(f"found directory {folder} contains {len(paths)} image files")
    captions = {path: read_caption(path.with_suffix(extension)) for path in paths}
    missing = [path for path, caption in captions.items() if caption is None]
    if missing:
        LOG.warning(
            f"No caption file found for {len(missing)} images. Training will continue without captions for these images. "
            "If class token exists, it will be used."
        )
        for path in missing[:MISSING_SHOWN]:
            LOG.warning(str(path))
    return tuple(
        TrainingImage(path, class_tokens if caption is None else caption, _size(path), repeats, is_reg)
        for path, caption in captions.items()
    )


def read_caption(path: Path) -> str | None:
    """The first line of a caption file, None without a file; an empty file is refused, as sd-scripts does."""
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise Refused(f"illegal char in file (not UTF-8) / ファイルにUTF-8以外の文字があります: {path}") from error
    if not lines:
        raise Refused(f"caption file is empty / キャプションファイルが空です: {path}")
    return lines[0].strip()


def _size(path: Path) -> Size:
    try:
        with Image.open(path) as image:
            return image.size
    except (UnidentifiedImageError, OSError) as error:
        raise Refused(f"cannot read the picture {path}: {error}") from error


def _report_counts(train_images: int, reg_images: int) -> None:
    LOG.info(f"{train_images} train images with repeats.")
    LOG.info(f"{reg_images} reg images with repeats.")
    if reg_images == 0:
        LOG.warning("no regularization images / 正則化画像が見つかりませんでした")
    elif train_images < reg_images:
        LOG.warning("some of reg images are not used / 正則化画像の数が多いので、一部使用されない正則化画像があります")
