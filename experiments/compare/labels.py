"""How a loss is called and coloured, and how a metric is called, in every table and figure: one place.

The colours are Okabe and Ito's, which colour-blind readers tell apart; those used most lie farthest apart.
"""

from collections.abc import Sequence

# choice in conf/loss → (label, colour)
LOOKS = {
    "ce": ("CE", "#4d4d4d"),
    "emd": ("EMD", "#0072B2"),
    "ntil": ("NTIL", "#D55E00"),
    "emd_decimal": ("EMD, decimal", "#56B4E9"),
    "ntil_decimal": ("NTIL, decimal", "#CC79A7"),
    "ntl_was": ("NTL-WAS", "#009E73"),
    "ntl_mse": ("NTL-MSE", "#56B4E9"),
    "ntl_number": ("NTL, whole number", "#CC79A7"),
    "gaussian_ce": ("Gaussian CE", "#E69F00"),
    "dist2": ("DIST²", "#8C6BB1"),
    "smmd": ("sMMD", "#8B4513"),
    "del": ("DEL", "#B8A800"),
    "rps": ("RPS", "#117733"),
    "crps": ("CRPS", "#332288"),
    "raft": ("RAFT", "#882255"),
    "ntil_text": ("NTIL in place of CE", "#AA4499"),
    "ntil_aligned": ("NTIL, aligned decimal", "#999933"),
    "ntl_was_squashed": ("NTL-WAS, squashed", "#44AA99"),
    "label_smoothing": ("Label smoothing", "#888888"),
    "sequence_smoothing": ("Smoothed numbers", "#DDCC77"),
    "ntil_no_exp": ("NTIL without Exp", "#56B4E9"),
    "ntil_no_rel": ("NTIL without Rel", "#009E73"),
    "ntil_no_mag": ("NTIL without Mag", "#E69F00"),
    "ntil_only_exp": ("EMD + Exp", "#CC79A7"),
    "ntil_only_rel": ("EMD + Rel", "#8C6BB1"),
    "ntil_only_mag": ("EMD + Mag", "#B8A800"),
}
_SPARE = ("#117733", "#882255", "#88CCEE", "#AA4499")  # for losses that have no line above


def label(choice: str) -> str:
    """A row's name; a choice that is no known loss keeps its own."""
    return LOOKS[choice][0] if choice in LOOKS else choice


def row_label(choice: str, group: str) -> str:
    """CE, or CE (model=tiny) where a table has several groups of runs."""
    return f"{label(choice)} ({group})" if group else label(choice)


def all_groups(count: int) -> str:
    """both groups, all 4 groups."""
    return "both groups" if count == 2 else f"all {count} groups"


def difference_label(ours: str, baseline: str) -> str:
    """NTIL − CE."""
    return f"{label(ours)} − {label(baseline)}"


def colours(choices: Sequence[str]) -> dict[str, str]:
    """A colour for each choice; the same loss has the same one in every figure."""
    spare = [choice for choice in choices if choice not in LOOKS]
    extra = {choice: _SPARE[index % len(_SPARE)] for index, choice in enumerate(spare)}
    return {choice: LOOKS[choice][1] if choice in LOOKS else extra[choice] for choice in choices}


def ordered(choices: Sequence[str], first: Sequence[str] = ()) -> list[str]:
    """The choices without repeats: `first` in its order, then the known losses, then the alphabet."""
    known = list(LOOKS)
    rest = sorted(set(choices) - set(first), key=lambda choice: (choice not in known, choice))
    rest.sort(key=lambda choice: known.index(choice) if choice in known else len(known))
    return [*dict.fromkeys(first), *rest]
