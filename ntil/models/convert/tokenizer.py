"""The tokenizer of a published folder: its tokenizer.json, or its tokenizer.model turned into one."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from ntil.errors import UserError
from ntil.models.convert.recognise import read_config
from ntil.models.convert.sentencepiece import from_sentencepiece

ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")


def published_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """As its files say and no class's own ideas: `AutoTokenizer` rebuilds some, and asks for remote code for others."""
    fast, piece = folder / "tokenizer.json", folder / "tokenizer.model"
    if fast.is_file():
        try:
            tokenizer = Tokenizer.from_file(str(fast))
        except Exception as error:  # noqa: BLE001 - the only type that `tokenizers` raises
            raise UserError(f"{fast} is not a tokenizer: {error}.") from None
    elif piece.is_file():
        tokenizer = from_sentencepiece(piece)
    else:
        raise UserError(f"{folder} has neither {fast.name} nor {piece.name}.")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **_roles(folder, tokenizer),
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _roles(folder: Path, tokenizer: Tokenizer) -> dict[str, str]:
    """Which tokens begin, end and pad; those that the vocabulary lacks would be added to it, and are left out."""
    roles = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        settings: dict[str, Any] = read_config(folder / name) if (folder / name).is_file() else {}
        for role in ROLES:
            token = settings.get(role)
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str) and tokenizer.token_to_id(token) is not None:
                roles[role] = token
    return roles


def check_vocabulary(
    tokenizer: PreTrainedTokenizerFast, vocab_size: int, folder: Path, besides: str | None = None
) -> None:
    """Refuse a tokenizer with ids beyond the embedding's rows; the token `besides` needs no row."""
    beyond = {token: i for token, i in tokenizer.get_vocab().items() if i >= vocab_size and token != besides}
    if beyond:
        token, first = min(beyond.items(), key=lambda item: item[1])
        raise UserError(
            f"{folder}: its tokenizer writes {token!r} as {first}, and its embedding has {vocab_size} rows (vocab_size)."
        )
