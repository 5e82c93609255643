"""disentone data: what a family of sounds consists of, and some of it to hear."""

import argparse
import sys
from pathlib import Path

from disentone import config, errors
from disentone.sweep import signals


def positive(text: str) -> int:
    """A whole number of 1 or more, as an option of the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, got {text}")
    return int(text)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="disentone data", description=__doc__)
    shared = argparse.ArgumentParser(add_help=False)
    # Before the action or after it alike: an option that is not given says nothing.
    for place in (parser, shared):
        place.add_argument("--config-dir", type=Path, default=argparse.SUPPRESS, help="a folder of your own configs")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("describe", parents=[shared], help="print factors, rows, splits and image size")
    rendering = actions.add_parser(
        "render", parents=[shared], help="write sounds as WAV files and a picture of their images"
    )
    rendering.add_argument("--rows", type=int, nargs="+", default=[0], help="row numbers (default 0)")
    rendering.add_argument("--out", type=Path, default=Path("outputs/sounds"), help="folder (default outputs/sounds)")
    drawing = actions.add_parser(
        "gallery", parents=[shared], help="draw images of random rows with their factor values"
    )
    drawing.add_argument("--count", type=positive, default=24, help="how many (default 24)")
    drawing.add_argument("--columns", type=positive, default=6, help="in a row (default 6)")
    drawing.add_argument("--out", type=Path, default=Path("outputs/gallery.png"), help="default outputs/gallery.png")
    seeing = actions.add_parser("visibility", parents=[shared], help="print how much of the image each factor moves")
    seeing.add_argument("--rows", type=positive, default=1000, help="sounds to change (default 1000)")
    for action in (drawing, seeing):
        action.add_argument("--seed", type=int, default=0, help="of the rows (default 0)")
    for action in actions.choices.values():
        action.add_argument("overrides", nargs="*", help="as of disentone train, for instance synth=tones_noisy")
    arguments, rest = parser.parse_known_args()
    if unknown := [word for word in rest if word.startswith("-")]:
        parser.error(f"there is no option {unknown[0]}; an override is written key=value")
    overrides = [*arguments.overrides, *rest]
    with signals.ending(lambda: "nothing is lost"), errors.readable(sys.argv[1:]):
        own = getattr(arguments, "config_dir", None)
        if own and not own.is_dir():
            raise ValueError(f"--config-dir={own}: there is no such folder")
        cfg = config.composed([*overrides, "run_dir=."], own)
        config.check(cfg)
        # Only now: help and mistakes in the command line should not have to wait for torch.
        from hydra.utils import instantiate

        from disentone.data import showing

        data = instantiate(cfg.data, _convert_="all")
        if arguments.action == "describe":
            showing.describe(data)
        elif arguments.action == "render":
            showing.render(data, arguments.rows, arguments.out)
        elif arguments.action == "gallery":
            showing.gallery(data, arguments.count, arguments.columns, arguments.seed, arguments.out)
        else:
            showing.print_visibility(data, arguments.rows, arguments.seed)


if __name__ == "__main__":
    main()
