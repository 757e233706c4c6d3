"""Reads the rows of a CSV file with any separator, as spreadsheets and learning platforms write it."""

import csv
import io
import re

NOT_READ = "is not UTF-8 text; save it as CSV in UTF-8"


def rows(content: bytes, strict: bool = False) -> list[list[str]]:
    """Return all rows that are not empty; csv.Error if it is not CSV, ValueError if it is neither UTF-8 nor UTF-16.

    Latin-1 and similar encodings are refused, since the letters of names cannot be identified with certainty.
    """
    marked = content[:2] in (b"\xff\xfe", b"\xfe\xff")  # "Unicode text", as Excel saves it
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(NOT_READ) from None
    if "\0" in text:
        raise ValueError(NOT_READ)
    if told := re.match(r"sep=(.)\r?\n", text):  # for Excel
        text = text[told.end() :]
    first = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").partition("\n")[0])
    delimiter = told[1] if told else max(",;\t", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    return [line for line in lines if any(cell.strip() for cell in line)]
