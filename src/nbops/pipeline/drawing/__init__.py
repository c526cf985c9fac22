"""A pipeline as a picture: laid out once, drawn for terminals and as SVG; and in the languages of other programs."""
