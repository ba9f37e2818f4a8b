"""Run an experiment: python train.py [CONFIG] [--field value ...]; --help lists everything."""

from minisub.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
