"""`ntil explain`: what every loss says about predictions of one number, as a table and a picture.

tokens.py (text → tokens) → lineup.py (the losses) → report.py (their values) → words.py, rows.py
(printed by table.py, or plain.py where rich is missing) and curves.py, picture.py
"""
