"""Formats that several kinds of evidence share. Each belongs to a vendor or a standard, and knows no kind."""
