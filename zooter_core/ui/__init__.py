"""What the pages share: cached resources, jobs, charts. The only part besides the pages that knows Streamlit."""
