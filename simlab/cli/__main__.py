"""Run the command line: ``python -m simlab.cli``."""

from simlab.cli.app import main

if __name__ == "__main__":
    main()
