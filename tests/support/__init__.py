"""What tests share: tiny models, servers that fail on purpose, run folders and files, one module for each."""
