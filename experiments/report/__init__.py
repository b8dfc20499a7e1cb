"""One page of all results, results/index.html, made from results/ alone.

content.py what the page says · scores.py its tables · runs.py the runs behind them · pictures.py links to figures and thumbnails
page.html, section.html, run.html the templates · page.css · page.js sorting and opening
"""
