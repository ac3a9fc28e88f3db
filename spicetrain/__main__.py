"""Where `spicetrain` and `python -m spicetrain` begin."""

from spicetrain.interrupt import end_at_ctrl_c


def main() -> int:
    """Entry point; the exit code is returned."""
    end_at_ctrl_c()
    from spicetrain.cli import main as command_line

    exit_code = command_line()
    end_at_ctrl_c()
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main())
