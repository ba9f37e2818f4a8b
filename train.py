"""Run an experiment: python train.py [CONFIG] [--field value ...]; --help lists everything."""

import minisub

if __name__ == "__main__":
    raise SystemExit(minisub.main())
