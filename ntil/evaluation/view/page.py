"""The page itself. Whatever comes from data or a model is escaped; no script reads it but the filters' own values."""

import math

from ntil.data.task import Task
from ntil.escape import html
from ntil.evaluation.view.cards import Card, View

KINDS = ("worst", "best", "random")
SEPARATOR = "␟"  # of several values in an attribute; the script knows it too

STYLE = """
:root { --ink: #1d2329; --faint: #68727c; --line: #dfe3e7; --right: #00795a; --wrong: #b34700; --paper: #fff; --ground: #f5f6f7 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --faint: #9aa4ae; --line: #3a4149; --right: #3ecf9f; --wrong: #ff9a55; --paper: #22272d; --ground: #16191d }
}
* { box-sizing: border-box }
body { margin: 0; font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--ground) }
header, main { max-width: 1240px; margin: 0 auto; padding: 16px }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; overflow-wrap: anywhere }
p { margin: .2rem 0; color: var(--faint) }
.scroll { overflow-x: auto }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
th:first-child, td:first-child { text-align: left; padding-left: 0 }
tr.base td { color: var(--faint) }
small { color: var(--faint) }
nav { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end; position: sticky; top: 0; padding: .6rem 16px;
  max-width: 1240px; margin: 0 auto; background: var(--ground); border-bottom: 1px solid var(--line); z-index: 1 }
label { display: flex; flex-direction: column; font-size: .8rem; color: var(--faint) }
select { font: inherit; font-size: .95rem; padding: .3rem; color: var(--ink); background: var(--paper);
  border: 1px solid var(--line); border-radius: 6px; max-width: 44vw }
output { margin-left: auto; color: var(--faint); font-size: .9rem }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 12px; align-items: start }
article { background: var(--paper); border: 1px solid var(--line); border-top: 4px solid var(--wrong); border-radius: 8px;
  padding: 10px; overflow-wrap: anywhere }
article.right { border-top-color: var(--right) }
article[hidden] { display: none }
img { width: 100%; border-radius: 4px; display: block; margin-bottom: 8px }
b { font-weight: 600 }
.truth { color: var(--right) } .answer { white-space: pre-wrap }
.answer span { border-bottom: 3px solid transparent }
details { font-size: .85rem; color: var(--faint); margin-top: 6px }
summary { cursor: pointer }
@media (max-width: 520px) { main { grid-template-columns: 1fr 1fr; gap: 8px; padding: 8px } article { padding: 7px } }
"""

SCRIPT = """
const selects = [...document.querySelectorAll("select")], cards = [...document.querySelectorAll("article")];
const shown = document.querySelector("output");
function show() {
  let count = 0;
  for (const card of cards) {
    card.hidden = !selects.every(s => s.value === "" || (card.dataset[s.name] || "").split("␟").includes(s.value));
    count += !card.hidden;
  }
  const best = document.querySelector("select[name=kinds]").value === "best";
  for (const card of cards) card.style.order = best ? Math.round(card.dataset.error * 1000) : 0;
  shown.textContent = count + " of " + cards.length;
}
selects.forEach(s => s.addEventListener("change", show));
show();
"""


def render(view: View) -> str:
    """The page as one text."""
    filters = [_select("split", "split", [*view.results], any_value=len(view.results) > 1)]
    filters.append(_select("kinds", "which", [*KINDS], any_value=True, chosen="worst"))
    for number, key in enumerate(view.task.groups):
        values = sorted({card.groups[key] for card in view.cards if key in card.groups})
        if len(values) > 1:
            filters.append(_select(f"g{number}", key.replace("_", " "), values, any_value=True))
    cards = "\n".join(_card(card, view.task) for card in view.cards)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html(view.title)}</title><style>{STYLE}</style></head>
<body><header><h1>{html(view.title)}</h1>
<p>{html(view.task.name)}: truth in green, answer in orange; under each token, how sure the model was of it.</p>
<div class="scroll">{_results(view)}</div></header>
<nav>{"".join(filters)}<output></output></nav>
<main>
{cards}
</main><script>{SCRIPT}</script></body></html>
"""


def _results(view: View) -> str:
    names = list(view.task.metrics)
    heads = "".join(f"<th>{html(view.task.metrics[name].label)}</th>" for name in names)
    rows = []
    for split, result in view.results.items():
        cells = "".join(
            f"<td>{_number(result.metrics.get(name), view.task, name)}{_interval(result.intervals.get(name), view.task, name)}</td>"
            for name in names
        )
        rows.append(f"<tr><td>{html(split)} <small>({html(result.count)})</small></td>{cells}</tr>")
        for kind, metrics in result.baselines.items():
            cells = "".join(f"<td>{_number(metrics.get(name), view.task, name)}</td>" for name in names)
            rows.append(f'<tr class="base"><td>a {html(kind)} answer</td>{cells}</tr>')
    return f"<table><tr><th></th>{heads}</tr>{''.join(rows)}</table>"


def _number(value: float | None, task: Task, name: str) -> str:
    """What is not finite is shown as such."""
    if value is None:
        return "–"
    return f"{value:.{task.metrics[name].digits}f}" if math.isfinite(value) else html(value)


def _interval(bounds: tuple[float | None, float | None] | None, task: Task, name: str) -> str:
    if bounds is None:
        return ""
    low, high = (_number(bound, task, name) for bound in bounds)
    return f" <small>{low}–{high}</small>"


def _select(name: str, title: str, values: list[str], any_value: bool, chosen: str = "") -> str:
    options = ['<option value="">all</option>'] if any_value else []
    for value in values:
        mark = " selected" if value == chosen else ""
        options.append(f'<option value="{html(value)}"{mark}>{html(value)}</option>')
    return f'<label>{html(title)}<select name="{name}">{"".join(options)}</select></label>'


def _card(card: Card, task: Task) -> str:
    groups = {f"g{number}": card.groups[key] for number, key in enumerate(task.groups) if key in card.groups}
    data = {"split": card.split, "kinds": SEPARATOR.join(card.kinds), "error": f"{card.error:.6g}", **groups}
    attributes = "".join(f' data-{name}="{html(value)}"' for name, value in data.items())
    picture = f'<img src="{card.picture}" alt="{html(card.id)}" loading="lazy">' if card.picture else ""
    query = f"<div>{html(card.query)}</div>" if card.query else ""
    said = "".join(_token(text, probability) for text, probability in card.tokens) or "<i>nothing</i>"
    scores = ", ".join(f"{html(name)} {'–' if v is None else f'{v:.3g}'}" for name, v in card.scores.items())
    return (
        f'<article class="{"right" if card.error == 0 else "wrong"}"{attributes}>{picture}{query}'
        f'<div class="truth"><b>{html(card.truth)}</b></div><div class="answer">{said}</div>'
        f"<details><summary>{html(card.id)}</summary>{scores}</details></article>"
    )


def _token(text: str, probability: float | None) -> str:
    """Underlined from red (unsure) over yellow to green (sure)."""
    if probability is None:
        return f"<span>{html(text)}</span>"
    hue = round(120 * probability)
    return f'<span style="border-color: hsl({hue} 70% 50%)" title="{probability:.2f}">{html(text)}</span>'
