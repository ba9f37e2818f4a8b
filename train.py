"""Run an experiment: python train.py [CONFIG] [--field value ...]; --help lists everything."""

import sys

if __name__ == "__main__":
    try:
        from minisub.cli import main
    except ValueError as error:  # of JAX, which reads its settings when it is imported
        if "jax" not in str(error).lower():
            raise
        print(f"{error}; change or unset it.", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(main())
