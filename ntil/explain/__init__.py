"""`python -m ntil explain`: what every loss says about predictions of one number, as a table and a picture.

tokens.py (text → tokens) → lineup.py (the losses) → report.py (their values) → table.py, words.py, curves.py, picture.py
"""
