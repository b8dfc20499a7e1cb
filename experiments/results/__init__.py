"""The files of results/: read and written with every cell checked, and made from the folders of finished runs."""
