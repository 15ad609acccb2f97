"""Parses untrusted Markdown with markdown-it-py and writes it again for Streamlit with only what is allowed.

Streamlit parses Markdown with remark: CommonMark, GitHub's tables, strikethrough, footnotes and bare addresses, maths,
directives such as `:red[...]`, and its icons. Text is escaped so that it forms none of them.
"""
