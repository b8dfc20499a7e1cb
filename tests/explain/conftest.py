"""What the tests of `explain` share: reports without the command, and a tokenizer with tokens of one to three digits."""

from pathlib import Path

import pytest

from ntil.explain.report import make_report
from ntil.explain.tokens import Tokens

SURE = 0.99999


@pytest.fixture(scope="session")
def report():
    """report("0.98", "1.01", tokenizer=None): target first, then predictions."""

    def make(target, *predictions, tokenizer: Path | None = None, sure=SURE):
        tokens = Tokens.characters() if tokenizer is None else Tokens.load(tokenizer)
        return make_report(target, predictions, tokens, sure)

    return make


@pytest.fixture(scope="session")
def wide(tmp_path_factory):
    """A tokenizer.json that splits numbers into three digits at a time, with ordinals and 300 words beside them."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

    texts = [f"{n:0{width}d}" for width in (3, 1, 2) for n in range(10**width)]
    texts += [".", "-", "+", *(f"word{chr(97 + i % 26)}{i // 26 * 'x'}" for i in range(300))]
    tokenizer = Tokenizer(models.WordLevel({text: i for i, text in enumerate(texts)}, unk_token="worda"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[0-9]{1,3}|[^0-9]"), "isolated")
    tokenizer.add_tokens([AddedToken(f"<loc{i:04d}>") for i in range(16)])
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path
