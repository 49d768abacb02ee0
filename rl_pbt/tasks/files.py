"""The files of a folder as arrays of bytes, and back: so a program's checkpoint is stored like any other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import numpy as np

from rl_pbt.arrays import Array
from rl_pbt.errors import UserError
from rl_pbt.tasks.answers import Failed

Files: TypeAlias = dict[str, Array]


def read_folder(folder: Path) -> Files:
    """Every file below `folder`, sorted: path within it, with `/` -> its bytes, uint8 [size].

    Empty folders are left out. Raises Failed for what cannot be read or is not a plain file: a link may lead anywhere, and what
    it leads to is not stored.
    """
    if folder.is_symlink():
        raise Failed("the checkpoint folder was replaced by a symbolic link: leave files in it")
    files: Files = {}
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted([*names, *folders]):
            path = Path(where, name)
            inner = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise Failed(f"{inner} in the checkpoint is a symbolic link: copy what it leads to")
            if path.is_file():
                try:
                    files[inner] = np.frombuffer(path.read_bytes(), np.uint8)
                except OSError as error:
                    raise Failed(f"{inner} in the checkpoint cannot be read: {error.strerror}") from None
            elif not path.is_dir():
                raise Failed(f"{inner} in the checkpoint is not a file: leave files and folders only")
    return files


def write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files into `folder`, which is created if needed.

    Raises UserError, before anything is written, for a name that leads out of it.
    """
    for name in files:
        inner = PurePosixPath(name)
        if not inner.parts or inner.is_absolute() or ".." in inner.parts or (os.name == "nt" and set(name) & set("\\:")):
            raise UserError(f"a checkpoint holds a file {name!r}, which would lie outside its folder: do not trust its source")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
