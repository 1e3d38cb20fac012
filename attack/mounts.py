"""File systems of a campaign's own, in the place where its tries work; they need root's rights and, for ext4, a loop device."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from attack.scenes import Stage

IMAGE_MB = 1024  # of the ext4 image, most of it holes: an import keeps some hundred free
_COPIES = 100  # of an image, until one is made in peace


class NoMounts(RuntimeError):
    """This machine lets us mount nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class _Writes:
    """What a block device has written and flushed since it is there, and how many requests wait in it."""

    ended: int
    waiting: int


def _run(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:  # no such program here, or not on the path of somebody who is not root
        raise NoMounts(f"{' '.join(words)}: {error.strerror}") from error
    if done.returncode:
        raise NoMounts(f"{' '.join(words)}: {done.stderr.strip()}")


def mount_memory(place: Path, megabytes: float) -> None:
    """A tmpfs of that size on a folder."""
    place.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={int(megabytes * 1024)}k", "tmpfs", str(place))


def resize_memory(place: Path, kilobytes: int) -> None:
    """Another size for it."""
    _run("mount", "-o", f"remount,size={kilobytes}k", str(place))


def mount_image(image: Path, place: Path, fresh: bool) -> None:
    """An ext4 image on a folder, as Linux mounts it by itself: `data=ordered`, a commit every five seconds."""
    place.mkdir(parents=True, exist_ok=True)
    if fresh:
        image.unlink(missing_ok=True)
        with image.open("wb") as file:
            file.truncate(IMAGE_MB << 20)
        _run("mkfs.ext4", "-q", "-F", str(image))
    _run("mount", "-o", "loop", str(image), str(place))


def unmount(place: Path) -> None:
    """Take a file system away, if one is there; who still has a file open in it keeps that file."""
    for _time in range(20):
        if not os.path.ismount(place):
            return
        with contextlib.suppress(NoMounts):
            _run("umount", str(place))
            continue
        time.sleep(0.2)
    _run("umount", "-l", str(place))


def copy_image(image: Path, copy: Path) -> None:
    """Copy a mounted image as it is at one instant; raises NoMounts where its disk does not come to rest.

    Reading takes a tenth of a second, and what is written meanwhile would come apart: its journal in the copy, its bytes not. No
    disk leaves that after a flush. So a copy counts only if the device wrote nothing while it was made, by the kernel's own count.
    """
    device = subprocess.run(["losetup", "-n", "-O", "NAME", "-j", str(image)], capture_output=True, text=True, check=True).stdout
    count = Path("/sys/block", Path(device.split()[0]).name, "stat")
    for _time in range(_COPIES):
        before = _writes(count)
        subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
        if not before.waiting and before == _writes(count):
            return
    raise NoMounts(f"{image}: it was written to in each of {_COPIES} copies")


def _writes(count: Path) -> _Writes:
    fields = count.read_text().split()  # Documentation/block/stat.rst of the kernel
    return _Writes(ended=int(fields[4]) + int(fields[15]), waiting=int(fields[8]))


def fill(stage: Stage, scene: str) -> None:
    """A copy of a prepared home and of the pictures into the mounted place."""
    shutil.copytree(stage.kept(scene), stage.home, symlinks=True)
    shutil.copytree(stage.source, stage.given)
    os.sync()
