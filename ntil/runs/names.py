"""Names of folders that hold experiments and runs."""

from ntil.errors import UserError

# Bytes, which leaves room for the lock's and temporaries' names in the usual 255.
LONGEST_NAME = 200


def check_folder_name(key: str, name: str) -> None:
    """Refuse what is no name of a folder that `experiments.collect` would find. key: the setting that gives it."""
    said = f"{key}={name!r}"
    if not name.strip() or name != name.strip():
        raise UserError(f"{said}: a folder's name must not be empty, nor begin or end with white space.")
    if name.startswith("."):
        raise UserError(f"{said}: hidden folders are never collected; let the name begin with another sign.")
    if "/" in name or "\\" in name or not name.isprintable():
        raise UserError(f"{said} must be the name of one folder, without slashes and control characters.")
    if len(name.encode(errors="surrogateescape")) > LONGEST_NAME:
        raise UserError(
            f"{said} has {len(name.encode(errors='surrogateescape'))} bytes; at most {LONGEST_NAME} are safe everywhere."
        )
