"""`python -m ntil` is the console command `ntil`."""

from ntil.commands import console

if __name__ == "__main__":
    console()
