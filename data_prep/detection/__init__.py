"""Boxes on real pictures, from the files as published: RefCOCO and its siblings, COCO json, Pascal VOC."""
