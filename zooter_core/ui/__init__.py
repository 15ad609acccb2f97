"""Code that the pages share, and a folder for each page. Only this room and the pages import Streamlit."""
