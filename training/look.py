"""Draws what the generator makes: ``python -m training.look OUT.png [--kinds room reef] [--per 4] [--seed 0]``."""

import argparse
from pathlib import Path

from training.generator import Generator
from training.sheets import class_picture, developed, distance_picture, motion_picture, write_sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kinds", nargs="*", help="all by default")
    parser.add_argument("--per", type=int, default=1, help="panoramas of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    generator = Generator(args.device)
    rows, names = [], []
    for kind in args.kinds or generator.kinds:
        seeds = range(args.seed, args.seed + args.per)
        made = generator.render(seeds, args.height, samples=args.samples, kind=kind)
        colour = developed(made.rgb)
        for i, seed in enumerate(seeds):
            distance, label, light, motion = (
                t[i].cpu().numpy() for t in (made.distance, made.label, made.light, made.motion)
            )
            rows.append([colour[i], distance_picture(distance), class_picture(label, light), motion_picture(motion)])
            names.append(f"{kind} {seed}")
    write_sheet(args.out, rows, names=names)


if __name__ == "__main__":
    main()
