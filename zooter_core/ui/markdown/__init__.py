"""Untrusted Markdown parsed with markdown-it-py and written again for Streamlit with only what is allowed in it.

Streamlit parses what is written with remark: CommonMark, tables, strikethrough, footnotes and bare addresses of GitHub,
maths, directives such as `:red[...]`, and its own icons. Text is escaped so that it forms none of them.
"""
