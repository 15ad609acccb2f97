"""What the pages share, and a folder per page. Only this room and the pages import Streamlit."""
