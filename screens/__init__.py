"""What a person sees: Textual screens and widgets, without input or output of their own."""
