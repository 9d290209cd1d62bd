"""Formats that several kinds of evidence share: each belongs to a vendor or to a standard, and knows no kind."""
