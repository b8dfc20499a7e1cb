"""Generated scenes of shapes with referring expressions: config → sample (one scene) → language (its expressions) → draw → build."""
